package testkeys

import (
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/keys"
)

const (
	lockFile  = "lock"
	lookAgain = 20 * time.Millisecond // while another process makes keys
	patience  = 30 * time.Second      // with another process that makes none
)

// batch is one growth of a pool: the pairs of a range of numbers. Each file is
// replaced as a whole, so every process sees good keys at any time, locked or not.
// The lock only keeps two from doing the same work.
type batch struct {
	dir   string
	first int         // number of pairs[0]
	pairs []*keys.Set // nil: not there yet

	mu       sync.Mutex
	uncached error // why pairs were not written; guarded by mu
}

// fill gets all pairs, and makes those that are in no file.
func (b *batch) fill() error {
	if b.dir == "" {
		return b.generate(false)
	}
	if b.load() == 0 {
		return nil
	}
	if err := prepare(b.dir); err != nil {
		b.uncached = err
		return b.generate(false)
	}
	lock := b.await()
	if lock == nil {
		return b.generate(true)
	}
	return errors.Join(b.fillLocked(), lock.Close())
}

// fillLocked is the rest of fill, for the one who has the lock.
func (b *batch) fillLocked() error {
	b.load() // what the last holder made just before it let go
	b.removeLeftovers()
	return b.generate(true)
}

// await returns when all pairs are there, with the lock, or without when it is of
// no use to wait for it.
func (b *batch) await() *filelock.File {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	least, since := len(b.pairs), time.Now()
	for {
		lock, err := filelock.Lock(filepath.Join(b.dir, lockFile))
		if err == nil || !errors.Is(err, filelock.ErrLocked) {
			return lock
		}
		<-tick.C
		missing := b.load()
		if missing == 0 || time.Since(since) > patience {
			return nil
		}
		if missing < least {
			least, since = missing, time.Now()
		}
	}
}

// load reads the pairs that are not there yet, and returns how many still are not.
func (b *batch) load() int {
	_ = b.each(func(i int) error { // what cannot be read is made
		if set, err := readKeys(keyPath(b.dir, b.first+i)); err == nil {
			b.pairs[i] = set
		}
		return nil
	})
	missing := 0
	for _, set := range b.pairs {
		if set == nil {
			missing++
		}
	}
	return missing
}

// removeLeftovers removes what processes that were killed left of files. With the
// lock nobody else writes; and if somebody does without it, a key is made again.
func (b *batch) removeLeftovers() {
	_ = b.each(func(i int) error { // they do no harm
		return atomicfile.RemoveLeftovers(keyPath(b.dir, b.first+i))
	})
}

// generate makes the pairs that are not there yet, and writes them if they are to
// be kept. Failing to write is noted, as the keys are good without.
func (b *batch) generate(keep bool) error {
	return b.each(func(i int) (err error) {
		if b.pairs[i], err = keys.Generate(keys.RSA, keys.DefaultBits); err != nil || !keep {
			return err
		}
		if err := writeKeys(keyPath(b.dir, b.first+i), b.first+i, b.pairs[i]); err != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.uncached = err
		}
		return nil
	})
}

// each calls do for every pair that is not there yet, on all processors.
func (b *batch) each(do func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, set := range b.pairs {
		if set == nil {
			group.Go(func() error { return do(i) })
		}
	}
	return group.Wait()
}
