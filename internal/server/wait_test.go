package server_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
)

func waitFor(size, millis uint32) *wire.Message {
	return wire.NewGet(wire.GetRequest{Which: xlreg.AllSeats(), Wait: true, WaitSize: &size, WaitMillis: &millis}, xlreg.Protocol20)
}

// until looks again and again until ok is true, or the test's time is over.
func until(ok func() bool) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		<-tick.C
	}
}

const forEver = 300_000 // milliseconds; past every test's end

func TestWaitEndsWhenTheClusterIsFull(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	perProtocol(t, func(t *testing.T, p xlreg.Protocol) {
		a, b := w.connect(p, testKeys()[1]), w.connect(p, testKeys()[2])
		a.t, b.t = t, t
		a.register("a")
		c := a.create("w"+fmt.Sprint(int(p)), 2)
		a.ask(wire.NewJoin(wire.JoinRequest{}))
		a.send(waitFor(2, forEver))
		b.register("b")
		b.ask(wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}))
		roster, err := a.receive().Roster(p)
		if err != nil || len(roster.Members) != 2 {
			t.Errorf("the wait ended with %+v, %v", roster, err)
		}
	})
}

func TestWaitEndsWithItsTime(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	perProtocol(t, func(t *testing.T, p xlreg.Protocol) {
		a := w.connect(p, testKeys()[1])
		a.t = t
		a.register("a")
		a.create("t"+fmt.Sprint(int(p)), 2)
		a.ask(wire.NewJoin(wire.JoinRequest{}))
		for _, get := range []*wire.Message{
			waitFor(2, 0), waitFor(0, forEver), waitFor(1, forEver), waitFor(2, 20),
		} {
			roster, err := a.ask(get).Roster(p)
			if err != nil || len(roster.Members) != 1 {
				t.Errorf("%+v, %v", roster, err)
			}
		}
	})
}

// What is pipelined behind a wait is answered after it, in order.
func TestRequestsBehindAWait(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a, b := w.connect(xlreg.Protocol20, testKeys()[1]), w.connect(xlreg.Protocol20, testKeys()[2])
	a.register("a")
	c := a.create("p", 2)
	a.ask(wire.NewJoin(wire.JoinRequest{}))
	a.send(waitFor(2, forEver))
	a.send(wire.NewRegCredRequest())
	a.send(wire.NewBye())
	b.register("b")
	b.ask(wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}))
	for _, want := range []wire.Op{wire.OpClusterMembers, wire.OpRegCredReply, wire.OpAck} {
		if m := a.receive(); m.Op() != want {
			t.Fatalf("%v, want %v", m.Op(), want)
		}
	}
}

func TestPeerThatGoesAwayWaitsNoMore(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	perProtocol(t, func(t *testing.T, p xlreg.Protocol) {
		a := w.connect(p, testKeys()[1])
		a.t = t
		a.register("a")
		a.create("g"+fmt.Sprint(int(p)), 2)
		a.send(waitFor(2, forEver))
		until(func() bool { return w.server.Stats().Waiting == 1 })
		a.conn.Close()
		until(func() bool { return w.server.Stats().Open == 0 })
		if n := w.server.Stats().Waiting; n != 0 {
			t.Errorf("%d wait", n)
		}
	})
}

// 64 members that wait for each other make 64 requests and get 64 replies.
func TestFormationDoesNotPoll(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	const all = xlreg.MaxClassicClusterSize
	var wg sync.WaitGroup
	for i := range all {
		name := fmt.Sprint("m", i)
		p := w.connectAs(protocols[i%3], testKeys()[1], name)
		if !p.protocol.Classic() {
			p = w.guest(name)
		}
		wg.Go(func() {
			if p.protocol.Classic() {
				p.register(name)
			}
			p.create("all", all)
			p.ask(wire.NewJoin(wire.JoinRequest{}))
			p.ask(waitFor(all, forEver))
			p.ask(wire.NewBye())
		})
	}
	wg.Wait()
	stats := w.server.Stats()
	if got := stats.Requests[wire.OpGetCluster]; got != all {
		t.Errorf("%d waiting requests, want 64", got)
	}
	if got := stats.Replies[wire.OpClusterMembers]; got != all {
		t.Errorf("%d replies, want 64", got)
	}
	if stats.Replies[wire.OpError] != 0 || stats.Panics != 0 {
		t.Errorf("%d errors, %d panics", stats.Replies[wire.OpError], stats.Panics)
	}
}

// A server that stops answers what it has, tells those that wait to come back,
// and ends idle sessions.
func TestStop(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	waiting, idle := w.connect(xlreg.Protocol20, testKeys()[1]), w.connect(xlreg.Protocol19, testKeys()[2])
	idle.register("b")
	waiting.register("a")
	waiting.create("s", 2)
	waiting.send(waitFor(2, forEver))
	waiting.send(wire.NewRegCredRequest()) // behind it
	until(func() bool { return w.server.Stats().Requests[wire.OpGetCluster] == 1 })
	w.stop()
	err := waiting.receive().Err()
	if !errors.Is(err, xlreg.ErrTryLater) || xlreg.RetryAfter(err) <= 0 {
		t.Errorf("a waiting reader is told %v", err)
	}
	if m := waiting.receive(); m.Op() != wire.OpRegCredReply {
		t.Errorf("what was behind the wait is answered with %v", m.Op())
	}
	if _, err := idle.conn.Receive(t.Context()); !errors.Is(err, session.ErrClosed) {
		t.Errorf("an idle session ends with %v", err)
	}
	err = <-w.served
	w.served <- err
	if err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// A peer that takes nothing does not keep a stopping server longer than the
// drain time.
func TestStopIsBounded(t *testing.T) {
	st := &stuckStore{Store: memory.New(), entered: make(chan struct{})}
	w := newWorld(t, st, guard.Limits{Drain: 50 * time.Millisecond})
	a := w.connect(xlreg.Protocol20, testKeys()[1])
	a.send(wire.NewMember(a.token("a")))
	<-st.entered
	w.stop()
	err := <-w.served
	w.served <- err
	if err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// stuckStore takes as long to write as its caller has patience.
type stuckStore struct {
	store.Store
	entered chan struct{}
}

func (s *stuckStore) Update(ctx context.Context, _ func(store.Writer) error) error {
	close(s.entered)
	<-ctx.Done()
	return ctx.Err()
}

// A fault in one session ends that one only.
func TestPanic(t *testing.T) {
	w := newWorld(t, &panickyStore{Store: memory.New()}, guard.Limits{})
	a := w.connect(xlreg.Protocol20, testKeys()[1])
	a.send(wire.NewMember(a.token("a")))
	if m, err := a.conn.Receive(t.Context()); err == nil {
		t.Errorf("answered with %v", m.Op())
	}
	if _, err := w.connect(xlreg.Protocol20, nil).ask(wire.NewRegCredRequest()).Credentials(); err != nil {
		t.Error(err)
	}
	if n := w.server.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
}

type panickyStore struct{ store.Store }

func (*panickyStore) Update(context.Context, func(store.Writer) error) error {
	panic("a fault of ours")
}

func TestFullDisk(t *testing.T) {
	st := &fullStore{Store: memory.New()}
	w := newWorld(t, st, guard.Limits{})
	a := w.connect(xlreg.Protocol20, testKeys()[1])
	st.full.Store(true)
	a.refused(wire.NewMember(a.token("a")), xlreg.ErrTryLater, true)
	st.full.Store(false)
	a.register("a")
}

// fullStore cannot write while it is full.
type fullStore struct {
	store.Store
	full atomic.Bool
}

func (s *fullStore) Update(ctx context.Context, f func(store.Writer) error) error {
	if s.full.Load() {
		return errors.New("no space left on device")
	}
	return s.Store.Update(ctx, f)
}

func TestLimitOfNewNodes(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{LoopbackPerMinute: 2})
	w.guest("a")
	w.guest("b")
	a := w.connect(xlreg.Protocol20, testKeys()[1])
	a.send(wire.NewMember(a.token("a")))
	err := a.receive().Err()
	if !errors.Is(err, xlreg.ErrTooManyRequests) || xlreg.RetryAfter(err) <= 0 {
		t.Errorf("the third new node in a minute: %v", err)
	}
}

// A session that waits for the sixth time keeps about the stack of one that waits for the
// first, though it has sent rosters in between. Without the hand-over it would be
// twice as much; what the runtime gives new goroutines differs by up to a half.
func TestWaitingAgainCostsNoMore(t *testing.T) {
	const sessions, times = 200, 6
	w := newWorld(t, nil, guard.Limits{})
	ref := xlreg.ClusterRef{ID: w.guest("m0").create("w", times+1).ID}
	wait := func(size uint32) *wire.Message {
		millis := uint32(forEver)
		return wire.NewGet(wire.GetRequest{Ref: ref, Which: xlreg.AllSeats(), Wait: true, WaitSize: &size, WaitMillis: &millis}, xlreg.Protocol20)
	}
	join := func(i int) {
		p := w.guest(fmt.Sprint("m", i))
		p.ask(wire.NewJoin(wire.JoinRequest{Ref: ref}))
		p.ask(wire.NewBye())
	}
	stacks := func() int64 {
		until(func() bool { return w.server.Stats().Waiting == sessions })
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.StackInuse)
	}
	peers := make([]*peer, sessions)
	for i := range peers {
		peers[i] = w.connect(xlreg.Protocol20, nil)
		peers[i].send(wait(1))
	}
	first := stacks()
	for i := range times - 1 {
		join(i + 1)
		for _, p := range peers {
			p.receive()
			p.send(wait(uint32(i + 2)))
		}
	}
	if grown := stacks() - first; grown > first*3/4 {
		t.Errorf("%d bytes of stack for each session more", grown/sessions)
	}
}
