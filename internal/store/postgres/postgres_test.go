package postgres_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/databasetest"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ttl is that of announcements in tests.
const ttl = 3 * time.Second

func open(t testing.TB, url string, o postgres.Options) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
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
			Connect: func(t *testing.T) mirror.Database { return open(t, url, postgres.Options{AnnounceTTL: ttl}) },
			TTL:     ttl,
		}
	})
}
