package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

// followed is a Follow whose news waits to be taken: as long as it is not, the feed is
// held up.
type followed struct {
	news  chan mirror.News
	ended chan error
}

func follow(t *testing.T, db *postgres.DB) *followed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &followed{news: make(chan mirror.News), ended: make(chan error, 1)}
	go func() {
		f.ended <- db.Follow(ctx, func(n mirror.News) {
			select {
			case f.news <- n:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-f.ended
	})
	f.next(t)
	return f
}

func (f *followed) next(t *testing.T) mirror.News {
	t.Helper()
	select {
	case n := <-f.news:
		return n
	case <-time.After(patience):
		t.Fatal("no news")
	}
	panic("not reached")
}

// end takes what comes until Follow returns.
func (f *followed) end(t *testing.T) error {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case <-f.news:
		case err := <-f.ended:
			f.ended <- nil
			return err
		case <-late:
			t.Fatal("still followed")
		}
	}
}

func remove(keys ...string) mirror.Txn {
	var txn mirror.Txn
	for _, key := range keys {
		txn.Changes = append(txn.Changes, store.Change{Key: key})
	}
	return txn
}

// What was removed is forgotten, and whoever has not been told of it begins anew; who has
// goes on.
func TestPurge(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), postgres.Options{})
	rows := func() string { return server.Ask(t, "SELECT count(*) FROM s.records") }
	commit(t, db, change("stays", "1"))
	for round := range 3 {
		var txn mirror.Txn
		var keys []string
		for i := range postgres.PurgeMost/2 + 1 {
			keys = append(keys, fmt.Sprintf("k%04d", round*postgres.PurgeMost+i))
			txn.Changes = append(txn.Changes, store.Change{Key: keys[i], Value: []byte("v")})
		}
		commit(t, db, txn)
		commit(t, db, remove(keys...))
	}
	current := follow(t, db)
	held, release := make(chan struct{}), make(chan struct{})
	late := make(chan error, 1)
	go func() {
		told := 0
		late <- db.Follow(t.Context(), func(mirror.News) {
			if told++; told == 2 {
				close(held)
				<-release
			}
		})
	}()
	<-held
	commit(t, db, change("a", "1"))
	a := commit(t, db, remove("a"))
	for current.next(t).Revision < a.Revision {
		continue
	}
	if err := db.Purge(t.Context(), a.Revision); err != nil {
		t.Fatal(err)
	}
	if got := rows(); got != "1" {
		t.Errorf("%s rows are left, want 1", got)
	}
	close(release)
	select {
	case err := <-late:
		oneLine(t, err, "already forgotten")
	case <-time.After(patience):
		t.Fatal("goes on, though it was not told what was removed")
	}
	b := commit(t, db, change("b", "1"))
	for current.next(t).Revision < b.Revision {
		continue
	}
}

// Purging takes nothing that is there, and what is younger stays.
func TestPurgeLeaves(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), postgres.Options{})
	commit(t, db, change("a", "1"))
	old := commit(t, db, remove("a"))
	again := commit(t, db, change("a", "2"))
	commit(t, db, change("b", "1"))
	young := commit(t, db, remove("b"))
	if err := db.Purge(t.Context(), again.Revision); err != nil {
		t.Fatal(err)
	}
	if got := server.Ask(t, "SELECT count(*) FROM s.records"); got != "2" {
		t.Errorf("%s rows, want a and what b has left", got)
	}
	if got := server.Ask(t, "SELECT compacted FROM s.state"); got >= fmt.Sprint(young.Revision) {
		t.Errorf("compacted up to %s, after %d and before %d", got, old.Revision, young.Revision)
	}
	if got := value(t, db, "a"); got != "2" {
		t.Errorf("a is %q", got)
	}
	// A range of which it is not known any more what was removed is counted.
	put := commit(t, db, change("p1", "1"))
	commit(t, db, change("p2", "1"))
	gone := commit(t, db, remove("p2"))
	if err := db.Purge(t.Context(), gone.Revision); err != nil {
		t.Fatal(err)
	}
	for count, want := range map[int]bool{1: true, 2: false} {
		txn := mirror.Txn{Ranges: []mirror.RangeRead{{Prefix: "p", Revision: put.Revision, Count: count}}}
		if a := commit(t, db, txn); a.Held != want {
			t.Errorf("count %d: %v", count, a.Held)
		}
	}
}

// The feed ends when its connection does, and a store begins it anew: those who watch are
// told, and miss nothing.
func TestFeedIsBegunAnew(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), postgres.Options{})
	f := follow(t, db)
	s := open(t, server.URL("s"))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := make(chan store.Change, 1000)
	watched := make(chan error, 1)
	go func() {
		watched <- s.Watch(ctx, "", func(c store.Change) error { changes <- c; return nil })
	}()
	zero := func() {
		t.Helper()
		for {
			select {
			case c := <-changes:
				if c.IsZero() {
					return
				}
			case <-time.After(patience):
				t.Fatal("not told")
			}
		}
	}
	zero()
	server.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'xlreg'")
	if err := f.end(t); err == nil {
		t.Error("Follow goes on without a connection")
	} else {
		oneLine(t, err)
	}
	zero()
	eventually(t, try(t, db, change("a", "1")))
	select {
	case c := <-changes:
		if c.Key != "a" {
			t.Errorf("told of %q", c.Key)
		}
	case <-time.After(patience):
		t.Error("not told of a change after that")
	}
	cancel()
	if err := <-watched; err != nil {
		t.Error(err)
	}
}

// What others do in the same database does not reach those who follow this schema, and
// a notification that is lost is made up for.
func TestFeedOfOneSchema(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	one, two := connect(t, server.URL("one"), postgres.Options{}), connect(t, server.URL("two"), postgres.Options{})
	f := follow(t, one)
	commit(t, two, change("a", "1"))
	server.Exec(t, "NOTIFY xlreg_one, 'nonsense'")
	if got := value(t, one, "a"); got != "" {
		t.Errorf("the other schema's a is %q", got)
	}
	for range 3 {
		if n := f.next(t); len(n.Events) != 0 {
			t.Errorf("told: %+v", n.Events)
		}
	}
	server.Exec(t, "BEGIN; UPDATE one.state SET revision = revision + 1; "+
		"INSERT INTO one.records SELECT 'silent', 'v', revision, revision FROM one.state; COMMIT")
	for {
		if n := f.next(t); len(n.Events) > 0 {
			if n.Events[0].Key != "silent" {
				t.Errorf("told: %+v", n.Events)
			}
			return
		}
	}
}

// An announcement comes back after the database was away, and says in the log that it was.
func TestAnnounceComesBack(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	var log syncBuffer
	o := postgres.Options{Timeout: time.Second, AnnounceTTL: ttl, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	db := connect(t, server.URL("s"), o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- db.Announce(ctx, "servers/1", []byte("here")) }()
	there := func() error {
		a, err := db.Commit(t.Context(), look("servers/1"))
		if err == nil && len(a.Keys) == 0 {
			err = errors.New("it is not there")
		}
		return err
	}
	eventually(t, there)
	server.Stop(t)
	eventually(t, func() error {
		if !strings.Contains(log.String(), "through=false") {
			return errors.New("nothing is said of it")
		}
		return nil
	})
	server.Start(t)
	eventually(t, func() error {
		if !strings.Contains(log.String(), "through=true") {
			return errors.New("nothing is said of it")
		}
		return there()
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := value(t, db, "servers/1"); got != "" {
		t.Error("it is still there")
	}
}

// syncBuffer is a buffer that several may write to.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
