package torture

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/regcred"
)

const (
	waiters     = xlreg.MaxClassicClusterSize
	returnBound = 2 * time.Second // within which all are complete after a restart
)

// A registry is killed while 63 members wait, and comes back. The last seat is taken
// only then, and everybody is told.
//
// The bound holds on a machine that does nothing else; so it is enough that one run
// of the long form keeps it. Neither form may lose anybody.
func TestRestartWhileMembersWait(t *testing.T) {
	alongside(t)
	best := time.Duration(-1)
	for i := range either(1, 5) {
		took := restartWhileMembersWait(t)
		t.Logf("run %d: %d members complete %v after the registry's return", i, waiters, took)
		if best < 0 || took < best {
			best = took
		}
	}
	if long() && best > returnBound {
		t.Errorf("at best %v, want at most %v", best, returnBound)
	}
}

func restartWhileMembersWait(t *testing.T) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := newProcess(t, t.TempDir(), nil)
	target := p.target(t)
	f := newFormation(t, waiters)
	for i := range waiters - 1 {
		f.begin(ctx, target, i)
	}
	f.untilJoined(t, target, waiters-1)
	before := f.ids(t, target)
	must(t, p.Kill())
	p.start(t)
	returned := time.Now()
	f.begin(ctx, target, waiters-1)
	must(t, f.members.Wait())
	took := time.Since(returned)
	f.check(t, before)
	must(t, p.Stop())
	return took
}

// formation is the members of one cluster, over all carriers in turn.
type formation struct {
	nodes   []*identity.Node
	rosters []*client.Roster
	members errgroup.Group
}

func newFormation(t *testing.T, n int) *formation {
	t.Helper()
	f := &formation{nodes: make([]*identity.Node, n), rosters: make([]*client.Roster, n)}
	for i := range f.nodes {
		set := memberKeys()[i%keyPairs]
		if !carrier(i).Classic() {
			set = modernKeys()[i/3]
		}
		node, err := identity.NewNode(identity.Options{
			Name: xlreg.Name(fmt.Sprintf("m%d", i)), Keys: set,
			Endpoints: []xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", firstVersion+i))},
		})
		must(t, err)
		f.nodes[i] = node
	}
	return f
}

func carrier(i int) xlreg.Protocol {
	return []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}[i%3]
}

// begin has member i form the cluster.
func (f *formation) begin(ctx context.Context, target *regcred.Target, i int) {
	f.members.Go(func() error {
		m, err := client.Form(ctx, target, client.FormOptions{
			Options: client.Options{Node: f.nodes[i], Protocol: carrier(i)},
			Cluster: xlreg.ClusterRef{Name: "c"}, Size: len(f.nodes), AllowUnverified: true, // carriers are mixed
		})
		if err == nil {
			f.rosters[i] = m.Roster()
		}
		return err
	})
}

// untilJoined waits until n have joined, who then do nothing but wait.
func (f *formation) untilJoined(t *testing.T, target *regcred.Target, n int) {
	t.Helper()
	c, err := client.Dial(t.Context(), target, client.Options{})
	must(t, err)
	defer c.Close()
	until(t, "all have joined", func() bool {
		r, err := c.Members(t.Context(), xlreg.ClusterRef{Name: "c"})
		return err == nil && len(r.Members) == n
	})
}

// ids returns who has which seat.
func (f *formation) ids(t *testing.T, target *regcred.Target) map[xlreg.Name]xlreg.Member {
	t.Helper()
	c, err := client.Dial(t.Context(), target, client.Options{})
	must(t, err)
	defer c.Close()
	r, err := c.Members(t.Context(), xlreg.ClusterRef{Name: "c"})
	must(t, err)
	seats := make(map[xlreg.Name]xlreg.Member)
	for _, m := range r.Members {
		seats[m.Token.Name] = m.Member
	}
	return seats
}

// check wants everybody to see everybody, with the IDs and indexes of before.
func (f *formation) check(t *testing.T, before map[xlreg.Name]xlreg.Member) {
	t.Helper()
	for i, r := range f.rosters {
		if len(r.Members) != len(f.nodes) {
			t.Fatalf("%s sees %d members", f.nodes[i].Name(), len(r.Members))
		}
		for name, was := range before {
			m := r.ByName(name)
			if m == nil || m.Token.ID != was.Token.ID || m.Index != was.Index {
				t.Fatalf("%s sees %s as %+v, before it was %+v", f.nodes[i].Name(), name, m, was)
			}
		}
	}
}

// A waiter whose connection dies costs nothing soon after: no connection, no
// goroutine, no wait.
func TestWaitersThatDie(t *testing.T) {
	data := memory.New()
	t.Cleanup(func() { must(t, data.Close()) })
	r := serve(t, func(cfg *host.Config) { cfg.Store = data })
	d := new(deadly)
	f := newFormation(t, waiters)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	joined(ctx, t, r.target, client.Options{Node: f.nodes[0]}).Close()
	until(t, "the registry is at rest", func() bool { return r.Stats().Open == 0 })
	before := runtime.NumGoroutine()
	var waiting sync.WaitGroup
	for i := range waiters - 1 {
		c := joined(ctx, t, r.target, client.Options{Node: f.nodes[i], Protocol: carrier(i), Dialer: d})
		waiting.Go(func() {
			defer c.Close()
			if _, err := c.Wait(ctx, xlreg.ClusterRef{}, 0); err == nil {
				t.Error("a wait ended with a roster")
			}
		})
	}
	until(t, "all wait", func() bool { return r.Stats().Waiting == waiters-1 })
	if open := r.Stats().Open; open != waiters-1 {
		t.Errorf("%d connections of %d", open, waiters-1)
	}
	d.kill()
	took := until(t, "nothing is left", func() bool { return r.Stats().Waiting == 0 && r.Stats().Open == 0 })
	waiting.Wait()
	took += until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
	t.Logf("%d waiters cost nothing %v after their death", waiters-1, took)
	if took > 10*returnBound {
		t.Errorf("that is too long")
	}
}

// joined is a client that has a seat in the cluster "c".
func joined(ctx context.Context, t *testing.T, target *regcred.Target, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(ctx, target, o)
	must(t, err)
	_, err = c.Register(ctx)
	must(t, err)
	_, err = c.Create(ctx, client.CreateOptions{Name: "c", Size: waiters})
	must(t, err)
	_, err = c.Join(ctx, xlreg.ClusterRef{})
	must(t, err)
	return c
}

// deadly makes connections that can be made to die all at once, without a goodbye:
// what a peer that crashed leaves to its system to say.
type deadly struct {
	net.Dialer
	mu  sync.Mutex
	all []*net.TCPConn // guarded by mu
}

// DialContext implements client.ContextDialer.
func (d *deadly) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, c.(*net.TCPConn))
	return c, nil
}

func (d *deadly) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, c := range d.all {
		if i%2 == 0 {
			_ = c.SetLinger(0) // a reset; the others end in order
		}
		_ = c.Close()
	}
}
