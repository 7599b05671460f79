//go:build linux

package partition

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// long reports whether there are minutes to spend.
func long() bool { return os.Getenv("XLREG_LONG") != "" }

// goal is how long after the moment when the registry can be reached and the cluster is
// full every member has its roster, with the times that there are by default.
const goal = 35 * time.Second

var protocols = []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}

// testKeys are the registry's, those of classic members, and those of members over 2.0, where
// each needs its own and has no seat but one.
var testKeys = sync.OnceValue(func() []*keys.Set {
	all := make([]*keys.Set, 4)
	for i := range all {
		set, err := keys.Generate(keys.RSA, keys.DefaultBits)
		if err != nil {
			panic(err)
		}
		all[i] = set
	}
	return all
})

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// world is a registry that may be on either machine, with one memory.
type world struct {
	*network
	node    *identity.Node
	store   store.Store
	running *host.Host
	stop    func() error // and wait
	target  *regcred.Target
	shuffle func(n int, swap func(i, j int)) // of endpoints; nil: at random
}

func newWorld(t *testing.T) *world {
	t.Helper()
	node := must[*identity.Node](t)(identity.NewNode(identity.Options{Name: "xlReg", Keys: testKeys()[0]}))
	w := &world{network: newNetwork(t), node: node, store: memory.New()}
	t.Cleanup(func() {
		if err := errors.Join(w.stop(), w.store.Close()); err != nil {
			t.Error(err)
		}
	})
	w.start(0)
	w.target = must[*regcred.Target](t)(regcred.NewTarget(w.running.Cred()))
	return w
}

// start runs the registry on a machine.
func (w *world) start(machine int) {
	w.t.Helper()
	err := within(w.machines[machine], func() (err error) {
		w.running, err = host.Open(host.Config{Node: w.node, Store: w.store, Listen: []string{registryAddr + ":7700"}})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	running := w.running
	go func() { served <- running.Serve(ctx) }()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-served, running.Close())
	})
}

// lose takes the registry's machine away, with a network that hears nothing of it.
func (w *world) lose() {
	w.t.Helper()
	w.drop()
	if err := w.stop(); err != nil {
		w.t.Error(err)
	}
}

// form has a member of its own form the cluster.
func (w *world) form(p xlreg.Protocol, i, n int, limits client.Limits) error {
	set := testKeys()[1]
	if !p.Classic() {
		set = testKeys()[2+i/len(protocols)]
	}
	node, err := identity.NewNode(identity.Options{
		Name: xlreg.Name(fmt.Sprintf("m%d", i)), Keys: set, Endpoints: []xlreg.Endpoint{"10.77.0.2:7000"},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Minute)
	defer cancel()
	m, err := client.Form(ctx, w.target, client.FormOptions{
		Options: client.Options{Node: node, Protocol: p, Dialer: w.network, Limits: limits, Shuffle: w.shuffle},
		Cluster: xlreg.ClusterRef{Name: "c"}, Size: n, AllowUnverified: true, // some speak 1.8 and 1.9
	})
	if err == nil && len(m.Roster().Members) != n {
		err = fmt.Errorf("%d members", len(m.Roster().Members))
	}
	return err
}

// until looks again and again until ok is true, or the test's time is over.
func (w *world) until(ok func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		<-tick.C
	}
}

// elapse lets so much time go by as what is tested takes.
func elapse(d time.Duration) { <-time.After(d) }

// event is something that happens to the network while members wait. When it returns,
// the registry can be reached.
type event struct {
	name   string
	happen func(w *world)
	relay  func(r *relay) // instead, where the clients come through a relay
}

// events are told by how much longer they take than the moment that they need.
func events(pause func(time.Duration)) []event {
	hole := func(d time.Duration) event {
		return event{name: fmt.Sprintf("hole of %v", d), happen: func(w *world) { w.drop(); pause(d); w.pass() }}
	}
	return []event{
		{name: "power cycle", happen: func(w *world) { w.lose(); pause(20 * time.Second); w.start(0); w.pass() }},
		{name: "half-open relay", relay: (*relay).freeze},
		{name: "another machine takes over the address", happen: func(w *world) {
			first := w.stop
			w.start(1)
			w.t.Cleanup(func() {
				if err := first(); err != nil {
					w.t.Error(err)
				}
			})
			w.leadTo(1)
		}},
		{name: "address gone and back", happen: func(w *world) {
			w.in(w.machines[0], "ip", "addr", "del", registryAddr+"/32", "dev", "eth0")
			pause(20 * time.Second)
			w.address(w.machines[0], registryAddr, "eth0", w.gateways[0])
		}},
		hole(5 * time.Second), hole(time.Minute), hole(5 * time.Minute),
	}
}

// TestFormPastEvents is the short form: what takes seconds takes a tenth of it, for clients
// and for what happens. The rest of its goal is for a machine that does much else; it is less
// than a client would take with its real times.
func TestFormPastEvents(t *testing.T) {
	const share = 10
	for _, e := range events(func(d time.Duration) { elapse(min(d, time.Minute) / share) }) {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			formPast(t, e, 100*time.Millisecond, client.Limits{Silence: 30 * time.Second / share}, 25*time.Second)
		})
	}
}

// TestFormPastEventsForReal holds the goal, over every carrier, with members that are at
// different moments of their waits.
func TestFormPastEventsForReal(t *testing.T) {
	if !long() {
		t.Skip("takes minutes: XLREG_LONG=1")
	}
	for _, e := range events(elapse) {
		for _, at := range []time.Duration{time.Second, 6 * time.Second, 24 * time.Second} {
			t.Run(fmt.Sprintf("%s after %v", e.name, at), func(t *testing.T) {
				t.Parallel()
				formPast(t, e, at, client.Limits{}, goal)
			})
		}
	}
}

// formPast has a member of each carrier wait for one more, which comes when the event is
// over.
func formPast(t *testing.T, e event, at time.Duration, limits client.Limits, goal time.Duration) {
	w := newWorld(t)
	if e.relay != nil {
		r := relayed(t, w)
		e.happen = func(*world) { e.relay(r) }
	}
	n := len(protocols) + 1
	var g errgroup.Group
	for i, p := range protocols {
		g.Go(func() error { return w.form(p, i, n, limits) })
	}
	w.until(func() bool { return w.running.Stats().Waiting == len(protocols) })
	elapse(at)
	e.happen(w)
	full := time.Now()
	g.Go(func() error { return w.form(xlreg.Protocol20, n-1, n, limits) })
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(full)
	t.Logf("complete after %v", took)
	if took > goal {
		t.Errorf("complete after %v", took)
	}
}

// TestTheServerFindsDeadPeers lets clients vanish that wait: the registry has to close
// their connections as soon as they would find out about it.
func TestTheServerFindsDeadPeers(t *testing.T) {
	if !long() {
		t.Skip("takes half a minute: XLREG_LONG=1")
	}
	t.Parallel()
	w := newWorld(t)
	var g errgroup.Group
	for i, p := range protocols {
		g.Go(func() error { return w.form(p, i, len(protocols)+1, client.Limits{}) })
	}
	w.until(func() bool { return w.running.Stats().Waiting == len(protocols) })
	elapse(time.Second)
	w.drop()
	gone := time.Now()
	w.until(func() bool { return w.running.Stats().Open == 0 })
	if took := time.Since(gone); took > goal {
		t.Errorf("closed after %v", took)
	}
	w.pass()
	g.Go(func() error { return w.form(xlreg.Protocol20, len(protocols), len(protocols)+1, client.Limits{}) })
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}
