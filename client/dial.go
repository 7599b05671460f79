package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/ticket"
)

const (
	defaultSilence   = 30 * time.Second // until a registry is taken for gone
	handshakeTimeout = 10 * time.Second // for the handshake with a member
	dialPatience     = 30 * time.Second // for a Dial whose context has no deadline
	reachPatience    = 10 * time.Second // until a Form that does not reach the registry says so
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

	// Proven spares the nodes of one process that share it to verify each member again;
	// nil: each verifies all.
	Proven *Proven

	// Shuffle puts n endpoints of a registry, by swapping them, into the order in which they
	// are tried; nil: into a random one, so that clients spread over its servers.
	Shuffle func(n int, swap func(i, j int))

	route *route // which endpoints to try first, of everything that is done with these Options
}

// Limits bound how long each step of a session may take. They count the time in which
// nothing moves, so that a slow line is not taken for one that is dead; but a message
// has to come or go at 64 bytes a second on the whole.
type Limits struct {
	// Silence is after what time without a word from the registry it is taken for gone,
	// and dialled anew; 0 is 30 seconds. No request waits for longer than two thirds of
	// it: members that are not there by then are asked for again.
	Silence time.Duration
	Message time.Duration // without a byte of an answer that has begun; 0 is Silence
	Write   time.Duration // without a byte taken of a request; 0 is 10 seconds
}

// Dial opens a session with the registry. It tries the target's endpoints in random order,
// each as soon as the one before it has failed or has taken half a second, and all of them
// again after a pause that grows to half a second, until ctx ends; if ctx has no deadline,
// for 30 seconds. So the Dialer has to stand being called by several goroutines.
//
// A registry that cannot prove that it is the one wanted ends the attempts with
// ErrUntrusted, unless another endpoint of the same round leads to the
// right one. If its certificate is not valid at this machine's time, that is tried again
// too, since the clock may be set meanwhile; the error is then ErrClock. Credentials of a
// registry older than 2.0 are ErrOriginalRegistry unless o.Protocol says what to speak.
func Dial(ctx context.Context, target Target, o Options) (*Client, error) {
	c, err := dial(ctx, target, o)
	if err != nil {
		return nil, fmt.Errorf("dial registry: %w", err)
	}
	return c, nil
}

func dial(ctx context.Context, target Target, o Options) (*Client, error) {
	d, err := newDialing(target, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := withPatience(ctx)
	defer cancel()
	return d.dial(ctx, 0)
}

// reach is Dial for those who try again on their own. It gives up after a while, in an
// error that is worth another try, so that whoever waits can be told.
func reach(ctx context.Context, target Target, o Options) (*Client, error) {
	return reachAs(ctx, target, o, false)
}

// reachAgain is reach for those who were with the registry before, and look for it again when
// somebody else answers at its address: they hear of that at once, and tell the log.
func reachAgain(ctx context.Context, target Target, o Options) (*Client, error) {
	return reachAs(ctx, target, o, true)
}

func reachAs(ctx context.Context, target Target, o Options, known bool) (*Client, error) {
	d, err := newDialing(target, o)
	if err == nil {
		d.known = known
		var c *Client
		if c, err = d.dial(ctx, reachPatience); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("dial registry: %w", err)
}

// dial goes round the endpoints until one leads to the registry, ctx ends, or the
// patience is over, if there is any; never in the middle of a round.
func (d *dialing) dial(ctx context.Context, patience time.Duration) (*Client, error) {
	began := time.Now()
	wait := backoff{first: dialFirstPause, most: dialMostPause}
	var last error
	for {
		c, err := d.round(ctx)
		if err == nil || errors.Is(err, ErrUntrusted) || d.known && isStranger(err) {
			return c, err
		}
		if ctx.Err() != nil && last != nil {
			err = last // of a round that was not cut short
		}
		last = err
		if patience > 0 && time.Since(began) >= patience {
			return nil, fmt.Errorf("%w: %w", errNotReached, err)
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
	ticket *ticket.Ticket // nil: the target is none
	o      Options
	sig    string // fingerprint of the registry's sig key
	next   string // of the one that is known to follow it; empty: none is
	config session.ClientConfig
	warned bool // of a clock
	known  bool // this client was with the registry before: see reachAgain

	overdue bool // the key of sig has vouched for next, and does no longer
}

func newDialing(to Target, o Options) (*dialing, error) {
	target := registryOf(to)
	if target == nil || len(target.Endpoints) == 0 {
		return nil, errors.New("registry has no endpoint")
	}
	protocol, err := chooseProtocol(target, o.Protocol)
	if err != nil {
		return nil, err
	}
	o.Protocol = protocol
	d := &dialing{target: target, ticket: ticketOf(to), o: o.withDefaults(), sig: target.Fingerprint}
	d.config = session.ClientConfig{
		Protocol: protocol, Fingerprint: target.Fingerprint, Now: d.o.Now,
		Limits: session.Limits{Message: d.o.Limits.Message, Write: d.o.Limits.Write},
	}
	if cred := target.Cred; cred != nil {
		d.config.CommsKey, d.config.SigKey = cred.CommsKey, cred.SigKey
	}
	if target.Cred != nil && d.sig == "" {
		if d.sig, err = keys.Fingerprint(target.Cred.SigKey); err != nil {
			return nil, err
		}
	}
	d.learnNext()
	return d, d.showCertificate()
}

// protocol returns what is spoken with a registry that has it.
func (o *Options) protocol() xlreg.Protocol { return cmp.Or(o.Protocol, xlreg.Protocol20) }

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dialer == nil {
		o.Dialer = &net.Dialer{}
	}
	if o.Limits.Silence == 0 {
		o.Limits.Silence = defaultSilence
	}
	if o.Limits.Message == 0 {
		o.Limits.Message = o.Limits.Silence
	}
	if o.Limits.Write == 0 {
		o.Limits.Write = xlreg.DefaultWriteTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Shuffle == nil {
		o.Shuffle = rand.Shuffle
	}
	if o.route == nil {
		o.route = newRoute(o.Shuffle)
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

// warn tells what is not the network's fault, of a clock once.
func (d *dialing) warn(e xlreg.Endpoint, err error) {
	if errors.Is(err, ErrUntrusted) && !d.known {
		d.o.Logger.Warn("registry could not prove its identity", "endpoint", string(e))
	}
	if errors.Is(err, ErrClock) && !d.warned {
		d.warned = true
		d.o.Logger.Warn("registry cannot be believed while a clock is wrong", "endpoint", string(e), "err", err)
	}
}

func (d *dialing) client(e xlreg.Endpoint, conn session.Conn) *Client {
	c := &Client{
		node: d.o.Node, target: d.target, ticket: d.ticket, sig: d.sig, protocol: d.o.Protocol,
		original: d.original(), now: d.o.Now, conn: conn, endpoint: e, route: d.o.route,
		silence:  d.o.Limits.Silence,
		busy:     make(chan struct{}, 1),
		verifier: verifier{protocol: d.o.Protocol, proven: d.o.Proven},
		clusters: make(map[xlreg.ClusterID]xlreg.Cluster),
		pinned:   make(map[xlreg.ClusterID]bool),
		revision: make(map[xlreg.ClusterID]uint64),
	}
	c.hear()
	c.next = d.tellNext(conn.Peer().Next)
	if d.config.Certificate != nil {
		c.shown = d.config.Certificate.Certificate[0]
	}
	return c
}
