package databasetest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/databasetest"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInMemory(t *testing.T) {
	databasetest.Run(t, func(*testing.T) databasetest.Space {
		db := mirrortest.New()
		return databasetest.Space{Connect: func(*testing.T) mirror.Database { return db.Connect(mirrortest.Faults{}) }}
	})
}
