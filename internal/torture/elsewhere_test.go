package torture

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/storetest/line"
	"github.com/xlattice/xlreg/regcred"
)

// leaving is a way in which one of three servers is lost, and after what time all its
// clients wait at the others.
type leaving struct {
	name   string
	happen func(t *testing.T, p *process, toStore []*line.Line)
	mend   func(t *testing.T, p *process, toStore []*line.Line)
	goal   time.Duration
}

func waysToLeave() []leaving {
	each := func(do func(*line.Line)) func(*testing.T, *process, []*line.Line) {
		return func(_ *testing.T, _ *process, toStore []*line.Line) {
			for _, l := range toStore {
				do(l)
			}
		}
	}
	return []leaving{
		{"killed", func(t *testing.T, p *process, _ []*line.Line) { must(t, p.Kill()) },
			func(t *testing.T, p *process, _ []*line.Line) { p.start(t) }, time.Second},
		{"cut off from etcd", each((*line.Line).Cut), each((*line.Line).Mend), 5 * time.Second},
		{"etcd says nothing to it", each((*line.Line).Hold), each((*line.Line).Release), 5 * time.Second},
	}
}

// One of three servers is lost while 63 members wait, and all of them wait again at the
// other two. The last seat is taken only then, and everybody is told. The server that is
// lost takes no clients until it is back, and knows then what happened meanwhile.
//
// The bounds hold on a machine that does nothing else; so it is enough that one run of the
// long form keeps them. Neither form may lose anybody.
func TestServerIsLostWhileMembersWait(t *testing.T) {
	alongside(t)
	for _, way := range waysToLeave() {
		t.Run(way.name, func(t *testing.T) {
			best := time.Duration(-1)
			for range either(1, 9) {
				took := loseServer(t, way)
				t.Logf("all wait again after %v", took)
				if best < 0 || took < best {
					best = took
				}
			}
			if long() && best > way.goal {
				t.Errorf("at best %v, want at most %v", best, way.goal)
			}
		})
	}
}

func loseServer(t *testing.T, way leaving) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newMixedFleet(t)
	f := newFormation(t, waiters)
	for i := range waiters - 1 {
		f.begin(ctx, s.target, i)
	}
	f.untilJoined(t, s.target, waiters-1)
	settled, since := -1, time.Now()
	until(t, "all wait", func() bool {
		if n := s.waiting(); n != settled {
			settled, since = n, time.Now()
		}
		return time.Since(since) > time.Second
	})
	if settled >= waiters-1 {
		t.Fatal("nobody waits at the server that is to be lost")
	}
	before := f.ids(t, s.target)
	lost := time.Now()
	way.happen(t, s.victim, s.toStore)
	until(t, "all wait at the others", func() bool { return s.waiting() == waiters-1 })
	took := time.Since(lost)
	t.Logf("%d waited at the server that was lost, %d at the others", waiters-1-settled, settled)
	f.begin(ctx, s.target, waiters-1)
	must(t, f.members.Wait())
	f.check(t, before)
	until(t, "the server that is lost takes no clients", func() bool { return !s.takesClients(ctx) })
	way.mend(t, s.victim, s.toStore)
	until(t, "it takes clients again", func() bool { return s.takesClients(ctx) })
	own := s.victim.target(t)
	f.untilJoined(t, own, waiters)
	return took
}

// takesClients reports whether the server that was lost can be connected to.
func (s *mixedFleet) takesClients(ctx context.Context) bool {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", s.victim.Listen())
	if err == nil {
		nc.Close()
	}
	return err == nil
}

// mixedFleet is three servers on etcd, of which one is a process of its own, with its own
// way to etcd.
type mixedFleet struct {
	victim  *process
	toStore []*line.Line
	others  []*inside
	target  *regcred.Target
}

func newMixedFleet(t *testing.T) *mixedFleet {
	t.Helper()
	e := etcdtest.Start(t, etcdtest.Options{Members: 3, Fsync: true})
	s, dir := new(mixedFleet), t.TempDir()
	var addrs []string
	for _, end := range e.Endpoints() {
		l := line.New(t, end)
		s.toStore, addrs = append(s.toStore, l), append(addrs, l.Addr())
	}
	s.victim = newProcess(t, dir, func(cfg *child.Config) {
		cfg.Args = []string{"--store", "etcd://" + strings.Join(addrs, ",") + "/lost", "--store-timeout", "1s"}
	})
	s.target = s.victim.target(t)
	for _, name := range []string{"a", "b"} {
		own := filepath.Join(dir, name)
		must(t, copyDir(s.victim.cfg.Data, own))
		node, err := identity.OpenRegistry(own)
		must(t, err)
		data, err := etcd.Open(t.Context(), e.URL("lost"), etcd.Options{Timeout: time.Second})
		must(t, err)
		t.Cleanup(func() {
			must(t, data.Close())
			must(t, node.Close())
		})
		one := serve(t, func(cfg *host.Config) { cfg.Node, cfg.Store = node, data })
		s.others = append(s.others, one)
		s.target.Endpoints = append(s.target.Endpoints, xlreg.Endpoint(one.Bound()[0]))
	}
	return s
}

// waiting is how many wait at the servers that stay.
func (s *mixedFleet) waiting() (all int) {
	for _, one := range s.others {
		all += one.Stats().Waiting
	}
	return all
}
