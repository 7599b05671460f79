package linear

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

const (
	patience  = 30 * time.Second      // with a registry that does not answer
	lookAgain = 10 * time.Millisecond // while no registry listens
)

// target is the registry that clients talk to.
type target struct {
	cred  *xlreg.Credentials
	dies  bool // it is killed now and then: answers may be lost
	nodes *nodes
	inner *inner // nil if it is a process of its own, or several servers

	// settled returns when the registry is at peace again, before the last reader reads;
	// nil if it always is.
	settled func(context.Context) error
	lasting bool // seats do not go with connections, since those end when nobody can say
}

// rules returns those that a history of this registry is held against.
func (to *target) rules() rules {
	r := rules{self: to.cred.ID}
	if to.inner != nil {
		r.start = to.inner.clock.began
	}
	return r
}

// client asks one thing after the other, in sessions of random carriers and lengths.
// It is session.Connect and wire on purpose, and not package client: that would not
// ask what makes no sense, and hides what the registry does not answer.
type client struct {
	*target
	number int
	world  *world
	rec    *recorder
	rnd    *rand.Rand
	left   int // requests
	hurry  int // one in so many times it moves the clock instead

	restless bool // it joins and leaves more often than not

	// Of the session that is under way.
	conn     session.Conn
	protocol xlreg.Protocol
	key      int
	said     node         // over 2.0: what the session's certificate is of
	own      node         // over 2.0: said, once it has registered
	self     xlreg.NodeID // empty before the first MemberOK
	joined   []xlreg.ClusterRef
	session  int  // its number, among all
	closed   bool // its connection
}

// errOver says that the session cannot go on, which is no fault of anybody.
var errOver = errors.New("session is over")

// run asks until nothing is left to be asked.
func (c *client) run(ctx context.Context) error {
	for c.left > 0 {
		if err := c.converse(ctx); err != nil && !errors.Is(err, errOver) {
			return fmt.Errorf("client %d: %w", c.number, err)
		}
	}
	return nil
}

// converse is one session.
func (c *client) converse(ctx context.Context) error {
	c.protocol = []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20, xlreg.Protocol20}[c.rnd.IntN(4)]
	c.begin(c.rnd.IntN(keysPerWorld))
	if err := c.dial(ctx); err != nil {
		return err
	}
	return errors.Join(c.talk(ctx), c.finish())
}

func (c *client) talk(ctx context.Context) error {
	longest := 10
	if !c.protocol.Classic() {
		longest = 25 // errors do not end it
	}
	for range 2 + c.rnd.IntN(longest) {
		if c.left--; c.left < 0 {
			return nil
		}
		if err := c.ask(ctx, c.choose()); err != nil {
			return err
		}
	}
	return nil
}

// begin forgets the last session, and chooses who speaks in the next.
func (c *client) begin(key int) {
	c.key, c.self, c.own, c.joined = c.world.number*keysPerWorld+key, "", node{}, nil
	if c.said = (node{}); !c.protocol.Classic() {
		c.said = c.description()
	}
}

// finish ends a session. Over 2.0 seats may go with a connection, which is part of the
// history where somebody can say when. Where nobody can, and now and then elsewhere, the
// connection stays open until its world ends.
func (c *client) finish() error {
	switch {
	case c.protocol.Classic():
		c.close()
		return nil
	case c.inner == nil || c.rnd.IntN(2) == 0:
		c.world.park(c.conn)
		return nil
	}
	return c.alone(&request{verb: hangUp, session: c.session}, func() error {
		c.close()
		return c.inner.settle()
	})
}

// close ends the connection. It may be called again.
func (c *client) close() {
	if c.closed {
		return
	}
	c.closed = true
	if c.inner != nil {
		c.inner.connected.Add(-1)
	}
	_ = c.conn.Close() // whatever the peer thinks of that
}

// alone does what cannot be done at one moment while others ask, and records it.
func (c *client) alone(rq *request, do func() error) error {
	c.inner.turn.Lock()
	defer c.inner.turn.Unlock()
	began := c.rec.now()
	err := do()
	c.rec.end(c.number, began, rq, new(answer))
	return err
}

// dial opens a session, as soon as somebody listens. Who has not sent a request has
// asked nothing, so what fails here is not part of the history.
func (c *client) dial(ctx context.Context) error {
	for {
		err := c.connect(ctx)
		if err == nil || !c.dies {
			return err
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

func (c *client) connect(ctx context.Context) error {
	defer c.share()()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c.protocol.Classic() {
		return c.open(ctx, nil)
	}
	return c.open(ctx, &tls.Certificate{
		Certificate: [][]byte{c.nodes.certificates[c.said]}, PrivateKey: c.nodes.keys[c.key].Sig.Signer(),
	})
}

// open opens a session, in which over 2.0 the certificate may be shown.
func (c *client) open(ctx context.Context, cert *tls.Certificate) error {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", string(c.endpoint()))
	if err != nil {
		return err
	}
	c.session, c.closed = c.inner.connects(), false
	cfg := session.ClientConfig{Protocol: c.protocol, CommsKey: c.cred.CommsKey, SigKey: c.cred.SigKey, Certificate: cert}
	if c.conn, err = session.Connect(ctx, nc, cfg); err != nil && c.inner != nil {
		c.inner.connected.Add(-1)
	}
	return err
}

// endpoint is that of any of the servers.
func (c *client) endpoint() xlreg.Endpoint {
	if all := c.cred.Endpoints; len(all) > 1 {
		return pick(c.rnd, all)
	}
	return c.cred.Endpoints[0]
}

// share is for what may be done while others ask, but not while the clock moves.
func (c *client) share() (release func()) {
	if c.inner == nil {
		return func() {}
	}
	c.inner.turn.RLock()
	return c.inner.turn.RUnlock
}

// ask sends a request and records what comes of it. It returns errOver if the
// session ends with that.
func (c *client) ask(ctx context.Context, rq *request) error {
	if rq.verb == pass {
		return c.alone(rq, func() error { return c.inner.clock.move(rq.by) })
	}
	defer c.share()()
	rq.session = c.session
	m, err := c.message(rq)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked := c.rec.begin()
	reply, err := c.exchange(ctx, m)
	if err != nil {
		c.rec.end(c.number, asked, rq, &answer{lost: true})
		if c.dies || errors.Is(err, errOver) {
			return errOver
		}
		return fmt.Errorf("%v was not answered: %w", rq, err)
	}
	a, err := c.read(rq, reply)
	if err != nil {
		return fmt.Errorf("answer to %v: %w", rq, err)
	}
	c.rec.end(c.number, asked, rq, a)
	if a.kind == xlreg.ErrTryLater && !c.dies {
		return fmt.Errorf("%v was not served: %w", rq, reply.Err())
	}
	if a.lost || a.kind != 0 && c.protocol.Classic() {
		c.close() // the registry has done so, or will
		return errOver
	}
	c.learn(rq, a)
	return nil
}

// exchange sends m and receives the reply. Once in a while it does not wait for that.
func (c *client) exchange(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	if c.inner != nil && c.inner.deaf && m.Op() == wire.OpGetCluster && !c.protocol.Classic() {
		return c.anonymously(ctx, m)
	}
	if err := c.conn.Send(ctx, m); err != nil {
		return nil, err
	}
	lost := c.rnd.IntN(60) == 0 && !c.lasting // enough answers are lost there as it is
	if lost && c.inner == nil {
		return nil, errOver
	}
	reply, err := c.conn.Receive(ctx)
	if lost { // but it has been served before the clock moves
		return nil, errOver
	}
	return reply, err
}

// anonymously asks as nobody: so the registry does not hear from the node.
func (c *client) anonymously(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	nobody := &client{target: c.target, protocol: c.protocol}
	if err := nobody.open(ctx, nil); err != nil {
		return nil, err
	}
	defer nobody.close()
	if err := nobody.conn.Send(ctx, m); err != nil {
		return nil, err
	}
	return nobody.conn.Receive(ctx)
}

// message returns the request as it is sent.
func (c *client) message(rq *request) (*wire.Message, error) {
	switch rq.verb {
	case register:
		return wire.NewMember(c.nodes.token(rq)), nil
	case logIn:
		return c.loginMessage(rq)
	case create:
		spec := xlreg.ClusterSpec{
			Name: string(rq.asks.name), MaxSize: rq.asks.size, EndpointCount: rq.asks.ends, Key: rq.asks.owner,
		}
		if spec.Key != "" {
			c.nodes.owner.SignCreate(&spec)
		}
		return wire.NewCreate(spec), nil
	case join:
		return c.joinMessage(rq)
	case leave:
		return wire.NewLeave(rq.ref), nil
	case order:
		return wire.NewOrder(c.nodes.owner.SignOrder(wire.EncodeOrder(xlreg.Order{
			Cluster: rq.ref.ID, Serial: rq.orders.serial, Kind: rq.orders.kind, KeySum: keys.KeySum(c.nodes.keys[rq.orders.key].SigKey),
		}))), nil
	}
	g := wire.GetRequest{Ref: rq.ref, Which: xlreg.AllSeats()}
	if c.rnd.IntN(8) == 0 {
		size, millis := uint32(1+c.rnd.IntN(4)), uint32(1+c.rnd.IntN(20))
		g.Wait, g.WaitSize, g.WaitMillis = true, &size, &millis
	}
	return wire.NewGet(g, c.protocol), nil
}

// joinMessage brings the owner's leave where one is needed.
func (c *client) joinMessage(rq *request) (*wire.Message, error) {
	m := wire.JoinRequest{Ref: rq.ref, Run: xlreg.Run(rq.run), Fresh: rq.fresh, Lease: rq.lease}
	if rq.modern && rq.ref.Key != "" {
		a, err := c.nodes.owner.Admit(c.world.nameOf(rq.ref), c.nodes.keys[rq.key].SigKey)
		if err != nil {
			return nil, err
		}
		m.Admission = wire.EncodeAdmission(a)
	}
	return wire.NewJoin(m), nil
}

func (c *client) loginMessage(rq *request) (*wire.Message, error) {
	if !c.protocol.Classic() {
		return wire.NewLogin(rq.id, nil), nil
	}
	proof, err := keys.SignLogin(c.nodes.keys[rq.node.key].Sig, c.conn.Peer().Salt, rq.id)
	return wire.NewLogin(rq.id, proof), err
}

// ops are the requests on the wire. That of a reply is its request's and one.
var ops = map[verb]wire.Op{
	register: wire.OpMember, logIn: wire.OpMember, create: wire.OpCreate,
	join: wire.OpJoin, leave: wire.OpLeave, get: wire.OpGetCluster, order: wire.OpOrder,
}

// read makes an answer of a reply. That the registry cannot say whether a change is
// kept is as good as no answer.
func (c *client) read(rq *request, reply *wire.Message) (*answer, error) {
	if err := reply.Err(); err != nil {
		kind, _ := xlreg.KindOf(err)
		return &answer{kind: kind, lost: kind == xlreg.ErrTryLater}, nil
	}
	if want := ops[rq.verb] + 1; reply.Op() != want {
		return nil, fmt.Errorf("%v instead of %v", reply.Op(), want)
	}
	a := new(answer)
	var err error
	switch rq.verb {
	case register, logIn:
		a.id, _, err = reply.MemberOK()
		return a, err
	case leave:
		a.cluster, err = reply.Cluster(c.protocol)
		a.cluster.Name = rq.ref.Name
		return a, err
	}
	said := reply.State(c.protocol)
	a.told = told{epoch: said.Epoch, orders: said.Orders}
	if c.inner != nil {
		a.revision = said.Revision
	}
	if rq.verb == join && c.inner != nil {
		a.lease = reply.Lease()
	}
	if a.cluster, err = reply.Cluster(c.protocol); err != nil || rq.verb != get {
		return a, err
	}
	roster, err := reply.Roster(c.protocol)
	if err != nil {
		return a, err
	}
	a.blind = c.protocol.Classic()
	for _, m := range roster.Members {
		for len(a.seats) <= m.Index {
			a.seats, a.stays = append(a.seats, seat{}), append(a.stays, stay{})
		}
		a.seats[m.Index] = seat{m.Token.ID, c.nodes.describe(&m.Token)}
		a.stays[m.Index] = stay{string(m.Token.Seat.Run), m.Token.Seat.Lease}
	}
	whole := &xlreg.Roster{Cluster: roster.Cluster, State: roster.State, Members: roster.Members}
	if !a.blind && keys.RosterSum(whole) != roster.Sum {
		return a, errors.New("a roster with another sum than it says")
	}
	return a, nil
}

// learn remembers what the session needs, and tells the other clients of the world
// which nodes and clusters there are.
func (c *client) learn(rq *request, a *answer) {
	if a.kind != 0 {
		return
	}
	switch rq.verb {
	case register, logIn:
		c.self, c.joined, c.own = a.id, nil, node{}
		if rq.verb == register {
			c.own = c.said
		}
		c.world.addNode(a.id, rq.node.key)
	case join:
		c.joined = append(c.joined, rq.ref)
		fallthrough
	case create, get, order:
		c.world.addCluster(&a.cluster, a.orders)
	}
}

// nodes are what nodes can register, with their keys: signed once, since signing is
// what takes long.
type nodes struct {
	keys         []*keys.Set
	owner        *keys.Owner     // of the clusters with a key
	certificates map[node][]byte // of what is said over 2.0
	tokens       map[node]*xlreg.Token
}

// newNodes makes all nodes of these names and keys with no, one and two endpoints,
// for all carriers.
func newNodes(sets []*keys.Set, names ...xlreg.Name) (*nodes, error) {
	all := &nodes{
		keys: sets, owner: keys.NewOwner(), certificates: make(map[node][]byte), tokens: make(map[node]*xlreg.Token),
	}
	for key, k := range sets {
		for i := range 3 * len(names) {
			t := &xlreg.Token{
				Name: names[i/3], CommsKey: k.CommsKey, SigKey: k.SigKey,
				Endpoints: []xlreg.Endpoint{"10.0.0.1:1", "10.0.0.1:2"}[:i%3],
			}
			if err := all.add(key, t); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// add signs a token in both ways.
func (n *nodes) add(key int, t *xlreg.Token) (err error) {
	set, classic, modern := n.keys[key], *t, *t
	var errs [5]error
	var der []byte
	classic.DigSig, errs[0] = keys.SignClassic(set.Sig, t)
	modern.Certificate, errs[1] = keys.NewCertificate(set.Sig, t, time.Now(), 24*time.Hour)
	modern.DigSig2, errs[2] = keys.SignToken(set.Sig, &modern)
	modern.CommsSig, errs[3] = keys.SignComms(set.Comms, &modern)
	der, errs[4] = keys.BuildCertificate(&modern)
	said := n.describe(&modern)
	n.tokens[n.describe(&classic)], n.tokens[said], n.certificates[said] = &classic, &modern, der
	return errors.Join(errs[:]...)
}

// token returns the token that a registration carries.
func (n *nodes) token(rq *request) *xlreg.Token {
	t := *n.tokens[rq.node]
	t.ID = rq.id
	return &t
}

// describe returns what a token says. A proof is told by its beginning.
func (n *nodes) describe(t *xlreg.Token) node {
	d := node{name: t.Name, key: -1}
	for i, k := range n.keys {
		if k.SigKey == t.SigKey && k.CommsKey == t.CommsKey {
			d.key = i
		}
	}
	ends := make([]string, len(t.Endpoints))
	for i, e := range t.Endpoints {
		ends[i] = string(e)
	}
	d.ends = strings.Join(ends, " ")
	if len(t.DigSig2) > 0 {
		d.proof = fmt.Sprintf("%x", t.DigSig2[:4])
	}
	return d
}
