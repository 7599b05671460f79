package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

// Servers that start at the same time make one set of tables.
func TestStartsAtOnce(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			db, err := postgres.Connect(t.Context(), server.URL("s"), postgres.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if _, err := db.Commit(t.Context(), change(fmt.Sprint(i), "v")); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if got := server.Ask(t, "SELECT revision FROM s.state"); got != "9" {
		t.Errorf("revision %s, want 9", got)
	}
}

// Tables of another form are refused.
func TestOtherLayouts(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	for layout, want := range map[int]error{1: nil, 2: store.ErrNewerSchema, 0: store.ErrOlderSchema} {
		db := connect(t, server.URL("s"), postgres.Options{})
		_ = db.Close()
		server.Exec(t, fmt.Sprintf("UPDATE s.state SET layout = %d", layout))
		db, err := postgres.Connect(t.Context(), server.URL("s"), postgres.Options{})
		if !errors.Is(err, want) {
			t.Errorf("layout %d: got %v, want %v", layout, err, want)
		}
		if err == nil {
			_ = db.Close()
		}
		server.Exec(t, "UPDATE s.state SET layout = 1")
	}
}

// Who may not make tables can use those that somebody else has made for him, and is
// told if there are none.
func TestFewRights(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	server.Exec(t, "CREATE ROLE few LOGIN")
	few := postgres.Options{User: "few"}
	_, err := postgres.Connect(t.Context(), server.URL("s"), few)
	oneLine(t, err, "the user of the database may not do this")
	_ = connect(t, server.URL("s"), postgres.Options{}).Close()
	server.Exec(t, "GRANT USAGE ON SCHEMA s TO few", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA s TO few")
	db := connect(t, server.URL("s"), few)
	commit(t, db, change("a", "1"))
	if err := db.Purge(t.Context(), commit(t, db, remove("a")).Revision); err != nil {
		t.Error(err)
	}
}

// However the database is set up for others, a commit of this one is on disk when it is
// answered, and sees what was committed before.
func TestSettings(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	server.Exec(t, "ALTER DATABASE postgres SET synchronous_commit = off",
		"ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'",
		"ALTER DATABASE postgres SET lock_timeout = 0")
	var log bytes.Buffer
	db := connect(t, server.URL("s"), postgres.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "fsync=off") {
		t.Errorf("nothing is said of fsync: %s", &log)
	}
	server.Exec(t, `CREATE TABLE seen (setting text)`,
		`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO seen SELECT name || '=' || setting FROM pg_settings
				WHERE name IN ('synchronous_commit', 'transaction_isolation', 'lock_timeout', 'statement_timeout');
			RETURN NULL; END $$`,
		`CREATE TRIGGER note AFTER UPDATE ON s.state FOR EACH STATEMENT EXECUTE FUNCTION note()`)
	commit(t, db, change("a", "1"))
	got := server.Ask(t, "SELECT string_agg(DISTINCT setting, ' ' ORDER BY setting) FROM seen")
	want := "lock_timeout=1500 statement_timeout=6000 synchronous_commit=on transaction_isolation=read committed"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Nothing that a request waits for goes through a whole table, however large.
func TestPlansUseIndexes(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := connect(t, server.URL("s"), postgres.Options{})
	f := follow(t, db)
	for i := range 20 { // past the five for which plans are made anew, while there is little
		txn := change(fmt.Sprint(i), "v")
		txn.Keys = []mirror.KeyRead{{Key: "none"}}
		txn.Ranges = []mirror.RangeRead{{Prefix: "none"}}
		commit(t, db, txn)
		f.next(t)
		server.Exec(t, "ANALYZE s.records")
	}
	server.Exec(t, "UPDATE s.state SET revision = 30000",
		"INSERT INTO s.records SELECT ('n' || g)::bytea, 'v', g, g FROM generate_series(1, 20000) g")
	before := server.Ask(t, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'records'")
	for i := range 20 {
		r := commit(t, db, change("p"+fmt.Sprint(i), "v")).Revision
		txn := change("q", "v")
		txn.Keys = []mirror.KeyRead{{Key: "p" + fmt.Sprint(i), Version: r}}
		txn.Ranges = []mirror.RangeRead{{Prefix: "n", Revision: r, Count: 20000}, {Prefix: "p", Revision: 1, Count: i + 1}}
		if a := commit(t, db, txn); a.Held {
			t.Fatal("held, with a range that is older")
		}
		txn.Ranges[1].Revision = r
		if a := commit(t, db, txn); !a.Held {
			t.Fatal("refused")
		}
		f.next(t)
	}
	server.Stop(t) // sessions tell what they have read at their end, at the latest
	server.Start(t)
	if got := server.Ask(t, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'records'"); got != before {
		t.Errorf("%s rows were read in sequence, %s before", got, before)
	}
}
