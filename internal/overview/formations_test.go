package overview_test

import (
	"math"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/overview"
)

func TestFormations(t *testing.T) {
	var f overview.Formations
	for _, c := range []struct {
		size  int
		took  time.Duration
		class string
		below int64 // the bound of the bucket; 0 is the last one
	}{
		{2, 0, "2", 10},
		{3, 10 * time.Millisecond, "3-5", 10},
		{5, 11 * time.Millisecond, "3-5", 25},
		{6, time.Second, "6-16", 1000},
		{16, time.Minute, "6-16", 60_000},
		{17, 24 * time.Hour, "17-64", 0},
		{64, time.Hour, "17-64", 7_200_000},
		{65, time.Second, "65-1024", 1000},
		{1024, time.Second, "65-1024", 1000},
	} {
		before := f.Snapshot()
		f.Observe(c.size, c.took)
		for i, s := range f.Snapshot() {
			if s.Sizes != c.class {
				if s.Count != before[i].Count {
					t.Errorf("size %d counts as %s", c.size, s.Sizes)
				}
				continue
			}
			if s.Count != before[i].Count+1 || math.Abs(s.Seconds-before[i].Seconds-c.took.Seconds()) > 1e-6 {
				t.Errorf("size %d: %d and %v s after %d and %v s", c.size, s.Count, s.Seconds, before[i].Count, before[i].Seconds)
			}
			for k := range s.Counts {
				in := k == len(s.Bounds) && c.below == 0 || k < len(s.Bounds) && s.Bounds[k] == c.below
				if grown := s.Counts[k] - before[i].Counts[k]; (grown == 1) != in {
					t.Errorf("%v counts in bucket %d of %v", c.took, k, s.Bounds)
				}
			}
		}
	}
	before := f.Snapshot()
	f.Observe(5, -1)
	if now := f.Snapshot(); now[1].Count != before[1].Count {
		t.Error("a time that is not known counts")
	}
}
