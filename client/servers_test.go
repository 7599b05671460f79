package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
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

// Sixty-three of sixty-four members wait on three servers, spread over them. The busiest is
// killed, and all wait again, much sooner than by any timeout; the one that comes last completes
// the cluster.
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
	most := max(5*time.Second, time.Since(began)) // it takes a tenth of a second where nothing else runs
	open := r.sessions()
	busiest := slices.Index(open, slices.Max(open))
	if open[busiest] > 2*(n-1)/len(open) || slices.Min(open) == 0 {
		t.Errorf("sessions are spread as %v", open)
	}
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

// A member that watches, with a lease, and a reader each hear of every change once, while the
// servers are killed one after another, and the member keeps its seat.
func TestWatchAndLeaseOutliveServers(t *testing.T) {
	data := memory.New()
	r := startMany(t, 3, data)
	ctx := patient(t)
	o := r.options(xlreg.Protocol20, member(t, 0), "c", 2)
	o.Lease, o.NoWait = 2*time.Second, true
	m := must[*client.Membership](t)(client.Form(ctx, r.target(), o))
	t.Cleanup(func() { m.Close() })
	watch := watching(t, m.Watch(ctx))
	reader := watching(t, client.Watch(ctx, r.target(), client.WatchOptions{Cluster: clusterC}))
	reader.want("+m0")
	var last uint64
	for i, line := range r.lines {
		other := r.options(xlreg.Protocol20, member(t, 1), "c", 2)
		came := must[*client.Membership](t)(client.Form(ctx, r.target(), other))
		for _, w := range []*changes{watch, reader} {
			if c := w.want("+m1"); c.Roster.State.Revision <= last {
				t.Errorf("revision %d after %d", c.Roster.State.Revision, last)
			}
		}
		if i < len(r.lines)-1 {
			line.kill()
		}
		if err := came.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		for _, w := range []*changes{watch, reader} {
			last = w.want("-m1").Roster.State.Revision
		}
	}
	select { // by now a server that has not heard of a member would have ended its lease
	case <-time.After(3 * o.Lease):
	case <-ctx.Done():
	}
	if roster, err := m.Refresh(ctx); err != nil || len(roster.Members) != 1 || m.Err() != nil {
		t.Errorf("%v, %v, %v", roster, err, m.Err())
	}
}

// A server that stops sends those who wait to the others, at once.
func TestAServerThatStopsIsLeft(t *testing.T) {
	r := startMany(t, 2, memory.New())
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
	until(ctx, t, func() bool { return r.servers[0].server.Stats().Waiting == 1 })
	start := time.Now()
	if err := r.servers[0].stop(); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, func() bool { return r.servers[1].server.Stats().Waiting == 1 })
	if took := time.Since(start); took > 800*time.Millisecond { // it said to come back in a second
		t.Errorf("waits elsewhere after %v", took)
	}
	_, err := client.Form(ctx, r.target(), r.options(xlreg.Protocol20, member(t, 1), "c", 2))
	if err := errors.Join(err, <-done); err != nil {
		t.Error(err)
	}
	if len(told) != 1 || !errors.Is(told[0], xlreg.ErrTryLater) {
		t.Errorf("told of %v", told)
	}
}
