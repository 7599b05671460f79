package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// bumpBatch is how many clusters one Update raises. Each is read and written.
const bumpBatch = 32

// Bump raises the revisions of all clusters in a store past what anybody can have seen,
// as after a restore: the store then has an older state than clients, and must not give
// its revisions out again for something else. No server may use it.
//
// Revisions follow the clocks of the servers, in milliseconds. So none that anybody has
// seen is later than the present by more than a clock was ahead; and if they have been
// ahead for long, the newest revision in the store is, too. Ahead comes on top of
// both. Where it takes revisions into the future they go on in steps of one until the
// clocks have come so far.
func Bump(ctx context.Context, s store.Store, o Options) (Result, error) {
	w := newWork("bump", s, &o)
	if err := Idle(ctx, s); err != nil {
		return Result{}, err
	}
	if err := w.begin(ctx, unlessBump); err != nil {
		return Result{}, err
	}
	revision, err := w.raiseAll(ctx)
	if err != nil {
		return Result{}, err
	}
	result, err := w.check(ctx)
	if err != nil {
		return Result{}, err
	}
	result.Revision = revision
	return result, w.end(ctx)
}

// unlessBump allows to do once more what was not finished: it goes higher then.
func unlessBump(before records.Work) error {
	if before.Name == "bump" {
		return nil
	}
	return unfinished(before)
}

// raiseAll gives all clusters one revision, and returns it.
func (w *work) raiseAll(ctx context.Context) (uint64, error) {
	var heads []string
	var highest uint64
	err := w.each(ctx, "read", func(found [][]store.Item) error {
		for _, item := range found[0] {
			revision, err := records.RevisionAt(item)
			if err != nil {
				return err
			}
			highest = max(highest, revision)
			if _, ok := records.ClusterAt(item.Key); ok {
				heads = append(heads, item.Key)
			}
		}
		return nil
	}, w.store)
	if err != nil {
		return 0, err
	}
	revision := target(highest, w.o.Now, w.o.Ahead)
	for len(heads) > 0 {
		now := heads[:min(bumpBatch, len(heads))]
		if err := w.raise(ctx, now, revision); err != nil {
			return 0, fmt.Errorf("raise revisions: %w", err)
		}
		heads = heads[len(now):]
	}
	return revision, nil
}

func (w *work) raise(ctx context.Context, heads []string, revision uint64) error {
	return w.change(ctx, func(tx store.Writer) error {
		for _, key := range heads {
			if err := records.NewWriter(tx).RaiseRevision(key, revision); err != nil {
				return err
			}
		}
		return nil
	})
}

// target is the revision that nobody can have seen.
func target(highest uint64, now time.Time, ahead time.Duration) uint64 {
	return max(highest, uint64(max(0, now.UnixMilli()))) + uint64(ahead.Milliseconds()) + 1
}

// check goes through all records.
func (w *work) check(ctx context.Context) (result Result, err error) {
	checker := records.NewChecker()
	err = w.each(ctx, "checked", func(found [][]store.Item) error {
		for _, item := range found[0] {
			result.Records++
			result.Bytes += int64(len(item.Key) + len(item.Value))
			if err := checker.Add(item.Key, item.Value); err != nil {
				return err
			}
		}
		return nil
	}, w.store)
	if err != nil {
		return Result{}, err
	}
	result.Counts, err = checker.Finish()
	return result, err
}
