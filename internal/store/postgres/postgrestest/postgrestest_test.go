//go:build linux

package postgrestest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server keeps its data when it is stopped, and what was committed when it is killed.
func TestStopAndKill(t *testing.T) {
	s := postgrestest.Start(t, postgrestest.Options{Durable: true})
	s.Exec(t, "CREATE TABLE t (n int)")
	for _, end := range []func(testing.TB){s.Stop, s.Kill} {
		s.Exec(t, "INSERT INTO t VALUES (1)")
		end(t)
		s.Start(t)
	}
	if got := s.Ask(t, "SELECT count(*) FROM t"); got != "2" {
		t.Errorf("%s of 2 rows are there", got)
	}
}

// A standby has what its primary has, and can be written to when it is promoted.
func TestStandby(t *testing.T) {
	s := postgrestest.Start(t, postgrestest.Options{})
	s.Exec(t, "CREATE TABLE t (n int)")
	standby := s.Standby(t)
	if got := standby.Ask(t, "SHOW transaction_read_only"); got != "on" {
		t.Errorf("read-only: %s", got)
	}
	s.Kill(t)
	standby.Promote(t)
	standby.Exec(t, "INSERT INTO t VALUES (1)")
}

// A full disk is full, and has space again when that is given back.
func TestSmallDisk(t *testing.T) {
	disk := postgrestest.SmallDisk(t, 64)
	s := postgrestest.Start(t, postgrestest.Options{Disk: disk.Path, LogDisk: postgrestest.Folder(t, "")})
	s.Exec(t, "CREATE TABLE t (v text)")
	disk.Fill(t)
	s.Exec(t, `DO $$ BEGIN
		INSERT INTO t SELECT repeat('v', 1000) FROM generate_series(1, 10000);
		RAISE 'there is space';
	EXCEPTION WHEN disk_full THEN NULL; END $$`)
	disk.Free(t)
	s.Exec(t, "INSERT INTO t SELECT repeat('v', 1000) FROM generate_series(1, 10000)")
}
