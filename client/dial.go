package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

const (
	connectTimeout   = 5 * time.Second  // for TCP to one endpoint
	handshakeTimeout = 10 * time.Second // for the handshake after it
	dialPatience     = 30 * time.Second // for a Dial whose context has no deadline
	dialFirstPause   = 50 * time.Millisecond
	dialMostPause    = 500 * time.Millisecond
)

// ContextDialer makes connections; *net.Dialer is one.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Options say who talks to a registry, and how. The zero value reads over 2.0.
type Options struct {
	Node     *identity.Node // nil: read only, which 2.0 alone allows
	Protocol xlreg.Protocol // zero: 2.0
	Logger   *slog.Logger   // nil: none
	Dialer   ContextDialer  // nil: a net.Dialer
	Limits   Limits
	Now      func() time.Time // for certificates; nil: time.Now
}

// Limits bound how long each step of a session may take.
type Limits struct {
	Message time.Duration // from a message's first byte to its last; 0 is 10 seconds
	Idle    time.Duration // between two messages; 0 is no bound, since a wait may be long
	Write   time.Duration // for the registry to take one message; 0 is 10 seconds
}

// Dial opens a session with the registry. It tries the target's endpoints one after
// the other, and all of them again after a pause that grows to half a second, until
// ctx ends; if ctx has no deadline, for 30 seconds.
//
// A registry that cannot prove that it is the one wanted ends the attempts with
// ErrUntrusted, unless another endpoint of the same round leads to the
// right one. Credentials of a registry older than 2.0 are ErrOriginalRegistry
// unless o.Protocol says what to speak.
func Dial(ctx context.Context, target *regcred.Target, o Options) (*Client, error) {
	c, err := dial(ctx, target, o)
	if err != nil {
		return nil, fmt.Errorf("dial registry: %w", err)
	}
	return c, nil
}

func dial(ctx context.Context, target *regcred.Target, o Options) (*Client, error) {
	d, err := newDialing(target, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := withPatience(ctx)
	defer cancel()
	wait := backoff{first: dialFirstPause, most: dialMostPause}
	for {
		c, err := d.round(ctx)
		if err == nil || errors.Is(err, ErrUntrusted) {
			return c, err
		}
		if ended := wait.pause(ctx, 0); ended != nil {
			return nil, fmt.Errorf("%w: %w", ended, err)
		}
	}
}

func withPatience(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, dialPatience)
}

// dialing is what all attempts of one Dial have in common.
type dialing struct {
	target *regcred.Target
	o      Options
	sig    string // fingerprint of the registry's sig key
	config session.ClientConfig
}

func newDialing(target *regcred.Target, o Options) (*dialing, error) {
	if target == nil || len(target.Endpoints) == 0 {
		return nil, errors.New("registry has no endpoint")
	}
	protocol, err := chooseProtocol(target, o.Protocol)
	if err != nil {
		return nil, err
	}
	o.Protocol = protocol
	d := &dialing{target: target, o: o.withDefaults(), sig: target.Fingerprint}
	d.config = session.ClientConfig{Protocol: protocol, Fingerprint: target.Fingerprint, Limits: session.Limits(d.o.Limits), Now: d.o.Now}
	if cred := target.Cred; cred != nil {
		d.config.CommsKey, d.config.SigKey = cred.CommsKey, cred.SigKey
	}
	if target.Cred != nil && d.sig == "" {
		if d.sig, err = keys.Fingerprint(target.Cred.SigKey); err != nil {
			return nil, err
		}
	}
	return d, d.showCertificate()
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dialer == nil {
		o.Dialer = &net.Dialer{}
	}
	if o.Limits.Message == 0 {
		o.Limits.Message = xlreg.DefaultMessageTimeout
	}
	if o.Limits.Write == 0 {
		o.Limits.Write = xlreg.DefaultWriteTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// chooseProtocol never falls back: an attacker who plants old credentials, or breaks
// connections, must not get a carrier without integrity out of it.
func chooseProtocol(target *regcred.Target, chosen xlreg.Protocol) (xlreg.Protocol, error) {
	switch {
	case chosen > xlreg.Protocol20:
		return 0, fmt.Errorf("protocol %d does not exist", chosen)
	case chosen != 0 && chosen.Classic() && target.Cred == nil:
		return 0, fmt.Errorf("protocol %v needs the registry's regCred file: a URL has no comms key", chosen)
	case chosen != 0:
		return chosen, nil
	case target.Cred == nil:
		return xlreg.Protocol20, nil
	}
	likely, modern := target.Cred.Protocol()
	if modern {
		return likely, nil
	}
	return 0, fmt.Errorf("%w (version %v): choose protocol %v, or 2.0 if it has been upgraded since",
		ErrOriginalRegistry, target.Cred.Version, likely)
}

// original reports whether the registry is a server from before 2.0, as far as its
// credentials and the carrier tell. It may have been upgraded since, so what is done
// for an original has to work with every other.
func (d *dialing) original() bool {
	if !d.o.Protocol.Classic() {
		return false
	}
	_, modern := d.target.Cred.Protocol()
	return !modern
}

// showCertificate prepares the certificate for the handshake. Classic carriers have none,
// and cannot be used without a node.
func (d *dialing) showCertificate() error {
	classic := d.o.Protocol.Classic()
	if d.o.Node == nil && classic {
		return fmt.Errorf("protocol %v: %w", d.o.Protocol, ErrReadOnly)
	}
	if d.o.Node == nil || classic {
		return nil
	}
	key := d.o.Node.Keys().Sig
	if err := key.Public().Check(xlreg.Protocol20); err != nil {
		return fmt.Errorf("protocol 2.0 does not take this node's sig key: %w", err)
	}
	der, err := d.o.Node.Certificate(d.o.Now())
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	d.config.Certificate = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key.Signer()}
	return nil
}

// round tries each endpoint once.
func (d *dialing) round(ctx context.Context) (*Client, error) {
	var failed failures
	for _, e := range d.target.Endpoints {
		conn, err := d.connect(ctx, e)
		if err == nil {
			return d.client(conn), nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", e, err))
		d.o.Logger.Debug("registry not reached", "endpoint", string(e), "err", err)
		if errors.Is(err, ErrUntrusted) {
			d.o.Logger.Warn("registry could not prove its identity", "endpoint", string(e))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

func (d *dialing) connect(ctx context.Context, e xlreg.Endpoint) (session.Conn, error) {
	tcp, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	nc, err := d.o.Dialer.DialContext(tcp, "tcp", string(e))
	if err != nil {
		return nil, err
	}
	hello, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	return session.Connect(hello, nc, d.config)
}

func (d *dialing) client(conn session.Conn) *Client {
	c := &Client{
		node: d.o.Node, target: d.target, sig: d.sig, protocol: d.o.Protocol,
		original: d.original(), now: d.o.Now, conn: conn,
		busy:     make(chan struct{}, 1),
		verifier: verifier{protocol: d.o.Protocol},
		clusters: make(map[xlreg.ClusterID]xlreg.Cluster),
	}
	if d.config.Certificate != nil {
		c.shown = d.config.Certificate.Certificate[0]
	}
	return c
}
