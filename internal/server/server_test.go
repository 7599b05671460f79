package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/server"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// testKeys are the registry's and those of two nodes.
var testKeys = sync.OnceValue(func() []*keys.Set {
	sets := make([]*keys.Set, 3)
	for i := range sets {
		k, err := keys.Generate(keys.RSA, 2048)
		if err != nil {
			panic(err)
		}
		sets[i] = k
	}
	return sets
})

const self = xlreg.NodeID("the registry, itself")

// world is a server on a loopback port.
type world struct {
	t      *testing.T
	server *server.Server
	rules  *registry.Registry
	addr   string
	stop   context.CancelFunc
	served chan error // what Serve returned
}

func newWorld(t *testing.T, st store.Store, l guard.Limits) *world {
	t.Helper()
	return newWorldLogging(t, st, l, nil)
}

func newWorldLogging(t *testing.T, st store.Store, l guard.Limits, log *slog.Logger) *world {
	t.Helper()
	return newWorldOf(t, registry.Config{Store: st}, l, log)
}

// newWorldOf makes a world whose rules have a config of their own.
func newWorldOf(t *testing.T, cfg registry.Config, l guard.Limits, log *slog.Logger) *world {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = memory.New()
	}
	cfg.Self = self
	reg, err := registry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	set := testKeys()[0]
	s, err := server.New(server.Config{
		Registry: reg, Comms: set.Comms, Sig: set.Sig, Limits: l, Logger: log,
		Describe: xlreg.Credentials{
			Name: "xlReg", ID: self, CommsKey: set.CommsKey, SigKey: set.SigKey,
			Endpoints: []xlreg.Endpoint{"127.0.0.1:1"}, Version: xlreg.Version20,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &world{t: t, server: s, rules: reg, addr: listener.Addr().String(), stop: stop, served: make(chan error, 1)}
	go func() { w.served <- s.Serve(ctx, listener) }() // awaited in the cleanup
	t.Cleanup(func() {
		stop()
		if err := <-w.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		w.served <- nil
		reg.Close()
		cfg.Store.Close()
	})
	return w
}

func (w *world) tcp() net.Conn {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { nc.Close() })
	return nc
}

// connect opens a session, over 2.0 with a certificate of the given keys, as the node
// that is called a or, with the third keys, b.
func (w *world) connect(p xlreg.Protocol, set *keys.Set) *peer {
	w.t.Helper()
	name := "a"
	if set == testKeys()[2] {
		name = "b"
	}
	return w.connectAs(p, set, name)
}

// guest opens a session over 2.0 with keys of its own, and registers.
func (w *world) guest(name string) *peer {
	w.t.Helper()
	set, err := keys.Generate(keys.P256, 256)
	if err != nil {
		w.t.Fatal(err)
	}
	p := w.connectAs(xlreg.Protocol20, set, name)
	p.register(name)
	return p
}

func (w *world) connectAs(p xlreg.Protocol, set *keys.Set, name string) *peer {
	w.t.Helper()
	pr := &peer{t: w.t, protocol: p, keys: set}
	if p == xlreg.Protocol20 && set != nil {
		pr.modern = modernToken(w.t, set, name)
	}
	return w.open(pr)
}

// open opens the session of a peer that is ready but for its connection.
func (w *world) open(pr *peer) *peer {
	w.t.Helper()
	cfg := session.ClientConfig{
		Protocol: pr.protocol, CommsKey: testKeys()[0].CommsKey, SigKey: testKeys()[0].SigKey,
		Limits: session.Limits{Message: 10 * time.Second, Write: 10 * time.Second},
	}
	if pr.modern != nil {
		der, err := keys.BuildCertificate(pr.modern)
		if err != nil {
			w.t.Fatal(err)
		}
		cfg.Certificate = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: pr.keys.Sig.Signer()}
	}
	conn, err := session.Connect(w.t.Context(), w.tcp(), cfg)
	if err != nil {
		w.t.Fatalf("connect over %v: %v", pr.protocol, err)
	}
	w.t.Cleanup(func() { conn.Close() })
	pr.conn = conn
	return pr
}

// modernToken returns a token with all that 2.0 asks for.
func modernToken(t *testing.T, set *keys.Set, name string) *xlreg.Token {
	t.Helper()
	tok := unsigned(set, name)
	tok.Labels, _ = wire.EncodeLabels([]xlreg.Label{{Key: "role", Value: []byte(name)}})
	prove(t, tok, set)
	return tok
}

// prove signs a token in every way, and returns the certificate that follows from it.
func prove(t *testing.T, tok *xlreg.Token, set *keys.Set) []byte {
	t.Helper()
	var errs [4]error
	var der []byte
	tok.Certificate, errs[0] = keys.NewCertificate(set.Sig, tok, time.Now(), time.Hour)
	tok.DigSig2, errs[1] = keys.SignToken(set.Sig, tok)
	tok.CommsSig, errs[2] = keys.SignComms(set.Comms, tok)
	der, errs[3] = keys.BuildCertificate(tok)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return der
}

func unsigned(set *keys.Set, name string) *xlreg.Token {
	return &xlreg.Token{
		Name: xlreg.Name(name), CommsKey: set.CommsKey, SigKey: set.SigKey,
		Endpoints: []xlreg.Endpoint{"127.0.0.1:4000"},
	}
}

// peer is a client that says what a test wants it to.
type peer struct {
	t        *testing.T
	protocol xlreg.Protocol
	keys     *keys.Set
	modern   *xlreg.Token // over 2.0, what its certificate is of
	conn     session.Conn
}

func (p *peer) send(m *wire.Message) {
	p.t.Helper()
	if err := p.conn.Send(p.t.Context(), m); err != nil {
		p.t.Fatalf("send %v: %v", m.Op(), err)
	}
}

func (p *peer) receive() *wire.Message {
	p.t.Helper()
	m, err := p.conn.Receive(p.t.Context())
	if err != nil {
		p.t.Fatalf("receive: %v", err)
	}
	return m
}

// ask returns the reply to m, which must not be an Error.
func (p *peer) ask(m *wire.Message) *wire.Message {
	p.t.Helper()
	p.send(m)
	reply := p.receive()
	if reply.Op() != m.Op()+1 {
		p.t.Fatalf("%v in answer to %v: %v", reply.Op(), m.Op(), reply.Err())
	}
	return reply
}

// refused asks for something that must be refused with an error of a kind, and
// checks whether the session outlives that.
func (p *peer) refused(m *wire.Message, kind xlreg.Kind, goesOn bool) {
	p.t.Helper()
	p.send(m)
	if err := p.receive().Err(); !errors.Is(err, kind) {
		p.t.Errorf("%v: %v, want %q", m.Op(), err, kind)
	}
	if goesOn {
		p.ask(wire.NewRegCredRequest())
		return
	}
	if m, err := p.conn.Receive(p.t.Context()); err == nil {
		p.t.Errorf("a session that should be closed goes on with %v", m.Op())
	}
}

// token returns what the peer says of itself; over 2.0 it has one name.
func (p *peer) token(name string) *xlreg.Token {
	p.t.Helper()
	if !p.protocol.Classic() {
		if p.modern.Name != xlreg.Name(name) {
			p.t.Fatalf("%s calls itself %s", p.modern.Name, name)
		}
		t := *p.modern
		return &t
	}
	t := unsigned(p.keys, name)
	var err error
	if t.DigSig, err = keys.SignClassic(p.keys.Sig, t); err != nil {
		p.t.Fatal(err)
	}
	return t
}

func (p *peer) register(name string) xlreg.NodeID {
	p.t.Helper()
	id, _, err := p.ask(wire.NewMember(p.token(name))).MemberOK()
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *peer) create(name string, size uint32) xlreg.Cluster {
	p.t.Helper()
	spec := xlreg.ClusterSpec{Name: name, MaxSize: size, EndpointCount: 1, Attrs: xlreg.ClusterDeleted} // which has no effect
	c, err := p.ask(wire.NewCreate(spec)).Cluster(p.protocol)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

var protocols = []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20}

// perProtocol runs f once for each generation.
func perProtocol(t *testing.T, f func(t *testing.T, p xlreg.Protocol)) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) { f(t, p) })
	}
}

// raw is a message of any content at all.
func raw(t *testing.T, op uint64, fields ...[]byte) *wire.Message {
	t.Helper()
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), op)
	for _, f := range fields {
		b = append(b, f...)
	}
	m, err := wire.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWholeSession(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	perProtocol(t, func(t *testing.T, p xlreg.Protocol) {
		a := w.connect(p, testKeys()[1])
		id := a.register("a")
		name := "c" + strings.ReplaceAll(p.String(), ".", "")
		c := a.create(name, 3)
		if wantAttrs := xlreg.ClusterDeleted; p.Classic() && c.Attrs != 0 || !p.Classic() && c.Attrs != wantAttrs {
			t.Errorf("attrs %v over %v", c.Attrs, p)
		}
		joined, err := a.ask(wire.NewJoin(wire.JoinRequest{})).Cluster(p) // of the last Create
		if err != nil || joined != c {
			t.Fatalf("JoinReply %+v, %v; want %+v", joined, err, c)
		}
		got := a.ask(wire.NewGet(wire.GetRequest{Which: xlreg.AllSeats()}, xlreg.Protocol20))
		roster, err := got.Roster(p)
		if err != nil || len(roster.Members) != 1 || roster.Members[0].Token.ID != id {
			t.Fatalf("ClusterMembers: %+v, %v", roster, err)
		}
		if signed := keys.HasProofs(&roster.Members[0].Token); signed == p.Classic() {
			t.Errorf("token over %v carries the proofs of 2.0: %v", p, signed)
		}
		a.ask(wire.NewBye())
		if _, err := a.conn.Receive(t.Context()); !errors.Is(err, session.ErrClosed) {
			t.Errorf("after Bye: %v, want a close", err)
		}
	})
}

func TestDescribesItself(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	perProtocol(t, func(t *testing.T, p xlreg.Protocol) {
		r, err := w.connect(p, nil).ask(wire.NewRegCredRequest()).Credentials()
		if err != nil || r.ID != self || r.Version != xlreg.Version20 || r.SigKey != testKeys()[0].SigKey {
			t.Errorf("RegCredReply %+v, %v", r, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	join := func(*testing.T) *wire.Message {
		return wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: "nothing"}})
	}
	for _, tc := range []struct {
		name   string
		known  bool // after Member
		m      func(*testing.T) *wire.Message
		want   xlreg.Kind // over a classic carrier
		modern xlreg.Kind
		closes bool // over 2.0; a classic session always ends
	}{
		{"join before member", false, join, xlreg.ErrWrongState, xlreg.ErrIdentityRequired, false},
		{"join what is not there", true, join, xlreg.ErrNoSuchClusterName, xlreg.ErrNoSuchClusterName, false},
		{"join nothing", true, func(*testing.T) *wire.Message { return wire.NewJoin(wire.JoinRequest{}) },
			xlreg.ErrNoClusterNamed, xlreg.ErrNoClusterNamed, false},
		{"leave", true, func(*testing.T) *wire.Message { return wire.NewLeave(xlreg.ClusterRef{Name: "nothing"}) },
			xlreg.ErrWrongState, xlreg.ErrNoSuchClusterName, false},
		{"an op that servers send", true, func(*testing.T) *wire.Message { return wire.NewAck() },
			xlreg.ErrWrongState, xlreg.ErrWrongState, true},
		{"an op from the future", true, func(t *testing.T) *wire.Message { return raw(t, 99) },
			xlreg.ErrBadTag, xlreg.ErrBadTag, true},
		{"a negative op", true, func(t *testing.T) *wire.Message { return raw(t, 1<<64-1) },
			xlreg.ErrBadTag, xlreg.ErrBadTag, true},
		{"member of nothing", false, func(t *testing.T) *wire.Message { return raw(t, 3) },
			xlreg.ErrIllFormedToken, xlreg.ErrIllFormedToken, false},
		{"unknown ID", false, func(*testing.T) *wire.Message { return wire.NewLogin(self, []byte("sig")) },
			xlreg.ErrBadSignature, xlreg.ErrBadSignature, false},
		{"ill-formed name", true, func(*testing.T) *wire.Message { return wire.NewCreate(xlreg.ClusterSpec{Name: "1"}) },
			xlreg.ErrIllFormedName, xlreg.ErrIllFormedName, false},
		{"get what is not there", true, func(*testing.T) *wire.Message {
			return wire.NewGet(wire.GetRequest{Ref: xlreg.ClusterRef{ID: "x"}, Wait: true}, xlreg.Protocol20)
		}, xlreg.ErrNoSuchClusterID, xlreg.ErrNoSuchClusterID, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			perProtocol(t, func(t *testing.T, p xlreg.Protocol) {
				peer := w.connect(p, testKeys()[1])
				peer.t = t
				if tc.known {
					peer.register("a")
				}
				want := tc.want
				if !p.Classic() {
					want = tc.modern
				}
				peer.refused(tc.m(t), want, !p.Classic() && !tc.closes)
			})
		})
	}
}

// What deployed servers die of is refused, and the next client notices nothing.
func TestTokensThatOthersDieOf(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	field := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	for name, specs := range map[string][]byte{
		"empty":     nil,
		"no keys":   field(1, []byte("m")),
		"no name":   append(field(4, []byte(testKeys()[1].CommsKey)), field(5, []byte(testKeys()[1].SigKey))...),
		"key bytes": append(field(1, []byte("m")), field(4, []byte("key"))...),
		"wrong ID":  append(field(1, []byte("m")), field(3, make([]byte, 21))...),
		"too large": append(field(1, []byte("m")), field(7, make([]byte, xlreg.MaxTokenLen))...),
	} {
		t.Run(name, func(t *testing.T) {
			perProtocol(t, func(t *testing.T, p xlreg.Protocol) {
				peer := w.connect(p, testKeys()[1])
				peer.t = t
				peer.refused(raw(t, 3, field(11, specs)), xlreg.ErrIllFormedToken, !p.Classic())
				w.connect(p, testKeys()[1]).register("a")
			})
		})
	}
}

func TestGarbageIsClosedInSilence(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	for name, b := range map[string]string{
		"a hello of noise": strings.Repeat("\xA5", 256),
		"text":             "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("x", 256),
	} {
		t.Run(name, func(t *testing.T) {
			nc := w.tcp()
			if _, err := nc.Write([]byte(b)); err != nil {
				t.Fatal(err)
			}
			if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("answered with %d bytes, %v", n, err)
			}
		})
	}
	w.connect(xlreg.Protocol19, testKeys()[1]).register("a")
}

func TestSilenceIsClosed(t *testing.T) {
	silent := newWorld(t, nil, guard.Limits{Hello: 50 * time.Millisecond}).tcp()
	if n, err := silent.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a connection that says nothing is answered: %d, %v", n, err)
	}
	idle := newWorld(t, nil, guard.Limits{Idle: 50 * time.Millisecond}).connect(xlreg.Protocol20, nil)
	if _, err := idle.conn.Receive(t.Context()); err == nil {
		t.Error("an idle session is answered")
	}
}

func TestFramesPastTheLimitAreTold(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	for name, header := range map[string]string{"a gigabyte": "\x40\x00\x00\x00", "nothing": "\x00\x00\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			tc := tls.Client(w.tcp(), &tls.Config{
				InsecureSkipVerify: true, NextProtos: []string{"xlreg/2"},
			})
			if _, err := tc.Write([]byte(header + "what follows")); err != nil {
				t.Fatal(err)
			}
			head := make([]byte, 4)
			if _, err := tc.Read(head); err != nil {
				t.Fatal(err)
			}
			body := make([]byte, 1024)
			n, err := tc.Read(body[:int(head[3])|int(head[2])<<8])
			if err != nil {
				t.Fatal(err)
			}
			m, err := wire.Unmarshal(body[:n])
			if err != nil || !errors.Is(m.Err(), xlreg.ErrProtocol) {
				t.Errorf("answer %v, %v", m, err)
			}
		})
	}
}
