package host

import (
	"context"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// process is what a Host does about the memory of a process that is a registry
// and nothing else.
type process struct {
	ballast []byte // never touched, so it takes addresses only
}

// ballastLen is what the runtime adds to the memory in use when it settles how
// much may be allocated before it collects. A registry has little that lasts, so
// it would collect every two dozen sessions, for a tenth of what these cost.
const ballastLen = 16 << 20

// newProcess prepares for at most so many connections. Half of them is more than
// a registry sees in quiet times, and what the others leave behind is little
// beside it.
func newProcess(connections int) *process {
	p := &process{ballast: make([]byte, ballastLen)} // first, from memory that needs no clearing
	reserve(connections / 2)
	return p
}

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
