package overview

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// The classes of cluster sizes, and the bounds of the buckets in which formations are
// counted. Both are fixed, so that figures of several servers can be added.
var (
	sizeClasses = [...]struct {
		name string
		most int
	}{{"2", 2}, {"3-5", 5}, {"6-16", 16}, {"17-64", 64}, {"65-1024", math.MaxInt}}

	formationBounds = [...]time.Duration{
		10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second,
		10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
	}
)

// Formations counts how long clusters took from their creation until they were full. The
// zero value has counted none. Its methods may be called from any goroutine.
type Formations struct{ classes [len(sizeClasses)]formations }

type formations struct {
	counts [len(formationBounds) + 1]atomic.Uint64
	total  atomic.Int64 // of all times, in nanoseconds
}

// Observe counts a cluster of a size. A negative time is not known, and not counted.
func (f *Formations) Observe(size int, took time.Duration) {
	if took < 0 {
		return
	}
	class := 0
	for size > sizeClasses[class].most {
		class++
	}
	bucket := 0
	for bucket < len(formationBounds) && took > formationBounds[bucket] {
		bucket++
	}
	f.classes[class].total.Add(int64(took))
	f.classes[class].counts[bucket].Add(1)
}

// Snapshot returns what has been counted, in the order of the sizes.
func (f *Formations) Snapshot() []api.Formation {
	all := make([]api.Formation, len(sizeClasses))
	for i := range all {
		all[i] = f.classes[i].snapshot(sizeClasses[i].name)
	}
	return all
}

func (f *formations) snapshot(sizes string) api.Formation {
	s := api.Formation{Sizes: sizes, Bounds: make([]int64, len(formationBounds)), Counts: make([]uint64, len(f.counts))}
	for i, bound := range formationBounds {
		s.Bounds[i] = bound.Milliseconds()
	}
	for i := range f.counts {
		s.Counts[i] = f.counts[i].Load()
		s.Count += s.Counts[i]
	}
	s.Seconds = time.Duration(f.total.Load()).Seconds()
	return s
}
