package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// doomed is a listener whose server can be killed: all that it has accepted is reset, as
// the system does with the connections of a process that ends.
type doomed struct {
	net.Listener

	mu   sync.Mutex
	open []*net.TCPConn // guarded by mu
	dead bool           // guarded by mu
}

func (d *doomed) Accept() (net.Conn, error) {
	nc, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = append(d.open, nc.(*net.TCPConn))
	if d.dead {
		d.reset()
	}
	return nc, nil
}

func (d *doomed) kill() {
	d.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	d.reset()
}

func (d *doomed) reset() {
	for _, nc := range d.open {
		_ = nc.SetLinger(0)
		nc.Close()
	}
}

// many is a registry of several servers on one store.
type many struct {
	*registryFor // the first, with the endpoints of all
	servers      []*running
	lines        []*doomed
}

func startMany(t *testing.T, n int, data store.Store) *many {
	t.Helper()
	m := new(many)
	var endpoints []xlreg.Endpoint
	for i := range n {
		l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
		line := &doomed{Listener: l}
		server := records.Server{ID: records.ServerID(fmt.Sprint("server-", i)), Reads: records.NewestVersion}
		announce(t, data, &server)
		r := must[*running](t)(serveAs(server.ID, line, data))
		t.Cleanup(func() { _ = r.stop() }) // some are killed, which is an error of theirs
		m.servers, m.lines = append(m.servers, r), append(m.lines, line)
		endpoints = append(endpoints, r.cred.Endpoints...)
	}
	first := *m.servers[0]
	cred := *first.cred
	cred.Endpoints = endpoints
	first.cred = &cred
	m.registryFor = &registryFor{running: &first, t: t}
	return m
}

// announce has the others know of a server, as a database does.
func announce(t *testing.T, data store.Store, s *records.Server) {
	t.Helper()
	key, value, err := s.Record()
	if err == nil {
		err = data.Update(t.Context(), func(w store.Writer) error { return w.Put(key, value) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sessions returns how many each server has open.
func (m *many) sessions() []int {
	open := make([]int, len(m.servers))
	for i, s := range m.servers {
		open[i] = s.server.Stats().Open
	}
	return open
}

// until looks again and again until ok is true, or the context ends.
func until(ctx context.Context, t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}

// Sixty-three of sixty-four members wait on three servers. The busiest is killed, and all wait
// again, much sooner than by any timeout; the one that comes last completes the cluster.
func TestAServerIsKilledWhileManyWait(t *testing.T) {
	const n = 64
	r := startMany(t, 3, memory.New())
	ctx := patient(t)
	var g errgroup.Group
	form := func(i int) {
		o := r.options(xlreg.Protocol20, member(t, i), "c", n)
		g.Go(func() error {
			m, err := client.Form(ctx, r.target(), o)
			if err == nil && len(m.Roster().Members) != n {
				err = fmt.Errorf("%d members", len(m.Roster().Members))
			}
			return err
		})
	}
	began := time.Now()
	for i := range n - 1 {
		form(i)
	}
	waiting := func() (all int) {
		for _, s := range r.servers {
			all += s.server.Stats().Waiting
		}
		return all
	}
	until(ctx, t, func() bool { return waiting() == n-1 })
	most := max(15*time.Second, time.Since(began)) // it takes a tenth of a second where nothing else runs
	open := r.sessions()
	busiest := slices.Index(open, slices.Max(open))
	r.lines[busiest].kill()
	killed := time.Now()
	until(ctx, t, func() bool { return r.sessions()[busiest] == 0 && waiting() == n-1 })
	if took := time.Since(killed); took > most {
		t.Errorf("all wait again after %v", took)
	} else {
		t.Logf("%v, and %v after the kill all wait again: %v", open, took, r.sessions())
	}
	form(n - 1)
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// bubbled is a registry of several servers on one store, with networks that lead to them, all
// of them in a bubble: there no sign of life comes late, however busy the machine is.
type bubbled struct {
	*registryFor // the first, with the endpoints of all
	networks     []*network
}

func newBubbled(t *testing.T, n int) *bubbled {
	t.Helper()
	b, data := new(bubbled), memory.New()
	for i := range n {
		server := records.Server{ID: records.ServerID(fmt.Sprint("server-", i)), Reads: records.NewestVersion}
		announce(t, data, &server)
		b.networks = append(b.networks, newNetworkTo(t, 9+i, server.ID, data))
	}
	first := *b.networks[0].registry
	cred := *first.cred
	for _, other := range b.networks[1:] {
		cred.Endpoints = append(cred.Endpoints, other.registry.cred.Endpoints...)
	}
	first.running = &running{server: first.server, cred: &cred, stop: first.stop}
	b.registryFor, first.dialer = &first, b
	return b
}

// DialContext implements client.ContextDialer.
func (b *bubbled) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	for _, n := range b.networks {
		if n.Addr().String() == address {
			return n.cable().DialContext(ctx, network, address)
		}
	}
	return nil, errRefused
}

// Members are spread over the servers of a registry: nobody tries a second one for the
// first's being slow, as on a busy machine, since in a bubble none is.
func TestMembersAreSpreadOverServers(t *testing.T) { synctest.Test(t, membersAreSpread) }

func membersAreSpread(t *testing.T) {
	const n = 64
	r := newBubbled(t, 3)
	ctx := patient(t)
	var g errgroup.Group
	form := func(i int) {
		o := r.options(xlreg.Protocol20, member(t, i), "c", n)
		g.Go(func() error { _, err := client.Form(ctx, r.target(), o); return err })
	}
	for i := range n - 1 {
		form(i)
	}
	open := make([]int, len(r.networks))
	until(ctx, t, func() bool {
		waiting := 0
		for i, one := range r.networks {
			stats := one.registry.server.Stats()
			open[i] = stats.Open
			waiting += stats.Waiting
		}
		return waiting == n-1
	})
	if slices.Max(open) > 2*(n-1)/len(open) || slices.Min(open) == 0 {
		t.Errorf("sessions are spread as %v", open)
	}
	form(n - 1)
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// A member that watches, with a lease, and a reader each hear of every change once, while the
// servers are killed one after another, and the member keeps its seat.
func TestWatchAndLeaseOutliveServers(t *testing.T) { synctest.Test(t, watchAndLeaseOutliveServers) }

func watchAndLeaseOutliveServers(t *testing.T) {
	r := newBubbled(t, 3)
	ctx := patient(t)
	o := r.options(xlreg.Protocol20, member(t, 0), "c", 2)
	o.Lease, o.NoWait = 2*time.Second, true
	m := must[*client.Membership](t)(client.Form(ctx, r.target(), o))
	t.Cleanup(func() { m.Close() })
	watch := watching(t, m.Watch(ctx))
	reader := watching(t, client.Watch(ctx, r.target(), client.WatchOptions{Options: client.Options{Dialer: r}, Cluster: clusterC}))
	reader.want("+m0")
	var last uint64
	for i, n := range r.networks {
		other := r.options(xlreg.Protocol20, member(t, 1), "c", 2)
		came := must[*client.Membership](t)(client.Form(ctx, r.target(), other))
		for _, w := range []*changes{watch, reader} {
			if c := w.want("+m1"); c.Roster.State.Revision <= last {
				t.Errorf("revision %d after %d", c.Roster.State.Revision, last)
			}
		}
		if i < len(r.networks)-1 {
			n.kill()
		}
		if err := came.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		for _, w := range []*changes{watch, reader} {
			last = w.want("-m1").Roster.State.Revision
		}
	}
	elapse(3 * o.Lease) // by then a server that has not heard of a member would have ended its lease
	if roster, err := m.Refresh(ctx); err != nil || len(roster.Members) != 1 || m.Err() != nil {
		t.Errorf("%v, %v, %v", roster, err, m.Err())
	}
}

// A server that stops sends those who wait to the others, at once.
func TestAServerThatStopsIsLeft(t *testing.T) { synctest.Test(t, serverThatStopsIsLeft) }

func serverThatStopsIsLeft(t *testing.T) {
	r := newBubbled(t, 2)
	ctx := patient(t)
	o := r.options(xlreg.Protocol20, member(t, 0), "c", 2)
	o.Shuffle = asWritten
	var told []error
	o.Progress = func(p client.Progress) {
		if p.Err != nil {
			told = append(told, p.Err)
		}
	}
	done := make(chan error)
	go func() { _, err := client.Form(ctx, r.target(), o); done <- err }()
	waitsAt := func(i int) func() bool {
		return func() bool { return r.networks[i].registry.server.Stats().Waiting == 1 }
	}
	until(ctx, t, waitsAt(0))
	start := time.Now()
	stopped := make(chan error)
	go func() { stopped <- r.networks[0].registry.stop() }()
	until(ctx, t, waitsAt(1))
	if took := time.Since(start); took > 100*time.Millisecond { // it said to come back in a second
		t.Errorf("waits elsewhere after %v", took)
	}
	_, err := client.Form(ctx, r.target(), r.options(xlreg.Protocol20, member(t, 1), "c", 2))
	if err := errors.Join(err, <-done, <-stopped); err != nil {
		t.Error(err)
	}
	if len(told) != 1 || !errors.Is(told[0], xlreg.ErrTryLater) {
		t.Errorf("told of %v", told)
	}
}
