package host

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// collections returns how many the program, and not the runtime, has asked for.
func collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumForcedGC
}

func TestTrimAfterACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go new(process).trim(ctx, func() int { return int(open.Load()) })
		before := collections()
		for _, step := range []struct {
			open int64
			want uint32 // collections, in all, each of them double
		}{
			{crowd - 1, 0}, {0, 0}, // no crowd
			{crowd, 0}, {crowd / 2, 0}, {crowd / 2, 0}, // half of one is there still
			{0, 1}, {0, 1}, // gone, and nothing more to collect
			{1000, 1}, {490, 2}, {200, 3}, {101, 3}, {0, 4},
		} {
			open.Store(step.open)
			<-time.After(trimEvery)
			synctest.Wait()
			if got := (collections() - before) / 2; got != step.want {
				t.Errorf("%d double collections once %d are open, want %d", got, step.open, step.want)
			}
		}
	})
}

// A reservation leaves no goroutine behind, but what the runtime keeps of those it
// had, so that as many more need no memory that stays.
func TestReserve(t *testing.T) {
	const n = 4000 // more than this process has had, the first time that the test runs
	goroutines := runtime.NumGoroutine()
	reserve(n)
	if after := runtime.NumGoroutine(); after > goroutines {
		t.Errorf("%d goroutines, %d before", after, goroutines)
	}
	reserved := heap()
	var crowd sync.WaitGroup
	hold := make(chan struct{})
	for range n {
		crowd.Go(func() { <-hold })
	}
	close(hold)
	crowd.Wait()
	if more := heap() - reserved; more > n*30 {
		t.Errorf("%d goroutines left %d bytes more", n, more)
	}
}

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
