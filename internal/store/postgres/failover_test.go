package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

// The primary dies, and its standby takes over: what was answered is there, since
// commits waited for the standby, and the store finds the new primary by itself.
func TestFailover(t *testing.T) {
	primary := postgrestest.Start(t, postgrestest.Options{})
	standby := primary.Standby(t)
	waitForStandby(t, primary)
	for _, servers := range [][]*postgrestest.Server{{standby, primary}, {primary, standby}} {
		db := connect(t, postgrestest.URL("s", servers...), postgres.Options{})
		commit(t, db, change("a", "1"))
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	s := open(t, postgrestest.URL("s", primary, standby))
	defer s.Close()
	put := func() error {
		return s.Update(t.Context(), func(w store.Writer) error { return w.Put("a", []byte("2")) })
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	primary.Kill(t)
	// A standby is no place to go on at, nor to read from.
	if err := s.View(t.Context(), func(r store.Reader) error { _, err := r.Get("a"); return err }); err == nil {
		t.Error("a view without a primary")
	}
	standby.Promote(t)
	standby.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
	eventually(t, func() error {
		return s.View(t.Context(), func(r store.Reader) error {
			got, err := r.Get("a")
			if err == nil && string(got) != "2" {
				return fmt.Errorf("a is %q", got)
			}
			return err
		})
	})
	eventually(t, put)
}

// waitForStandby lets the commits of a primary wait for its standby from now on.
func waitForStandby(t *testing.T, primary *postgrestest.Server) {
	t.Helper()
	primary.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	eventually(t, func() error {
		if got := primary.Ask(t, "SELECT coalesce(max(sync_state), '') FROM pg_stat_replication"); got != "sync" {
			return fmt.Errorf("the standby is %q", got)
		}
		return nil
	})
}

// No server but a standby: refused, in one line.
func TestStandbyAlone(t *testing.T) {
	primary := postgrestest.Start(t, postgrestest.Options{})
	standby := primary.Standby(t)
	_, err := postgres.Connect(t.Context(), standby.URL("s"), postgres.Options{})
	oneLine(t, err, "the database is read-only")
}

// A commit whose standby does not answer is neither answered nor seen by anybody until
// it does: this side never asks to have it cancelled, which would make it visible.
func TestStandbyIsSlow(t *testing.T) {
	primary := postgrestest.Start(t, postgrestest.Options{})
	standby := primary.Standby(t)
	db := connect(t, primary.URL("s"), short)
	commit(t, db, change("a", "1"))
	waitForStandby(t, primary)
	commit(t, db, change("a", "2"))
	standby.Pause(t)
	defer standby.Resume(t)
	if _, err := db.Commit(t.Context(), change("a", "3")); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	for range 10 {
		if got := value(t, db, "a"); got != "2" {
			t.Fatalf("a is %q, which the standby may not have", got)
		}
	}
	standby.Resume(t)
	eventually(t, func() error {
		if got := value(t, db, "a"); got != "3" {
			return fmt.Errorf("a is %q", got)
		}
		return nil
	})
}

// A server that was made read-only while it ran, so that another one may take its place,
// is not asked any more: neither to change anything, nor for what may be old.
func TestFencedByReadOnly(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), short)
	idle := connect(t, server.URL("s"), short)
	commit(t, db, change("a", "1"))
	commit(t, idle, change("a", "1"))
	followed := make(chan mirror.News, 1000)
	ended := make(chan error, 1)
	go func() { ended <- db.Follow(t.Context(), func(n mirror.News) { followed <- n }) }()
	<-followed
	server.Exec(t, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
	select {
	case err := <-ended:
		oneLine(t, err, "the database is read-only")
	case <-time.After(patience):
		t.Fatal("still followed")
	}
	for _, db := range []*postgres.DB{idle, db} { // the first on a connection from before
		for _, txn := range []mirror.Txn{look("a"), change("a", "2")} {
			_, err := db.Commit(t.Context(), txn)
			oneLine(t, err, "the database is read-only")
			if errors.Is(err, store.ErrUnknown) {
				t.Errorf("got %v", err)
			}
		}
	}
	server.Exec(t, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
	eventually(t, try(t, db, change("a", "3")))
}
