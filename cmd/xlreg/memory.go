package main

import (
	"context"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/host"
)

// reserve makes the runtime take what it needs for n connections and never gives
// back, which is a kilobyte for each: descriptors of goroutines and of files. So
// a registry that a flood has been through is as large as it was before, and one
// that has too little memory for its connections shows it at the start.
func reserve(n int) {
	release := make(chan struct{})
	var waiting sync.WaitGroup
	for range n {
		waiting.Go(func() { <-release })
	}
	pipes := openPipes(n / 2)
	close(release)
	waiting.Wait()
	for _, end := range pipes {
		_ = end.Close() // nothing was written
	}
	debug.FreeOSMemory()
}

// openPipes returns both ends of n pipes, or of as many as the system allows.
func openPipes(n int) []*os.File {
	pipes := make([]*os.File, 0, 2*n)
	for range n {
		r, w, err := os.Pipe()
		if err != nil {
			break
		}
		pipes = append(pipes, r, w)
	}
	return pipes
}

// A crowd is so many connections that what they leave behind is worth a
// collection of its own.
const (
	crowd     = 256
	trimEvery = time.Second
)

// trim gives memory back to the system whenever a crowd has gone, until ctx ends.
// A registry without work allocates nothing, so nothing else would make the
// runtime collect for minutes.
func trim(ctx context.Context, h *host.Host) {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	most := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		open := h.Stats().Open
		if most = max(most, open); most-open >= crowd && open < most/2 {
			debug.FreeOSMemory()
			most = open
		}
	}
}

// serveTrimmed serves until ctx ends, and keeps the process small meanwhile.
func serveTrimmed(ctx context.Context, h *host.Host) error {
	trimCtx, stop := context.WithCancel(ctx)
	var trimming sync.WaitGroup
	trimming.Go(func() { trim(trimCtx, h) })
	defer trimming.Wait()
	defer stop()
	return h.Serve(ctx)
}
