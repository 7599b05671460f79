package mirror_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
	"github.com/xlattice/xlreg/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limits are those of etcd.
var limits = mirror.Limits{Compares: 128, Changes: 128, Bytes: 3 << 19}

func TestOneServer(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		return mirror.Open(mirrortest.New().Connect(mirrortest.Faults{}), mirror.Options{Limits: limits})
	})
}

func TestShared(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) storetest.Shared {
		db := mirrortest.New()
		return func(*testing.T) store.Store {
			return mirror.Open(db.Connect(mirrortest.Faults{}), mirror.Options{Limits: limits})
		}
	})
}
