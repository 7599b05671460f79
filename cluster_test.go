package xlreg_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
)

// TestSeatsAgainstASet holds the bits against the plainest model there is.
func TestSeatsAgainstASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s xlreg.Seats
		model := map[int]bool{}
		for _, i := range rapid.SliceOf(rapid.IntRange(-64, 63)).Draw(t, "steps") {
			if i >= 0 {
				s, model[i] = s.With(i), true
				continue
			}
			s = s.Without(^i)
			delete(model, ^i)
		}
		lowest := 0
		for model[lowest] {
			lowest++
		}
		if s.Len() != len(model) || s.LowestFree() != lowest {
			t.Errorf("%b: %d seats, lowest free %d; want %d and %d", s, s.Len(), s.LowestFree(), len(model), lowest)
		}
		for i := range 64 {
			if s.Has(i) != model[i] {
				t.Errorf("%b: seat %d is %v", s, i, s.Has(i))
			}
		}
	})
}

func TestSeatsAtTheirEnds(t *testing.T) {
	all := xlreg.AllSeats
	if all.Len() != 64 || all.LowestFree() != 64 || !all.Has(0) || !all.Has(63) {
		t.Errorf("all seats: %d, lowest free %d", all.Len(), all.LowestFree())
	}
	if all.Has(-1) || all.Has(64) {
		t.Error("there are more than 64 seats")
	}
	if got := all.Without(63).LowestFree(); got != 63 {
		t.Errorf("lowest free %d", got)
	}
}

func TestRoster(t *testing.T) {
	r := &xlreg.Roster{Cluster: xlreg.Cluster{MaxSize: 2}}
	if r.Full() || r.Seats() != 0 {
		t.Errorf("an empty roster is full or has seats %b", r.Seats())
	}
	r.Members = []xlreg.Member{{Index: 0}, {Index: 63}}
	if want := xlreg.Seats(1 | 1<<63); !r.Full() || r.Seats() != want {
		t.Errorf("seats %b, full: %v", r.Seats(), r.Full())
	}
}

func TestClusterRef(t *testing.T) {
	if !(xlreg.ClusterRef{}).IsZero() || (xlreg.ClusterRef{Name: "a"}).IsZero() || (xlreg.ClusterRef{ID: "a"}).IsZero() {
		t.Error("IsZero")
	}
}

func TestKnownAttrs(t *testing.T) {
	if xlreg.KnownClusterAttrs != 1|2|4 || xlreg.ClusterUnique != 4 || xlreg.ClusterEphemeral != 1 {
		t.Error("cluster bits are not those of the protocol")
	}
	if xlreg.KnownNodeAttrs != 1|2|4 || xlreg.AttrEphemeral != 1 || xlreg.AttrAdmin != 2 || xlreg.AttrSolo != 4 {
		t.Error("node bits are not those of the protocol")
	}
}
