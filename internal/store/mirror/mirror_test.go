package mirror_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
		return mirror.Open(mirrortest.New().Connect(mirrortest.Faults{}), mirror.Options{Limits: limits, Timeout: time.Minute})
	})
}

func TestShared(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) storetest.Shared {
		db := mirrortest.New()
		return func(*testing.T) store.Store {
			return mirror.Open(db.Connect(mirrortest.Faults{}), mirror.Options{Limits: limits, Timeout: time.Minute})
		}
	})
}

// A cache that has room for next to nothing is slower, and no less right.
func TestSmallCache(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) storetest.Shared {
		db := mirrortest.New()
		return func(*testing.T) store.Store {
			return mirror.Open(db.Connect(mirrortest.Faults{}), mirror.Options{Limits: limits, CacheBytes: 50, Timeout: time.Minute})
		}
	})
}

// A feed that is cut again and again loses nothing.
func TestFeedIsCut(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) storetest.Shared {
		db := mirrortest.New()
		return func(t *testing.T) store.Store {
			var told atomic.Int64
			return mirror.Open(db.Connect(mirrortest.Faults{News: func(context.Context, *mirror.News) error {
				if strings.Contains(t.Name(), "/Watch") || strings.Contains(t.Name(), "News") || strings.Contains(t.Name(), "Closed") {
					return nil // those expect the zero Change at the beginning alone
				}
				if told.Add(1)%20 == 0 {
					return mirrortest.ErrCut
				}
				return nil
			}}), mirror.Options{Limits: limits, Timeout: time.Minute})
		}
	})
}
