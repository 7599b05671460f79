package mirror_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/internal/store/storetest/optimistic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limits are those of etcd.
var limits = mirror.Limits{Compares: 128, Changes: 128, Bytes: 3 << 19}

func TestOneServer(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		return mirror.Open(mirrortest.New().Connect(mirrortest.Faults{}), mirror.Options{Limits: limits})
	})
}

func TestTwoServers(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		db := mirrortest.New()
		open := func() store.Store {
			return mirror.Open(db.Connect(mirrortest.Faults{}), mirror.Options{Limits: limits})
		}
		return optimistic.NewServers(open(), open())
	})
}
