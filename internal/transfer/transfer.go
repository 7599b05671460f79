// Package transfer does what concerns everything that a registry keeps, while no server
// uses it: it copies all records from one store to another, and raises the revisions of
// all clusters.
//
// Both mark the store that they change before they begin, and take the mark away when
// they are done. A store with a mark is none that a server may start on.
package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

var (
	// ErrServed says that servers use a store.
	ErrServed = errors.New("servers are using it")
	// ErrNotEmpty says that there is something in a store that should be empty.
	ErrNotEmpty = errors.New("it is not empty")
	// ErrChanged says that somebody has changed a store meanwhile.
	ErrChanged = errors.New("somebody has changed it meanwhile")
)

// DefaultAhead is how far ahead the clocks of servers may have been, unless more is said.
const DefaultAhead = 24 * time.Hour

// unknownTries is how often a change is tried whose outcome is unknown. To make it again
// does no harm.
const unknownTries = 3

// Result is what a store has in it.
type Result struct {
	Records  int
	Bytes    int64 // of the records and their keys
	Counts   records.Counts
	Revision uint64 // that all clusters were raised to; 0: none was
}

// Options are how to raise revisions, and whom to tell.
type Options struct {
	Bump  bool          // raise all revisions after the copy
	Ahead time.Duration // how far ahead clocks may have been
	Now   time.Time     // by this machine's clock
	// Progress is told how many records have been read, now and then; nil: nobody is.
	Progress func(step string, records int)
}

// work is one run of this package on the store that it changes.
type work struct {
	store store.Store
	mark  records.Work
	o     *Options
}

func newWork(name string, s store.Store, o *Options) *work {
	var run [16]byte
	rand.Read(run[:]) // never fails
	if o.Progress == nil {
		o.Progress = func(string, int) {}
	}
	return &work{store: s, mark: records.Work{Name: name, Run: string(run[:])}, o: o}
}

// begin marks the store, if it has no mark, or an older one that again allows.
func (w *work) begin(ctx context.Context, again func(records.Work) error) error {
	return w.update(ctx, func(tx store.Writer) error {
		before, err := records.NewReader(tx).Unfinished()
		switch {
		case records.IsNotFound(err) || before == w.mark:
		case err != nil:
			return err
		default:
			if err := again(before); err != nil {
				return err
			}
		}
		return records.NewWriter(tx).BeginWork(w.mark)
	})
}

// change makes a change, as long as the store has this run's mark.
func (w *work) change(ctx context.Context, f func(store.Writer) error) error {
	return w.update(ctx, func(tx store.Writer) error {
		mark, err := records.NewReader(tx).Unfinished()
		if records.IsNotFound(err) || err == nil && mark != w.mark {
			return ErrChanged
		}
		if err != nil {
			return err
		}
		return f(tx)
	})
}

func (w *work) end(ctx context.Context) error {
	return w.update(ctx, func(tx store.Writer) error { return records.NewWriter(tx).EndWork() })
}

// update runs an Update that may be made twice.
func (w *work) update(ctx context.Context, f func(store.Writer) error) error {
	var err error
	for range unknownTries {
		if err = w.store.Update(ctx, f); !errors.Is(err, store.ErrUnknown) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Idle returns ErrServed if servers use a store, and what they say of themselves.
func Idle(ctx context.Context, s store.Store) error {
	var servers []records.Server
	err := s.View(ctx, func(tx store.Reader) (err error) {
		servers, err = records.NewReader(tx).Servers()
		return err
	})
	if err != nil || len(servers) == 0 {
		return err
	}
	names := make([]string, len(servers))
	for i := range servers {
		names[i] = servers[i].Name
	}
	return fmt.Errorf("%w: %s", ErrServed, strings.Join(names, ", "))
}
