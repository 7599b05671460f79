package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// ledger counts up under one key, and knows what the number may be.
type ledger struct {
	s       store.Store
	done    atomic.Int64 // Updates that have returned nil
	unknown atomic.Int64 // of unknown outcome
}

// add adds one. A failure that is not store.ErrUnknown has changed nothing.
func (l *ledger) add(ctx context.Context) {
	err := l.s.Update(ctx, func(w store.Writer) error {
		n, err := w.Get("n")
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return w.Put("n", append(n[:len(n):len(n)], 'x'))
	})
	switch {
	case err == nil:
		l.done.Add(1)
	case errors.Is(err, store.ErrUnknown):
		l.unknown.Add(1)
	}
}

// check compares the number with what it may be.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	n := 0
	eventually(t, "View", func() error {
		return l.s.View(t.Context(), func(r store.Reader) error {
			value, err := r.Get("n")
			n = len(value)
			return err
		})
	})
	least := int(l.done.Load())
	if most := least + int(l.unknown.Load()); n < least || n > most {
		t.Errorf("%d changes kept, want %d to %d", n, least, most)
	}
}

// busy adds and adds until the test calls end.
func (l *ledger) busy(t *testing.T) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				l.add(ctx)
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// goesOn waits until one more Update has succeeded.
func (l *ledger) goesOn(t *testing.T) time.Duration {
	t.Helper()
	began, done := time.Now(), l.done.Load()
	eventually(t, "Update", func() error {
		if l.done.Load() <= done+4 { // some may have been on their way
			return errors.New("none has succeeded")
		}
		return nil
	})
	return time.Since(began)
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s: %v", what, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Whatever happens to one member of three, two servers go on, and nothing is lost or
// done twice.
func TestOneMemberFails(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := etcdtest.Start(t, etcdtest.Options{Members: 3, Fsync: true})
	for name, fail := range map[string]func(m *etcdtest.Member) (mend func()){
		"killed":  func(m *etcdtest.Member) func() { m.Kill(); return m.Restart },
		"stopped": func(m *etcdtest.Member) func() { m.Stop(); return m.Restart },
		"hung":    func(m *etcdtest.Member) func() { m.Pause(); return m.Resume },
	} {
		t.Run(name, func(t *testing.T) {
			here := &ledger{s: open(t, c.URL(name))}
			there := &ledger{s: open(t, c.URL(name))}
			defer mustClose(t, here.s, there.s)
			stops := []func(){here.busy(t), there.busy(t)}
			for i := range failures(c, name) {
				mend := fail(c.Member(i))
				took := max(here.goesOn(t), there.goesOn(t))
				t.Logf("member %d %s: both go on after %v", i, name, took)
				mend()
				c.WaitReady()
				here.goesOn(t)
			}
			for _, stop := range stops {
				stop()
			}
			both := &ledger{s: here.s}
			both.done.Store(here.done.Load() + there.done.Load())
			both.unknown.Store(here.unknown.Load() + there.unknown.Load())
			both.check(t)
			t.Logf("%d done, %d unknown", both.done.Load(), both.unknown.Load())
		})
	}
}

// failures is how many members fail one after the other.
func failures(c *etcdtest.Cluster, name string) int {
	if name == "killed" || os.Getenv("XLREG_LONG") != "" {
		return c.Members()
	}
	return 1
}

func TestLeaderMoves(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := etcdtest.Start(t, etcdtest.Options{Members: 3})
	l := &ledger{s: open(t, c.URL("leader"))}
	defer mustClose(t, l.s)
	stop := l.busy(t)
	for range 3 {
		c.MoveLeader()
		l.goesOn(t)
	}
	stop()
	l.check(t)
}

// Without a majority a server says so, and goes on when it is back.
func TestNoMajority(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := etcdtest.Start(t, etcdtest.Options{Members: 3})
	s := open(t, c.URL("majority"))
	defer mustClose(t, s)
	update(t, s, put("k", "v"))
	c.Member(0).Kill()
	c.Member(1).Kill()
	eventually(t, "notice", func() error {
		if now, _ := s.Connected(); now {
			return errors.New("still connected")
		}
		return nil
	})
	if err := s.View(t.Context(), func(r store.Reader) error { _, err := r.Get("k"); return err }); !errors.Is(err, mirror.ErrUnreachable) {
		t.Errorf("View without a majority: %v", err)
	}
	if err := s.Update(t.Context(), put("k", "w")); !errors.Is(err, mirror.ErrUnreachable) {
		t.Errorf("Update without a majority: %v", err)
	}
	c.Member(0).Restart()
	eventually(t, "Update", func() error { return s.Update(t.Context(), put("k", "w")) })
}

// A server that hears nothing while others go on and history is compacted begins anew,
// and whoever watches is told to look.
func TestCompactedMeanwhile(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := etcdtest.Start(t, etcdtest.Options{Members: 3})
	s := open(t, c.URL("compacted"))
	defer mustClose(t, s)
	update(t, s, put("k", "old"))
	zeros := make(chan struct{}, 100)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.Watch(ctx, "", func(c store.Change) error {
			if c.IsZero() {
				zeros <- struct{}{}
			}
			return nil
		})
	})
	defer wg.Wait()
	defer stop()
	<-zeros
	c.Member(0).Pause()
	c.Member(1).Pause()
	c.Member(2).Pause()
	eventually(t, "notice", func() error {
		if now, _ := s.Connected(); now {
			return errors.New("still connected")
		}
		return nil
	})
	for i := range 3 {
		c.Member(i).Resume()
	}
	c.WaitReady()
	for i := range 20 {
		if _, err := c.Client().Put(t.Context(), "compacted/k", fmt.Sprintf("new%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	c.Compact()
	<-zeros
	eventually(t, "View", func() error {
		return s.View(t.Context(), func(r store.Reader) error {
			if got, err := r.Get("k"); err != nil || string(got) != "new19" {
				return fmt.Errorf("got %q, %w", got, err)
			}
			return nil
		})
	})
}

// etcd that is put back to an earlier state is read anew.
func TestPutBack(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := etcdtest.Start(t, etcdtest.Options{})
	s := open(t, c.URL("back"))
	defer mustClose(t, s)
	for i := range 50 {
		update(t, s, put("k", fmt.Sprint(i)))
	}
	c.Member(0).Kill()
	c.Member(0).Wipe()
	c.Member(0).Restart()
	c.WaitReady()
	eventually(t, "View", func() error {
		err := s.View(t.Context(), func(r store.Reader) error { _, err := r.Get("k"); return err })
		if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("what is gone: %w", err)
		}
		return nil
	})
	update(t, s, put("k", "again"))
}

// Out of space etcd still answers, and says what it is.
func TestNoSpace(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := etcdtest.Start(t, etcdtest.Options{Args: []string{"--quota-backend-bytes", "4194304"}})
	s := open(t, c.URL("full"))
	defer mustClose(t, s)
	update(t, s, put("k", "v"))
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = s.Update(t.Context(), put(fmt.Sprint(i), strings.Repeat("v", 500_000)))
	}
	if !errors.Is(err, etcd.ErrNoSpace) || errors.Is(err, mirror.ErrUnreachable) || errors.Is(err, store.ErrUnknown) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Update: %v, want %v", err, etcd.ErrNoSpace)
	}
	err = s.View(t.Context(), func(r store.Reader) error { _, err := r.Get("k"); return err })
	if err != nil {
		t.Errorf("View: %v", err)
	}
	if now, _ := s.Connected(); !now {
		t.Error("not connected")
	}
}

// An announcement is there while the server lives, comes back, and goes with it.
func TestAnnounce(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := etcdtest.Start(t, etcdtest.Options{})
	here, there := open(t, c.URL("servers")), open(t, c.URL("servers"))
	defer mustClose(t, here, there)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- here.Announce(ctx, "servers/1", []byte("v")) }()
	look := func() error {
		return there.View(t.Context(), func(r store.Reader) error { _, err := r.Get("servers/1"); return err })
	}
	eventually(t, "announcement", look)
	resp, err := c.Client().Get(t.Context(), "servers/servers/1")
	if err != nil || len(resp.Kvs) != 1 || resp.Kvs[0].Lease == 0 {
		t.Fatalf("%v, %v", resp, err)
	}
	ttl, err := c.Client().TimeToLive(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease))
	if err != nil || ttl.GrantedTTL != 30 {
		t.Errorf("lease of %+v, %v", ttl, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := look(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after the end: %v", err)
	}
}
