package records

import (
	"errors"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
)

// ErrUnfinished says that a store is not ready for use, because something that concerns
// all of it was begun and has not been finished.
var ErrUnfinished = errors.New("the data are not complete")

// Work is what is under way with all the records.
type Work struct {
	Name string // for people, such as "copy"
	Run  string // which run of the program does it, as random bytes
}

// Unfinished returns the work that is under way, or store.ErrNotFound if there is none.
func (r Reader) Unfinished() (Work, error) {
	var pb recordspb.Work
	if err := r.getWord(workKey, &pb); err != nil {
		return Work{}, fmt.Errorf("unfinished work: %w", err)
	}
	return Work{Name: pb.GetName(), Run: string(pb.GetRun())}, nil
}

// BeginWork says that something is under way, so that no server starts meanwhile.
func (w Writer) BeginWork(work Work) error {
	return w.putWord(workKey, &recordspb.Work{Name: work.Name, Run: []byte(work.Run)})
}

// EndWork says that it is done.
func (w Writer) EndWork() error { return w.tx.Delete(workKey) }

// IsPassing reports whether what lies under a key is about those who use the store now,
// and no part of what a registry keeps.
func IsPassing(key string) bool {
	return key == workKey || strings.HasPrefix(key, serverRoot)
}

// RevisionAt returns the revision of the cluster whose head is under a key; 0 for every
// other record.
func RevisionAt(item store.Item) (uint64, error) {
	if _, ok := ClusterAt(item.Key); !ok {
		return 0, nil
	}
	var pb recordspb.Cluster
	if err := current.decode(item.Key, item.Value, &pb); err != nil {
		return 0, fmt.Errorf("%s: %w", Describe(item.Key), err)
	}
	return pb.GetRevision(), nil
}

// RaiseRevision gives the cluster whose head is under key a revision that is higher than
// its own. What it was before nobody knows any more, so readers who have seen some of it
// are shown all of it. The record keeps its version. One with a higher revision, or none
// at all, is left alone.
func (w Writer) RaiseRevision(key string, revision uint64) error {
	record, err := w.Reader.tx.Get(key)
	if IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var pb recordspb.Cluster
	if err := current.decode(key, record, &pb); err != nil {
		return fmt.Errorf("%s: %w", Describe(key), err)
	}
	if pb.GetRevision() >= revision {
		return nil
	}
	pb.Revision, pb.FirstRevision = revision, revision
	record, err = form{written: record[0]}.encode(key, &pb)
	if err != nil {
		return err
	}
	return w.tx.Put(key, record)
}
