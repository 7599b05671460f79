package server_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
)

// refusals are those that a registry has told of.
type refusals struct {
	mu  sync.Mutex
	all []registry.Event
}

func (r *refusals) observe(e registry.Event) {
	if e.Kind != registry.EventRefused {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
}

func (r *refusals) take() []registry.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

// next returns the one refusal there has been.
func (r *refusals) next(t *testing.T) registry.Event {
	t.Helper()
	all := r.take()
	if len(all) != 1 {
		t.Fatalf("%d refusals were told: %+v", len(all), all)
	}
	return all[0]
}

func newRefusingWorld(t *testing.T, cfg registry.Config, l guard.Limits) (*world, *refusals) {
	t.Helper()
	r := new(refusals)
	cfg.Observe = r.observe
	return newWorldOf(t, cfg, l, nil), r
}

// Every request that is refused is told once, before its peer is answered: what was asked,
// by whom, and what the peer is told.
func TestRefusedRequestsAreTold(t *testing.T) {
	w, told := newRefusingWorld(t, registry.Config{}, guard.Limits{})
	a := w.connect(xlreg.Protocol20, testKeys()[1])
	a.refused(wire.NewCreate(xlreg.ClusterSpec{Name: "c"}), xlreg.ErrIdentityRequired, true)
	e := told.next(t)
	if e.Request != "Create" || e.Limit != "" || !errors.Is(e.Err, xlreg.ErrIdentityRequired) || e.By.Node != "" ||
		e.By.Protocol != xlreg.Protocol20 || !strings.HasPrefix(e.By.From, "127.0.0.1:") || e.Time.IsZero() {
		t.Errorf("told %+v", e)
	}
	id := a.register("a")
	a.refused(wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: "none"}}), xlreg.ErrNoSuchClusterName, true)
	if e := told.next(t); e.Request != "Join" || !errors.Is(e.Err, xlreg.ErrNoSuchClusterName) || e.By.Node != id {
		t.Errorf("told %+v", e)
	}
	a.send(wire.NewAck()) // no request
	if err := a.receive().Err(); !errors.Is(err, xlreg.ErrWrongState) {
		t.Errorf("an Ack: %v", err)
	}
	if e := told.next(t); e.Request != "Ack" {
		t.Errorf("told %+v", e)
	}
	old := w.connect(xlreg.Protocol19, testKeys()[1])
	old.refused(wire.NewCreate(xlreg.ClusterSpec{Name: "c"}), xlreg.ErrWrongState, false)
	if e := told.next(t); e.Request != "Create" || e.By.Protocol != xlreg.Protocol19 {
		t.Errorf("told %+v", e)
	}
}

// With a limit that is met goes the name of the flag that sets it.
func TestTheLimitOfARefusedRequestIsTold(t *testing.T) {
	get := wire.NewGet(wire.GetRequest{Ref: xlreg.ClusterRef{Name: "c"}, Which: xlreg.AllSeats()}, xlreg.Protocol20)
	for name, tc := range map[string]struct {
		limits guard.Limits
		bounds registry.Bounds
		ask    *wire.Message
	}{
		guard.WritesPerMinuteLoopback:  {limits: guard.Limits{WritesPerMinuteLoopback: 2}, ask: wire.NewJoin(wire.JoinRequest{})},
		guard.NewPerMinuteLoopback:     {limits: guard.Limits{LoopbackPerMinute: 1}, ask: wire.NewCreate(xlreg.ClusterSpec{Name: "d"})},
		guard.ReadMiBPerMinuteLoopback: {limits: guard.Limits{ReadMiBPerMinuteLoopback: 1}, ask: get},
		guard.MaxClusters:              {bounds: registry.Bounds{Clusters: 1}, ask: wire.NewCreate(xlreg.ClusterSpec{Name: "d"})},
	} {
		t.Run(name, func(t *testing.T) {
			w, told := newRefusingWorld(t, registry.Config{Bounds: tc.bounds}, tc.limits)
			a := w.connect(xlreg.Protocol20, testKeys()[1])
			a.register("a")
			a.create("c", 2)
			for range 5000 {
				a.send(tc.ask)
				if a.receive().Err() != nil {
					break
				}
			}
			if e := told.next(t); e.Limit != name || e.Request != tc.ask.Op().String() || xlreg.RetryAfter(e.Err) <= 0 {
				t.Errorf("told %+v", e)
			}
		})
	}
}

// What went wrong inside is nobody else's to know.
func TestARefusalSaysWhatThePeerIsTold(t *testing.T) {
	w, told := newRefusingWorld(t, registry.Config{Store: &failing{Store: memory.New()}}, guard.Limits{})
	a := w.connect(xlreg.Protocol20, nil)
	a.refused(wire.NewGet(wire.GetRequest{Ref: xlreg.ClusterRef{Name: "c"}}, xlreg.Protocol20), xlreg.ErrTryLater, true)
	if e := told.next(t); e.Err.Error() != xlreg.ErrTryLater.Error() || errors.Is(e.Err, errSecret) {
		t.Errorf("told %+v", e)
	}
}

var errSecret = errors.New("the disk /dev/sda3 has burnt down")

// failing is a store in which names are not found out.
type failing struct{ store.Store }

func (f *failing) View(ctx context.Context, do func(store.Reader) error) error {
	return f.Store.View(ctx, func(tx store.Reader) error { return do(failingReader{tx}) })
}

type failingReader struct{ store.Reader }

func (failingReader) Get(string) ([]byte, error) { return nil, errSecret }

// A flood of connections is no flood of events, and none is left out of the count.
func TestRefusedConnectionsAreTold(t *testing.T) {
	w, told := newRefusingWorld(t, registry.Config{}, guard.Limits{ConnectionsLoopback: 1})
	w.connect(xlreg.Protocol20, nil).ask(wire.NewRegCredRequest())
	const flood = 400
	for range flood {
		nc := w.tcp()
		nc.Close()
	}
	until(func() bool { return w.server.Stats().Refused == flood })
	events := told.take()
	sum := 0
	for _, e := range events {
		sum += 1 + e.Omitted
		if e.Request != "connection" || e.Limit != guard.MaxConnectionsLoopback || !errors.Is(e.Err, xlreg.ErrTooManyRequests) || !strings.HasPrefix(e.By.From, "127.0.0.1:") {
			t.Fatalf("told %+v", e)
		}
	}
	if len(events) < 90 || len(events) > flood/2 || sum > flood {
		t.Errorf("%d events of %d connections stand for %d", len(events), flood, sum)
	}
	if left := w.server.Omitted(guard.MaxConnectionsLoopback); sum+left != flood {
		t.Errorf("told of %d, and %d are still to be told, of %d", sum, left, flood)
	}
}

// Whoever waits when the server stops is told to come back, which is no refusal.
func TestAStopIsNoRefusal(t *testing.T) {
	w, told := newRefusingWorld(t, registry.Config{}, guard.Limits{})
	a := w.connect(xlreg.Protocol20, testKeys()[1])
	a.register("a")
	a.create("c", 2)
	a.send(wire.NewGet(wire.GetRequest{Wait: true, Which: xlreg.AllSeats()}, xlreg.Protocol20))
	until(func() bool { return w.server.Stats().Waiting == 1 })
	w.stop()
	if err := a.receive().Err(); !errors.Is(err, xlreg.ErrTryLater) {
		t.Errorf("told %v", err)
	}
	if events := told.take(); len(events) > 0 {
		t.Errorf("refusals: %+v", events)
	}
}
