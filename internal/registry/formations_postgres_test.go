package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

func TestFormationsOnPostgres(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{Durable: true})
	f := newFleet(t, func() *mirror.Store {
		s, err := postgres.Open(t.Context(), server.URL("formations"), postgres.Options{Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	f.register(t)
	before, began := f.counts(), time.Now()
	for n := range formations() {
		f.form(t, fmt.Sprintf("c%d", n))
	}
	after := f.counts()
	f.command(t, "c0")
	writes, conflicts := after.Writes-before.Writes, after.Conflicts-before.Conflicts
	t.Logf("%d formations in %v: %d transactions with changes, %d of them in vain; %d comparisons",
		formations(), time.Since(began), writes, conflicts, after.Looks-before.Looks)
	if members := int64(formations() * formationSize); writes > members || conflicts*2 > writes {
		t.Errorf("%d transactions with changes for %d members, of which %d met a conflict", writes, members, conflicts)
	}
}
