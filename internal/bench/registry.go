package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/regcred"
)

// messageTime bounds a handshake, and a message from its first byte to its last.
const messageTime = 10 * time.Second

// Registry is a registry as those who load it see it. It speaks messages and
// nothing above them, so that the clients' share of the work is small.
type Registry struct {
	Target *regcred.Target
	Spread bool // connect to any of the endpoints, as clients do; otherwise to the first
}

// Connect opens a session as node. A node shows its certificate over 2.0, and
// nothing over a classic carrier. It may be nil, to read only.
func (r *Registry) Connect(ctx context.Context, p xlreg.Protocol, node *identity.Node) (session.Conn, error) {
	cfg, err := r.config(p, node)
	if err != nil {
		return nil, err
	}
	return r.connect(ctx, cfg)
}

func (r *Registry) connect(ctx context.Context, cfg session.ClientConfig) (session.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, messageTime)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", string(r.endpoint()))
	if err != nil {
		return nil, err
	}
	return session.Connect(ctx, nc, cfg)
}

func (r *Registry) endpoint() xlreg.Endpoint {
	if !r.Spread {
		return r.Target.Endpoints[0]
	}
	return r.Target.Endpoints[rand.N(len(r.Target.Endpoints))] //nolint:gosec // which server it is may be guessed
}

func (r *Registry) config(p xlreg.Protocol, node *identity.Node) (cfg session.ClientConfig, err error) {
	cfg = session.ClientConfig{
		Protocol: p, Fingerprint: r.Target.Fingerprint,
		Limits: session.Limits{Message: messageTime, Write: messageTime},
	}
	cred := r.Target.Cred
	if p.Classic() && cred == nil {
		return cfg, fmt.Errorf("protocol %v needs the registry's regCred file: a URL has no comms key", p)
	}
	if cred != nil {
		cfg.CommsKey, cfg.SigKey = cred.CommsKey, cred.SigKey
	}
	if p.Classic() || node == nil {
		return cfg, nil
	}
	der, err := node.Certificate(time.Now())
	cfg.Certificate = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: node.Keys().Sig.Signer()}
	return cfg, err
}

// register says who node is, as the one that the registry knows if it does, and
// keeps the ID.
func (r *Registry) register(ctx context.Context, conn session.Conn, node *identity.Node) error {
	known, _ := node.Registry(r.Target.Fingerprint)
	token, _, err := node.Token(conn.Peer().Protocol, known.ID, time.Now())
	if err != nil {
		return err
	}
	reply, err := ask(ctx, conn, wire.NewMember(token))
	if err != nil || known.ID != "" {
		return err
	}
	id, _, err := reply.MemberOK()
	if err != nil {
		return err
	}
	return node.SetRegistry(identity.KnownRegistry{Sig: r.Target.Fingerprint, ID: id})
}

// session runs f in a session in which node has registered, and says Bye.
func (r *Registry) session(ctx context.Context, p xlreg.Protocol, node *identity.Node, f func(session.Conn) error) error {
	cfg, err := r.config(p, node)
	if err != nil {
		return err
	}
	conn, err := r.connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := r.register(ctx, conn, node); err != nil {
		return err
	}
	if err := f(conn); err != nil {
		return err
	}
	_, err = ask(ctx, conn, wire.NewBye())
	return err
}

// Create makes a cluster, as node.
func (r *Registry) Create(ctx context.Context, p xlreg.Protocol, node *identity.Node, name xlreg.Name, size int) error {
	return r.session(ctx, p, node, func(conn session.Conn) error {
		_, err := ask(ctx, conn, newCreate(name, size))
		return err
	})
}

func newCreate(name xlreg.Name, size int) *wire.Message {
	return wire.NewCreate(xlreg.ClusterSpec{Name: string(name), MaxSize: uint32(size), EndpointCount: 1})
}

// ask makes one request. A reply's Op is its request's and one.
func ask(ctx context.Context, conn session.Conn, m *wire.Message) (*wire.Message, error) {
	if err := conn.Send(ctx, m); err != nil {
		return nil, err
	}
	reply, err := conn.Receive(ctx)
	if err != nil {
		return nil, err
	}
	if err := reply.Err(); err != nil {
		return nil, err
	}
	if reply.Op() != m.Op()+1 {
		return nil, fmt.Errorf("%v in answer to %v", reply.Op(), m.Op())
	}
	return reply, nil
}
