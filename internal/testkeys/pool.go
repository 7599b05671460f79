// Package testkeys has RSA keys for tests: made once, on all processors, and kept
// in the user's cache directory. Making them is what takes time when nodes are
// made; with these it is as good as free.
//
// Whoever can read the cache has the keys, and so has every test of this user. They
// prove nothing to anybody, and must not be given to a node that lasts. That is why
// only package xlregtest and the program's --test-keys can reach them.
//
// A node's two keys are different, as those of real nodes are, although the
// protocol would allow one key for both and half the work.
package testkeys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/xlattice/xlreg/keys"
)

// Pool hands out the keys of nodes. It gives each to one taker at a time, so that
// two clusters that live at once do not know each other's keys. It grows when more
// are wanted than there are, and is safe for concurrent use.
type Pool struct {
	dir string // empty: keys are in memory only

	mu       sync.Mutex
	free     []*keys.Set // guarded by mu, as is all below
	next     int         // number of the first pair that nobody has asked for
	uncached error
}

// New makes a pool that keeps its keys in dir, which it makes when it has to.
// Several pools, of several processes, may share a directory; each hands out all
// keys in it.
func New(dir string) *Pool {
	p := &Pool{dir: dir}
	if dir == "" {
		p.uncached = errors.New("no directory to keep them in")
	}
	return p
}

// shared is the pool of this process: as tests know nothing of each other, nothing
// else can keep two of them from using the same keys.
var shared = sync.OnceValue(newShared)

func newShared() *Pool {
	dir, err := os.UserCacheDir()
	if err != nil {
		return &Pool{uncached: err}
	}
	return New(filepath.Join(dir, "xlreg", "test-keys"))
}

// Shared returns the pool of this process, which keeps its keys below the user's
// cache directory.
func Shared() *Pool { return shared() }

// Keys returns the keys of n nodes out of the shared pool, for good.
func Keys(n int) ([]*keys.Set, error) { return Shared().Take(n) }

// Take returns the keys of n nodes. They are the caller's until they are given
// back. It waits while another process makes keys, rather than make them too.
func (p *Pool) Take(n int) ([]*keys.Set, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > len(p.free) {
		if err := p.grow(n - len(p.free)); err != nil {
			return nil, fmt.Errorf("take test keys: %w", err)
		}
	}
	taken := slices.Clone(p.free[:n])
	p.free = slices.Delete(p.free, 0, n)
	return taken, nil
}

// Give gives keys back that were taken.
func (p *Pool) Give(sets ...*keys.Set) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, sets...)
}

// Uncached says why the pool could not keep keys for the next process; nil if all
// were kept. They are good all the same.
func (p *Pool) Uncached() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uncached
}

// grow adds the keys of n more nodes to those that are free.
func (p *Pool) grow(n int) error {
	b := &batch{dir: p.dir, first: p.next, pairs: make([]*keys.Set, n)}
	if err := b.fill(); err != nil {
		return err
	}
	p.next += n
	p.free = append(p.free, b.pairs...)
	if p.uncached == nil {
		p.uncached = b.uncached
	}
	return nil
}
