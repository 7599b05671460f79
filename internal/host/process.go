package host

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

// process looks after the memory of a process that is a registry and nothing else.
// What each part of it is worth is measured in docs/performance.md.
type process struct {
	ballast []byte // never written, so the system has no memory to give for it
}

// ballastLen is how much the Go heap seems to hold without holding it. The runtime
// collects when the heap has doubled; a registry's is so small that this would be
// every few dozen sessions.
const ballastLen = 16 << 20

// newProcess prepares for at most so many connections, as if half of them had come
// and gone already: that is more than a registry sees in quiet times, and what the
// other half would leave behind is little beside it.
func newProcess(connections int) *process {
	p := &process{ballast: make([]byte, ballastLen)} // first, from memory that needs no clearing
	reserve(connections / 2)
	return p
}

// reserve runs n goroutines at once and lets them end. The runtime keeps half a
// kilobyte for each goroutine it ever had, and gives none of it back. So a registry
// takes at its start what a flood would make it keep, and a flood leaves it about as
// large as it was.
func reserve(n int) {
	release := make(chan struct{})
	var waiting sync.WaitGroup
	for range n {
		waiting.Go(func() { <-release })
	}
	close(release)
	waiting.Wait()
	debug.FreeOSMemory()
}

// A crowd is so many connections that what they leave behind is worth a
// collection of its own.
const (
	crowd     = 64
	trimEvery = time.Second
)

// trim gives memory back to the system whenever a crowd has gone, until ctx ends.
// A registry without work allocates nothing, so nothing else would make the
// runtime collect for minutes.
func (p *process) trim(ctx context.Context, open func() int) {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	most := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := open()
		if most = max(most, now); most-now >= crowd && now < most/2 {
			debug.FreeOSMemory()
			debug.FreeOSMemory() // what is pooled goes at the second collection
			most = now
		}
	}
}
