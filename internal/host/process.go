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
	ballast []byte // never written, so it takes addresses but no memory
}

// ballastLen is how much larger the Go heap looks than it is. The runtime collects garbage
// when the heap has doubled in size; a registry's heap is so small that without the
// ballast this would happen every few dozen sessions.
const ballastLen = 16 << 20

// newProcess prepares for a number of connections as if half of them had come and gone
// already. Most registries never see more, and what the other half would leave behind is
// small in comparison.
func newProcess(connections int) *process {
	p := &process{ballast: make([]byte, ballastLen)} // first, from memory that needs no clearing
	reserve(connections / 2)
	return p
}

// reserve runs n goroutines at once and lets them end. The runtime keeps half a kilobyte
// for each goroutine it ever had and never gives it back. So a registry takes this memory
// when it starts, and is about as large after a flood as it was before.
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
