package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// system is one way for members to learn of each other.
type system struct {
	name    string // what it is; its first word is whose
	store   string // where the server keeps what it is told
	carrier string // who proves what to whom on the way
	serve   func(ctx context.Context, dir string) (server, error)
	form    former
}

// former forms a new cluster of n members at a server, and says what that cost. What
// takes time before, keys for example, is not counted.
type former func(ctx context.Context, where, cluster string, n int) (cost, error)

// startTime bounds how long a server may take until it answers.
const startTime = 30 * time.Second

// server is one that runs.
type server struct {
	where string // what members need to find it
	close func() error
}

// cost is what one formation takes.
type cost struct {
	Took time.Duration
	CPU  time.Duration // of all threads of the process
}

// newSystems returns all there are; ours in memory, with which the others are
// compared, first.
func newSystems(progress io.Writer) []system {
	return slices.Concat(xlregSystems(progress), etcdSystems(), discoverySystems(), memberlistSystems())
}

// label tells a system from all others.
func (s system) label() string { return fmt.Sprintf("%s (%s)", s.name, s.store) }

// family is whose system it is. One process has all systems of a family.
func (s system) family() string {
	first, _, _ := strings.Cut(s.name, " ")
	return strings.TrimSuffix(first, ",")
}

// member takes part in a formation: it begins with nothing, returns when it has
// learned of everybody, and keeps what it has open until the others are as far.
type member func(ctx context.Context, i int) (io.Closer, error)

// formAll runs n members at once. The cost is that until the last has returned;
// clearing up is not counted.
func formAll(ctx context.Context, n int, m member) (cost, error) {
	closers := make([]io.Closer, n)
	spent, err := measure(func() error {
		group, ctx := errgroup.WithContext(ctx)
		for i := range n {
			group.Go(func() (err error) {
				closers[i], err = m(ctx, i)
				return err
			})
		}
		return group.Wait()
	})
	for _, c := range closers {
		if c != nil {
			c.Close()
		}
	}
	return spent, err
}

func measure(f func() error) (cost, error) {
	begunCPU, err := cpuTime()
	if err != nil {
		return cost{}, err
	}
	begun := time.Now()
	if err := f(); err != nil {
		return cost{}, err
	}
	took := time.Since(begun)
	endCPU, err := cpuTime()
	return cost{Took: took, CPU: endCPU - begunCPU}, err
}

func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// memberName and memberEndpoint are what a member tells of itself; with ours it
// also tells its keys and proves them.
func memberName(i int) string     { return fmt.Sprintf("m%d", i) }
func memberEndpoint(i int) string { return fmt.Sprintf("127.0.0.1:%d", 20000+i) }
