package hostile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// mostSteps bounds how much is said in one world.
const mostSteps = 40

// FuzzSession takes what is fuzzed for what three rogues do to valid
// conversations, over any carrier: which message comes next, what is dropped from
// it, repeated, reordered, exchanged or cut. No bytes at all are no mischief.
// After each world the registry still serves, and its records are in order.
func FuzzSession(f *testing.F) {
	cast := newCast(f)
	for _, p := range plain {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		inWorld(t, cast, func(w *world) { w.play(&choices{b}) })
	})
}

// TestMutatedSessions is FuzzSession with bytes from a generator: some dozens of
// worlds, and in the long form thousands.
func TestMutatedSessions(t *testing.T) {
	cast := newCast(t)
	worlds := 50
	if long() {
		worlds = 3000
	}
	said := make(map[string]int)
	for seed := range worlds {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		b := make([]byte, 100+random.IntN(200))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		inWorld(t, cast, func(w *world) {
			for kind, n := range w.play(&choices{b}) {
				said[kind] += n
			}
		})
		if t.Failed() {
			t.Fatalf("with the bytes of seed %d: %x", seed, b)
		}
	}
	t.Logf("%d worlds: %v", worlds, said)
	for _, kind := range []string{"MemberOK", "CreateReply", "JoinReply", "ClusterMembers", "Ack", "Error", "hung up"} {
		if said[kind] == 0 {
			t.Errorf("mischief never led to %s: it does not reach where it should", kind)
		}
	}
}

// plain are conversations without mischief: the next message each time, over each
// carrier and over all at once.
var plain = [][]byte{
	nil,
	conversation(0, 0), conversation(0, 1), conversation(0, 2),
}

// conversation returns the choices that make one rogue say all there is to say,
// as it should be, over the carrier that has the number given.
func conversation(who, carrier byte) []byte {
	b := []byte{who, carrier, who, 0}
	for range 2 * len(script) {
		b = append(b, 0, 0, 0, 0, who)
	}
	return b
}

// talker is one session of a rogue's.
type talker struct {
	raw
	w       *world
	rogue   *rogue
	p       xlreg.Protocol
	unknown bool // over 2.0: shows no certificate
	next    int  // place in the script
	gone    bool // its connection
}

// over ends the connection. It may be called again.
func (t *talker) over() {
	if !t.gone {
		t.gone = true
		t.w.held--
		_ = t.Close() // whatever the registry thinks of that
	}
}

// play has rogues do what the choices say, and counts what they are answered.
func (w *world) play(c *choices) map[string]int {
	w.t.Helper()
	answers := make(map[string]int)
	var talkers [3]*talker
	for range mostSteps {
		if c.none() {
			break
		}
		i := c.below(len(talkers))
		if talkers[i] == nil {
			talkers[i] = w.open(c)
		}
		goesOn, answered := talkers[i].step(c)
		for _, kind := range answered {
			answers[kind]++
		}
		if !goesOn {
			talkers[i].over()
			talkers[i] = nil
		}
	}
	for _, t := range talkers {
		if t != nil {
			t.over()
		}
	}
	return answers
}

func (w *world) open(c *choices) *talker {
	w.t.Helper()
	t := &talker{
		w: w, p: carriers[c.below(len(carriers))], rogue: w.cast.rogues[c.below(len(w.cast.rogues))],
		unknown: c.below(8) == 1,
	}
	cert := t.rogue.cert
	if t.unknown {
		cert = nil
	}
	var err error
	if t.raw, err = connectRaw(w.host.Bound()[0], t.p, w.comms, cert); err != nil {
		w.t.Fatal(err)
	}
	w.held++
	return t
}

// carriers are tried so often: over 2.0 a session outlives its errors.
var carriers = []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18, xlreg.Protocol20, xlreg.Protocol20}

// script is a whole conversation, in order.
var script = []func(*talker, *choices) *wire.Message{
	(*talker).register,
	func(*talker, *choices) *wire.Message { return wire.NewRegCredRequest() },
	func(_ *talker, c *choices) *wire.Message {
		return wire.NewCreate(xlreg.ClusterSpec{Name: clusterName(c), MaxSize: uint32(2 + c.below(2)), EndpointCount: 1})
	},
	func(*talker, *choices) *wire.Message { return wire.NewJoin(wire.JoinRequest{}) },
	func(*talker, *choices) *wire.Message {
		return wire.NewGet(wire.GetRequest{Which: xlreg.AllSeats()}, xlreg.Protocol20)
	},
	func(_ *talker, c *choices) *wire.Message {
		name := xlreg.Name(clusterName(c))
		return wire.NewGet(wire.GetRequest{Ref: xlreg.ClusterRef{Name: name}, Which: xlreg.AllSeats(), Wait: true}, xlreg.Protocol20)
	},
	func(_ *talker, c *choices) *wire.Message {
		return wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: xlreg.Name(clusterName(c))}})
	},
	func(*talker, *choices) *wire.Message { return wire.NewLeave(xlreg.ClusterRef{}) },
	(*talker).logIn,
	(*talker).createKeyed,
	(*talker).joinKeyed,
	(*talker).joinFresh,
	(*talker).news,
	(*talker).order,
	func(*talker, *choices) *wire.Message { return wire.NewBye() },
}

// clusterName returns one of few, so that rogues meet.
func clusterName(c *choices) string { return []string{"c0", "c0", "c1", ""}[c.below(4)] }

// register makes a Member, in which the rogue proposes no ID, its own, or one that
// belongs to somebody.
func (t *talker) register(c *choices) *wire.Message {
	t.w.t.Helper()
	var id xlreg.NodeID
	if ids := append([]xlreg.NodeID{t.w.host.Cred().ID}, t.w.ids...); c.below(4) == 1 {
		id = ids[c.below(len(ids))]
	}
	token, _, err := t.rogue.node.Token(t.p, id, time.Now())
	if err != nil {
		t.w.t.Fatal(err)
	}
	return wire.NewMember(token)
}

func (t *talker) logIn(c *choices) *wire.Message {
	t.w.t.Helper()
	ids := append([]xlreg.NodeID{t.w.host.Cred().ID}, t.w.ids...)
	id := ids[c.below(len(ids))]
	if t.p == xlreg.Protocol20 {
		return wire.NewLogin(id, nil)
	}
	sig, err := keys.SignLogin(t.rogue.node.Keys().Sig, t.salt(), id)
	if err != nil {
		t.w.t.Fatal(err)
	}
	return wire.NewLogin(id, sig)
}

// step says one message, and reports whether the session goes on, and what came.
func (t *talker) step(c *choices) (goesOn bool, answers []string) {
	t.w.t.Helper()
	at := t.next
	if c.below(4) == 1 {
		at = c.below(len(script))
	}
	t.next = (at + 1) % len(script)
	b, err := script[at](t, c).Append(nil)
	if err != nil {
		t.w.t.Fatal(err)
	}
	t.w.pool = append(t.w.pool, harvest(b)...)
	for range max(0, c.below(8)-5) { // mostly none, or a conversation would not get far
		b = mutate(c, b, t.w.pool)
	}
	times := 1
	if c.below(8) == 1 {
		times = 2
	}
	return t.exchange(b, times)
}

// exchange sends a message so many times and reads that many answers. What is
// refused must change no record, nor take one away.
func (t *talker) exchange(b []byte, times int) (goesOn bool, answers []string) {
	t.w.t.Helper()
	t.w.settle()
	before, endedBefore := t.w.data.count()
	done := false
	for range times {
		if err := t.send(b); err != nil {
			break // the answer says more
		}
	}
	goesOn = true
	for i := 0; i < times && goesOn; i++ {
		kind := t.answer(b)
		goesOn = kind != "hung up" && kind != "Ack"
		done = done || goesOn && kind != "Error"
		answers = append(answers, kind)
	}
	if !goesOn {
		t.over()
	}
	t.w.settle()
	after, ended := t.w.data.count()
	if !goesOn { // and seats may have gone with the connection
		after -= ended - endedBefore
	}
	if !done && after != before {
		t.w.t.Errorf("%d changes by what was answered over %v with %v: %x", after-before, t.p, answers, b)
	}
	return goesOn, answers
}

// answer reads one reply and holds it against who asked.
func (t *talker) answer(asked []byte) string {
	t.w.t.Helper()
	b, err := t.receive()
	if hungUp(err) {
		return "hung up"
	}
	if err != nil {
		t.w.t.Fatalf("neither an answer nor an end over %v after %x: %v", t.p, asked, err)
	}
	m, err := wire.Unmarshal(b)
	if err != nil {
		t.w.t.Fatalf("answered %x: %v", b, err)
	}
	t.w.pool = append(t.w.pool, harvest(b)...)
	if m.Op() == wire.OpMemberOK {
		t.checkIdentity(m)
	}
	if err := m.Err(); err != nil {
		if _, ok := xlreg.KindOf(err); !ok {
			t.w.t.Errorf("an error of no kind: %v", err)
		}
	}
	return m.Op().String()
}

// checkIdentity makes sure that whoever became a node has its key.
func (t *talker) checkIdentity(m *wire.Message) {
	t.w.t.Helper()
	id, _, err := m.MemberOK()
	if err != nil {
		t.w.t.Fatal(err)
	}
	t.w.ids = append(t.w.ids, id)
	var node records.Node
	err = t.w.data.View(t.w.t.Context(), func(r store.Reader) (err error) {
		node, err = records.NewReader(r).Node(id)
		return err
	})
	if err != nil {
		t.w.t.Fatal(err)
	}
	if t.p == xlreg.Protocol20 && (t.unknown || node.Token.SigKey != t.rogue.node.Keys().SigKey) {
		t.w.t.Errorf("%s became %s over 2.0, without its key", t.rogue.node.Name(), node.Token.Name)
	}
	if len(t.w.ids) > 8 {
		t.w.ids = t.w.ids[1:]
	}
}

// Each field of each message is changed in each way, one at a time, in a session
// that has come to where the message belongs: over 2.0, and in the long form over
// the classic carriers, where most of what is wrong needs another session.
func TestEachField(t *testing.T) {
	cast := newCast(t)
	for _, p := range carriers[:3] {
		if p.Classic() && !long() {
			continue
		}
		t.Run(p.String(), func(t *testing.T) {
			inWorld(t, cast, func(w *world) {
				for at := range script {
					w.changeEach(p, at)
				}
			})
		})
	}
}

// changeEach sends a message of the script once for each way to change it.
func (w *world) changeEach(p xlreg.Protocol, at int) {
	w.t.Helper()
	var t *talker
	sent := make(map[string]bool)
	for variant := range maxVariants {
		for i := range 20 {
			if t == nil {
				t = w.openAt(p, at)
			}
			for _, b := range t.changed(at, i, byte(variant)) {
				if sent[string(b)] {
					continue
				}
				sent[string(b)] = true
				if goesOn, _ := t.exchange(b, 1); !goesOn {
					t.over()
					t = w.openAt(p, at)
				}
			}
		}
	}
	t.over()
}

// maxVariants is how many edges, contents and types there are to choose from.
const maxVariants = 12

// openAt opens a session and leads it to a place in the script.
func (w *world) openAt(p xlreg.Protocol, at int) *talker {
	w.t.Helper()
	r, err := connectRaw(w.host.Bound()[0], p, w.comms, w.cast.rogues[0].cert)
	if err != nil {
		w.t.Fatal(err)
	}
	w.held++
	t := &talker{w: w, p: p, rogue: w.cast.rogues[0], raw: r}
	for t.next < min(at, 4) { // what comes later needs no more than a seat
		t.step(&choices{})
	}
	return t
}

// changed returns a message with its i-th field, the token's fields counted too,
// changed in every way.
func (t *talker) changed(at, i int, variant byte) [][]byte {
	t.w.t.Helper()
	m, err := script[at](t, &choices{}).Append(nil)
	if err != nil {
		t.w.t.Fatal(err)
	}
	var all [][]byte
	for _, change := range mutations {
		c := &choices{bytes.Repeat([]byte{variant}, 8)}
		fields := split(bytes.Clone(m))
		if i < len(fields) {
			all = append(all, join(change(c, fields, i, t.w.pool)))
			continue
		}
		last := len(fields) - 1
		token, _ := fields[last].content()
		if inner := split(bytes.Clone(token)); fields[last].number == specsField && i-last-1 < len(inner) {
			fields[last] = bytesField(specsField, join(change(c, inner, i-last-1, t.w.pool)))
			all = append(all, join(fields))
		}
	}
	return all
}

// The choices that do no mischief lead through a whole conversation.
func TestPlainConversations(t *testing.T) {
	cast := newCast(t)
	for carrier, p := range carriers[:3] {
		t.Run(p.String(), func(t *testing.T) {
			inWorld(t, cast, func(w *world) {
				said := w.play(&choices{conversation(0, byte(carrier))})
				if got := fmt.Sprint(said); said["MemberOK"] == 0 || said["JoinReply"] == 0 || said["ClusterMembers"] == 0 {
					t.Errorf("answered %s", got)
				}
				t.Log(said)
			})
		})
	}
}
