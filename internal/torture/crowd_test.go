//go:build linux

package torture

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/regcred"
)

const (
	crowdSize    = 8   // of each cluster
	crowdAtOnce  = 32  // members that register and join at the same time
	crowdSpare   = 500 // files that are open besides connections
	crowdTakes   = 15 * time.Minute
	mostClusters = 2000
)

// Thousands of clusters form at once: all of them wait before the first is complete,
// and every connection stays open until the last is. The registry is a process of
// its own, as one may not have so many files open.
func TestCrowd(t *testing.T) {
	alongside(t)
	clusters := min(either(25, mostClusters), openFiles(t)/crowdSize)
	p := newProcess(t, t.TempDir(), func(cfg *child.Config) {
		most := strconv.Itoa(clusters*crowdSize + crowdSpare/2)
		cfg.Args = []string{"--max-connections", most, "--max-connections-loopback", most}
	})
	ctx, cancel := context.WithTimeout(t.Context(), crowdTakes)
	defer cancel()
	c := newCrowd(p.target(t), clusters)
	began := time.Now()
	for seat := range crowdSize - 1 {
		c.join(ctx, seat)
	}
	must(t, c.failed())
	waiting := time.Now()
	c.join(ctx, crowdSize-1)
	must(t, c.failed())
	must(t, c.waits.Wait())
	anonymous, err := p.Anonymous()
	must(t, err)
	t.Logf("%d clusters of %d: all waiting after %v, all complete %v later; the registry has %d MiB",
		clusters, crowdSize, waiting.Sub(began), time.Since(waiting), anonymous>>20)
	c.check(t)
	c.close()
	must(t, p.Stop())
}

// openFiles returns how many connections this process may hold.
func openFiles(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	return int(min(limit.Cur, 1<<20)) - crowdSpare
}

// crowd is many clusters, each over a carrier of its own.
type crowd struct {
	target  *regcred.Target
	members [][crowdSize]crowdMember
	waits   errgroup.Group

	mu    sync.Mutex
	first error // guarded by mu
}

type crowdMember struct {
	client *client.Client
	id     xlreg.NodeID
	roster *client.Roster
}

func newCrowd(target *regcred.Target, clusters int) *crowd {
	return &crowd{target: target, members: make([][crowdSize]crowdMember, clusters)}
}

func (c *crowd) clusterName(i int) xlreg.Name { return xlreg.Name(fmt.Sprintf("k%d", i)) }

func (c *crowd) memberName(i, seat int) xlreg.Name {
	return xlreg.Name(fmt.Sprintf("k%d-m%d", i, seat))
}

// join has one more member of each cluster join, and returns when all have. They
// wait on.
func (c *crowd) join(ctx context.Context, seat int) {
	var joining errgroup.Group
	joining.SetLimit(crowdAtOnce)
	for i := range c.members {
		joining.Go(func() error {
			if err := c.joinOne(ctx, i, seat); err != nil {
				c.fail(fmt.Errorf("%s: %w", c.memberName(i, seat), err))
			}
			return nil
		})
	}
	_ = joining.Wait() // its errors are c's
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = err
	}
}

func (c *crowd) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

func (c *crowd) joinOne(ctx context.Context, i, seat int) error {
	if err := c.failed(); err != nil {
		return err
	}
	m := &c.members[i][seat]
	set, err := keysOf(seat, carrier(i))
	if err != nil {
		return err
	}
	node, err := identity.NewNode(identity.Options{
		Name: c.memberName(i, seat), Keys: set,
		Endpoints: []xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", firstVersion+seat))},
	})
	if err != nil {
		return err
	}
	if m.client, err = client.Dial(ctx, c.target, client.Options{Node: node, Protocol: carrier(i)}); err != nil {
		return err
	}
	if m.id, err = m.client.Register(ctx); err != nil {
		return err
	}
	if _, err = m.client.Create(ctx, client.CreateOptions{Name: c.clusterName(i), Size: crowdSize}); err != nil {
		return err
	}
	if _, err = m.client.Join(ctx, xlreg.ClusterRef{}); err != nil {
		return err
	}
	c.waits.Go(func() (err error) {
		m.roster, err = m.client.Wait(ctx, xlreg.ClusterRef{}, 0)
		return err
	})
	return nil
}

// check wants every member to see its own cluster whole, and no ID to be there twice.
func (c *crowd) check(t *testing.T) {
	t.Helper()
	must(t, c.failed())
	ids, clusters := make(map[xlreg.NodeID]bool), make(map[xlreg.ClusterID]bool)
	for i := range c.members {
		clusters[c.members[i][0].roster.Cluster.ID] = true
		for seat := range crowdSize {
			m := &c.members[i][seat]
			ids[m.id] = true
			c.checkRoster(t, i, m.roster)
		}
	}
	if len(ids) != len(c.members)*crowdSize || len(clusters) != len(c.members) {
		t.Errorf("%d IDs and %d clusters, want %d and %d", len(ids), len(clusters), len(c.members)*crowdSize, len(c.members))
	}
}

func (c *crowd) checkRoster(t *testing.T, i int, r *client.Roster) {
	t.Helper()
	first := c.members[i][0].roster
	if len(r.Members) != crowdSize || r.Cluster != first.Cluster || r.Cluster.Name != c.clusterName(i) {
		t.Fatalf("cluster %d is %+v with %d members", i, r.Cluster, len(r.Members))
	}
	if wrong := distinct(r, crowdSize); len(wrong) > 0 {
		t.Fatalf("cluster %d: %v", i, wrong)
	}
	for seat := range crowdSize {
		m := r.ByName(c.memberName(i, seat))
		if m == nil || m.Token.ID != c.members[i][seat].id || m.Index != first.ByID(m.Token.ID).Index {
			t.Fatalf("cluster %d shows %s as %+v", i, c.memberName(i, seat), m)
		}
	}
}

func (c *crowd) close() {
	var closing errgroup.Group
	closing.SetLimit(crowdAtOnce)
	for i := range c.members {
		for seat := range crowdSize {
			closing.Go(c.members[i][seat].client.Close)
		}
	}
	_ = closing.Wait() // Close has no error
}
