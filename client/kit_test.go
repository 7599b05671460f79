package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// testKeys are few, as they are slow to make: the registry's, and those that the
// nodes share, which have different names and IDs all the same.
var testKeys = sync.OnceValue(func() []*keys.Set {
	var all []*keys.Set
	for range 4 {
		key := newKey(2048)
		set, err := keys.NewSet(key, key)
		if err != nil {
			panic(err)
		}
		all = append(all, set)
	}
	return all
})

// memberKeys are for nodes over 2.0, where each has its own.
var memberKeys = sync.OnceValue(func() []*keys.Set {
	all := make([]*keys.Set, 80)
	for i := range all {
		set, err := keys.Generate(keys.P256, 0)
		if err != nil {
			panic(err)
		}
		all[i] = set
	}
	return all
})

// keysFor returns the keys of a member over p, by its number.
func keysFor(p xlreg.Protocol, i int) *keys.Set {
	if p.Classic() {
		return testKeys()[1+i%2]
	}
	return memberKeys()[i]
}

func newKey(bits int) keys.Private {
	generated, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	key, err := keys.NewPrivate(generated)
	if err != nil {
		panic(err)
	}
	return key
}

func TestMain(m *testing.M) {
	testKeys() // before any bubble of testing/synctest
	memberKeys()
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func newNode(t testing.TB, name string, endpoints ...xlreg.Endpoint) *identity.Node {
	t.Helper()
	if endpoints == nil {
		endpoints = []xlreg.Endpoint{"127.0.0.1:4001"}
	}
	return newNodeWith(t, 1, name, endpoints)
}

// newNodeWith makes a node with the test keys of the given number.
func newNodeWith(t testing.TB, set int, name string, endpoints []xlreg.Endpoint) *identity.Node {
	t.Helper()
	return newNodeOf(t, testKeys()[set], name, endpoints...)
}

// newNodeOf makes a node with these keys.
func newNodeOf(t testing.TB, set *keys.Set, name string, endpoints ...xlreg.Endpoint) *identity.Node {
	t.Helper()
	n, err := identity.NewNode(identity.Options{Name: xlreg.Name(name), Endpoints: endpoints, Keys: set})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// fake is a registry that does what a test tells it, over pipes that it hands out
// as a ContextDialer. Untold it registers whoever comes, and everybody who joins
// is in its one cluster, c of three.
type fake struct {
	t        testing.TB
	protocol xlreg.Protocol
	sessions sync.WaitGroup

	mu      sync.Mutex // guards all below
	server  *session.Server
	dialled int
	got     []request
	on      map[wire.Op]func(request) *wire.Message // nil answer: the connection is closed
	roster  xlreg.Roster
	changed chan struct{} // closed when the roster changes
}

// request is what a fake is asked.
type request struct {
	*wire.Message
	session int // the first is 1
	at      time.Time
	fake    *fake
	peer    session.Peer
	node    *xlreg.Token // what was registered in this session
}

func newFake(t testing.TB, p xlreg.Protocol) *fake {
	t.Helper()
	set := testKeys()[0]
	authority, err := session.NewAuthority(set.Sig, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server, err := session.NewServer(session.ServerConfig{
		Comms:     set.Comms.(keys.Decrypter),
		Authority: authority,
		Protocols: []xlreg.Protocol{p},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, server: server, protocol: p, on: make(map[wire.Op]func(request) *wire.Message), changed: make(chan struct{})}
	f.roster.Cluster = xlreg.Cluster{ID: xlreg.ClusterID(id("cluster")), Name: "c", MaxSize: 3, EndpointCount: 1}
	f.roster.State = xlreg.ClusterState{Epoch: 1, Revision: 1}
	t.Cleanup(f.sessions.Wait)
	return f
}

// id makes up an ID of 20 bytes.
func id(text string) string { return fmt.Sprintf("%-20s", text) }

// target is what leads a client to the fake.
func (f *fake) target() *regcred.Target {
	t, err := regcred.NewTarget(testCred(f.protocol.Version()))
	if err != nil {
		f.t.Fatal(err)
	}
	return t
}

func testCred(v xlreg.Version) *xlreg.Credentials {
	set := testKeys()[0]
	return &xlreg.Credentials{
		Name: "reg", ID: xlreg.NodeID(id("registry")), CommsKey: set.CommsKey, SigKey: set.SigKey,
		Endpoints: []xlreg.Endpoint{"127.0.0.1:9"}, Version: v,
	}
}

func (f *fake) options(n *identity.Node) client.Options {
	return client.Options{Node: n, Protocol: f.protocol, Dialer: f}
}

// DialContext implements client.ContextDialer.
func (f *fake) DialContext(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	f.mu.Lock()
	f.dialled++
	number := f.dialled
	f.mu.Unlock()
	f.sessions.Go(func() { f.serve(far, number) })
	return near, nil
}

func (f *fake) serve(nc net.Conn, number int) {
	ctx := context.Background()
	f.mu.Lock()
	server := f.server
	f.mu.Unlock()
	conn, err := server.Accept(ctx, nc)
	if err != nil {
		return
	}
	defer conn.Close()
	r := request{session: number, fake: f, peer: conn.Peer()}
	for {
		r.Message, err = conn.Receive(ctx)
		if err != nil {
			return
		}
		if req, err := r.Member(f.protocol); err == nil && r.Op() == wire.OpMember && req.Token != nil {
			r.node = req.Token
		}
		answer := f.answer(r)
		if answer == nil || conn.Send(ctx, answer) != nil || answer.Op() == wire.OpAck {
			return
		}
	}
}

func (f *fake) answer(r request) *wire.Message {
	r.at = time.Now()
	f.mu.Lock()
	f.got = append(f.got, r)
	told := f.on[r.Op()]
	f.mu.Unlock()
	if told != nil {
		return told(r)
	}
	return f.usual(r)
}

// usual is the answer of a registry that behaves, but does not wait.
func (f *fake) usual(r request) *wire.Message {
	switch r.Op() {
	case wire.OpMember:
		return wire.NewMemberOK(&xlreg.Token{Name: "n", ID: r.nodeID()})
	case wire.OpCreate:
		return f.reply(wire.OpCreateReply)
	case wire.OpJoin:
		f.join(r)
		return f.reply(wire.OpJoinReply)
	case wire.OpGetCluster:
		return f.members(r.get().Which)
	case wire.OpLeave:
		return wire.NewLeaveReply(f.roster.Cluster.ID)
	case wire.OpRegCredRequest:
		return wire.NewRegCredReply(testCred(f.protocol.Version()))
	}
	return wire.NewAck()
}

// reply is a CreateReply or JoinReply for the one cluster.
func (f *fake) reply(op wire.Op) *wire.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return wire.NewClusterReply(op, &f.roster.Cluster, f.roster.State, f.protocol)
}

// join gives the node of a session its seat.
func (f *fake) join(r request) {
	t := *r.node
	if asked, err := r.Join(f.protocol); err == nil {
		t.Seat.Run, t.Seat.Admission = asked.Run, asked.Admission
	}
	f.add(t, r.nodeID())
}

// get is what a GetCluster asks for.
func (r request) get() wire.GetRequest {
	get, err := r.Get(r.fake.protocol)
	if err != nil {
		r.fake.t.Error(err)
	}
	return get
}

// nodeID is the ID proposed, or else made from the name.
func (r request) nodeID() xlreg.NodeID {
	if r.node == nil || r.node.ID == "" {
		return xlreg.NodeID(id("node"))
	}
	return r.node.ID
}

// add puts a node into the roster, once.
func (f *fake) add(t xlreg.Token, id xlreg.NodeID) {
	t.ID, t.Seat.Joined = id, time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	members := f.roster.Members
	if slices.ContainsFunc(members, func(m xlreg.Member) bool { return m.Token.ID == id }) {
		return
	}
	f.roster.Members = append(slices.Clip(members), xlreg.Member{Index: len(members), Token: t})
	f.raise()
}

// raise makes what has changed a revision of its own. The caller holds mu.
func (f *fake) raise() {
	f.roster.State.Revision++
	close(f.changed)
	f.changed = make(chan struct{})
}

// addOther puts a node that never dials into the roster.
func (f *fake) addOther(name string) {
	f.mu.Lock()
	n := newNodeOf(f.t, keysFor(f.protocol, len(f.roster.Members)), name, "127.0.0.1:4001")
	f.mu.Unlock()
	f.addNode(n)
}

// addNode puts a node into the roster.
func (f *fake) addNode(n *identity.Node) {
	t, _, err := n.Token(f.protocol, "", time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	f.add(*t, xlreg.NodeID(id(string(n.Name()))))
}

func (f *fake) members(which xlreg.Seats) *wire.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := wire.EncodeRoster(&f.roster, f.protocol)
	if err != nil {
		f.t.Error(err)
		return nil
	}
	limit := xlreg.MaxReplyFrame
	if f.protocol.Classic() {
		limit = xlreg.MaxClassicMessage - 32
	}
	return e.Message(which, limit)
}

// wait answers a GetCluster as a registry does that knows how to wait.
func (f *fake) wait(r request) *wire.Message {
	get := r.get()
	f.waitFor(get)
	return f.members(get.Which)
}

// waitFor waits until there is what a request waits for.
func (f *fake) waitFor(get wire.GetRequest) {
	if !get.Wait {
		return
	}
	timeout := time.After(time.Duration(*get.WaitMillis) * time.Millisecond)
	for {
		f.mu.Lock()
		n, state, changed := len(f.roster.Members), f.roster.State, f.changed
		until := get.Until(f.roster.Cluster.MaxSize)
		f.mu.Unlock()
		if until.Met(n, state) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			return
		}
	}
}

// tell says how to answer requests of one kind from now on.
func (f *fake) tell(op wire.Op, answer func(request) *wire.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on[op] = answer
}

// requests returns those of one kind so far.
func (f *fake) requests(op wire.Op) []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	var some []request
	for _, r := range f.got {
		if r.Op() == op {
			some = append(some, r)
		}
	}
	return some
}

// dial opens a session that ends with the test.
func (f *fake) dial(n *identity.Node) *client.Client {
	f.t.Helper()
	c, err := client.Dial(f.t.Context(), f.target(), f.options(n))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c
}

// shortKey is one that only classic carriers accept.
var shortKey = sync.OnceValue(func() keys.Private { return newKey(1024) })

// hosts is a Resolver that knows some names.
type hosts map[string]string

func (h hosts) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	text, ok := h[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	a, err := netip.ParseAddr(text)
	return []netip.Addr{a}, err
}

// registryCertificate is a leaf of the kind that a registry shows, and its root.
func registryCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	sig := testKeys()[0].Sig.Signer()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	root, err := x509.CreateCertificate(rand.Reader, template, template, sig.Public(), sig)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, sig)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{leaf, root}, PrivateKey: key}
}
