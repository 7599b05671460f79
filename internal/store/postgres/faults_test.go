package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// short is a timeout for tests in which it runs out.
var short = postgres.Options{Timeout: time.Second}

func change(key, value string) mirror.Txn {
	return mirror.Txn{Changes: []store.Change{{Key: key, Value: []byte(value)}}}
}

func look(key string) mirror.Txn {
	return mirror.Txn{Keys: []mirror.KeyRead{{Key: key, Version: mirror.Unknown}}}
}

func commit(t *testing.T, db mirror.Database, txn mirror.Txn) mirror.Answer {
	t.Helper()
	a, err := db.Commit(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// value returns what is under a key; empty if nothing is.
func value(t *testing.T, db mirror.Database, key string) string {
	t.Helper()
	a := commit(t, db, look(key))
	if len(a.Keys) == 0 {
		return ""
	}
	return string(a.Keys[0].Value)
}

// eventually tries until f returns nil.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("still: %v", err)
		case <-ticker.C:
		}
	}
}

func try(t *testing.T, db mirror.Database, txn mirror.Txn) func() error {
	return func() error {
		_, err := db.Commit(t.Context(), txn)
		return err
	}
}

// oneLine checks an error that an operator reads.
func oneLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has several lines", err)
	}
}

// A change that is on its way when the answer fails to come may be made: here it is. A
// look without changes has no such outcome.
func TestUnknownOutcome(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), short)
	commit(t, db, change("a", "1"))
	server.Pause(t)
	_, err := db.Commit(t.Context(), change("a", "2"))
	if !errors.Is(err, store.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	oneLine(t, err)
	if _, err := db.Commit(t.Context(), look("a")); err == nil || errors.Is(err, store.ErrUnknown) {
		t.Errorf("look: got %v", err)
	}
	server.Resume(t)
	eventually(t, func() error {
		if got := value(t, db, "a"); got != "2" {
			return fmt.Errorf("a is %q", got)
		}
		return nil
	})
}

// The server ends the sessions: whether a change was made cannot be told, unless the
// server says that it was rolled back.
func TestSettledOutcome(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), short)
	server.Exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN
			IF NEW.key = 'refused' THEN RAISE 'on purpose'; END IF;
			IF NEW.key = 'ended' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
			RETURN NULL;
		END $$`,
		`CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON s.records DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION refuse()`)
	for key, unknown := range map[string]bool{"refused": false, "ended": true} {
		// All statements go well, and the commit does not.
		_, err := db.Commit(t.Context(), change(key, "1"))
		if err == nil || errors.Is(err, store.ErrUnknown) != unknown {
			t.Errorf("%s: got %v", key, err)
		}
		if got := value(t, db, key); got != "" {
			t.Errorf("%s: it was made", key)
		}
	}
}

// Whoever holds the lock for too long keeps changes waiting, but not for ever, and it
// is known that they were not made. Looks go on.
func TestLockIsHeld(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), short)
	commit(t, db, change("a", "1"))
	hold, release := make(chan error, 1), make(chan struct{})
	conn := server.Connect(t)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended('xlreg_s', 0))")
		hold <- err
		<-release
		_ = conn.Close(context.WithoutCancel(t.Context()))
		hold <- nil
	}()
	if err := <-hold; err != nil {
		t.Fatal(err)
	}
	_, err := db.Commit(t.Context(), change("a", "2"))
	oneLine(t, err, "another server held the lock for too long")
	if errors.Is(err, store.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if got := value(t, db, "a"); got != "1" {
		t.Errorf("a is %q", got)
	}
	close(release)
	<-hold
	eventually(t, try(t, db, change("a", "3")))
}

// Each server dies in the middle of work. What was answered is there afterwards, and the
// store goes on by itself.
func TestKills(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{Durable: true})
	s := open(t, server.URL("s"))
	defer s.Close()
	kept := 0
	for round := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		began := make(chan struct{}, 1)
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				err := s.Update(ctx, func(w store.Writer) error { return w.Put(fmt.Sprintf("k%04d", kept), []byte("v")) })
				if err != nil {
					continue
				}
				kept++
				select {
				case began <- struct{}{}:
				default:
				}
			}
		}()
		<-began
		if round == 1 {
			server.Stop(t)
		} else {
			server.Kill(t)
		}
		server.Start(t)
		cancel()
		<-done
		eventually(t, func() error {
			return s.View(t.Context(), func(r store.Reader) error {
				for i := range kept {
					if _, err := r.Get(fmt.Sprintf("k%04d", i)); err != nil && i < store.MaxReads {
						return err
					}
				}
				return nil
			})
		})
	}
	if kept == 0 {
		t.Error("nothing was kept")
	}
}

// A database that says nothing does not keep Close waiting for long.
func TestCloseIsBounded(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), postgres.Options{Timeout: time.Minute})
	commit(t, db, change("a", "1"))
	ended := make(chan error, 2)
	followed := make(chan struct{}, 100)
	go func() { ended <- db.Follow(t.Context(), func(mirror.News) { followed <- struct{}{} }) }()
	<-followed
	server.Pause(t)
	defer server.Resume(t)
	go func() {
		_, err := db.Commit(t.Context(), change("a", "2"))
		ended <- err
	}()
	begin := time.Now()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("no error")
		}
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("took %v", took)
	}
}

// A full disk is said in one line, loses nothing, and is over when there is space again.
func TestFullDisk(t *testing.T) {
	disk := postgrestest.SmallDisk(t, 64)
	server := postgrestest.Start(t, postgrestest.Options{Disk: disk.Path, LogDisk: postgrestest.Folder(t, "")})
	db := connect(t, server.URL("s"), postgres.Options{})
	disk.Fill(t)
	large := strings.Repeat("v", 1<<19)
	kept := 0
	var err error
	for err == nil && kept < 1000 {
		if _, err = db.Commit(t.Context(), change(fmt.Sprintf("k%03d", kept), large)); err == nil {
			kept++
		}
	}
	oneLine(t, err, "the disk of the database is full")
	if errors.Is(err, store.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	for i := range kept {
		if got := value(t, db, fmt.Sprintf("k%03d", i)); got != large {
			t.Errorf("k%03d is gone", i)
		}
	}
	if got := value(t, db, fmt.Sprintf("k%03d", kept)); got != "" {
		t.Error("what was refused is there")
	}
	disk.Free(t)
	eventually(t, try(t, db, change("after", "1")))
}

// If even its log has no space PostgreSQL ends. Its store says so, and goes on when it
// is started again.
func TestFullLogDisk(t *testing.T) {
	disk := postgrestest.SmallDisk(t, 64)
	server := postgrestest.Start(t, postgrestest.Options{Disk: disk.Path, Settings: []string{"restart_after_crash=off"}})
	db := connect(t, server.URL("s"), postgres.Options{})
	disk.Fill(t)
	large := strings.Repeat("v", 1<<19)
	var kept []string
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		key := fmt.Sprintf("k%03d", i)
		if _, err = db.Commit(t.Context(), change(key, large)); err == nil {
			kept = append(kept, key)
		}
	}
	oneLine(t, err)
	disk.Free(t)
	server.Stop(t)
	server.Start(t)
	eventually(t, try(t, db, change("after", "1")))
	for _, key := range kept {
		if got := value(t, db, key); got != large {
			t.Errorf("%s is gone", key)
		}
	}
}
