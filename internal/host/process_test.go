package host

import (
	"context"
	"runtime"
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

func TestReserve(t *testing.T) {
	files := openPipes(3)
	if len(files) != 6 {
		t.Errorf("%d ends of 3 pipes", len(files))
	}
	for _, f := range files {
		f.Close()
	}
	before := runtime.NumGoroutine()
	reserve(64)
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}
