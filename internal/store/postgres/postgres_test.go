package postgres_test

import (
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/databasetest"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
	"github.com/xlattice/xlreg/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ttl is that of announcements in tests.
const ttl = 3 * time.Second

// connect returns a database that is closed after the test, if not before.
func connect(t testing.TB, url string, o postgres.Options) *postgres.DB {
	t.Helper()
	db, err := postgres.Connect(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

// schemas hands out one for each test on a server.
type schemas struct{ n atomic.Int64 }

func (s *schemas) next() string { return fmt.Sprintf("test_%d", s.n.Add(1)) }

func TestDatabase(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	var names schemas
	databasetest.Run(t, func(t *testing.T) databasetest.Space {
		url := server.URL(names.next())
		return databasetest.Space{
			Connect: func(t *testing.T) mirror.Database { return connect(t, url, postgres.Options{AnnounceTTL: ttl}) },
			TTL:     ttl,
		}
	})
}

func open(t testing.TB, url string) *mirror.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openPatient is open for tests in which the database is there, however slow the machine is.
func openPatient(t testing.TB, url string) *mirror.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, postgres.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShared(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	var names schemas
	storetest.RunShared(t, func(*testing.T) storetest.Shared {
		url := server.URL(names.next())
		return func(t *testing.T) store.Store { return openPatient(t, url) }
	})
}

// A directory stands for a schema: what is in it outlives the store that wrote it.
func TestDurable(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	storetest.RunDurable(t, func(t *testing.T, dir string) store.Store {
		return openPatient(t, server.URL(fmt.Sprintf("dir_%x", sha256.Sum256([]byte(dir)))[:20]))
	})
}
