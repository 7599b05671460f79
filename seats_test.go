package xlreg_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
)

// model is a set of indexes, the plainest there is.
type model map[int]bool

func (m model) seats() xlreg.Seats {
	var s xlreg.Seats
	for i := range m {
		s = s.With(i)
	}
	return s
}

func drawModel(t *rapid.T, label string) model {
	m := model{}
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, xlreg.MaxClusterSize-1), 0, 40).Draw(t, label) {
		m[i] = true
	}
	return m
}

// wantSeats holds every way to look at a set against the model.
func wantSeats(t *rapid.T, what string, s xlreg.Seats, m model) {
	var want []int
	lowestFree := xlreg.MaxClusterSize
	for i := range xlreg.MaxClusterSize {
		if s.Has(i) != m[i] {
			t.Errorf("%s: index %d is %v", what, i, s.Has(i))
		}
		if m[i] {
			want = append(want, i)
		} else {
			lowestFree = min(lowestFree, i)
		}
	}
	if got := slices.Collect(s.All()); !slices.Equal(got, want) {
		t.Errorf("%s: all are %v, want %v", what, got, want)
	}
	lowest := xlreg.MaxClusterSize
	if len(want) > 0 {
		lowest = want[0]
	}
	if s.Len() != len(want) || s.IsEmpty() != (len(want) == 0) || s.Lowest() != lowest || s.LowestFree() != lowestFree {
		t.Errorf("%s: %d, empty %v, lowest %d, lowest free %d; want %v", what, s.Len(), s.IsEmpty(), s.Lowest(), s.LowestFree(), want)
	}
	if again := xlreg.SeatsOf(want...); again != s {
		t.Errorf("%s: made of its indexes it is another set", what)
	}
}

func TestSeatsAgainstASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s xlreg.Seats
		m := model{}
		for _, i := range rapid.SliceOf(rapid.IntRange(-xlreg.MaxClusterSize, xlreg.MaxClusterSize-1)).Draw(t, "steps") {
			before, known := s, m[max(i, ^i)]
			if i >= 0 {
				s, m[i] = s.With(i), true
			} else {
				s = s.Without(^i)
				delete(m, ^i)
			}
			if before.Has(max(i, ^i)) != known {
				t.Fatal("the set from which another was made has changed")
			}
		}
		wantSeats(t, "steps", s, m)
	})
}

func TestSeatsWithEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawModel(t, "a"), drawModel(t, "b")
		both, either, less := model{}, model{}, model{}
		for i := range xlreg.MaxClusterSize {
			if a[i] && b[i] {
				both[i] = true
			}
			if a[i] || b[i] {
				either[i] = true
			}
			if a[i] && !b[i] {
				less[i] = true
			}
		}
		wantSeats(t, "and", a.seats().And(b.seats()), both)
		wantSeats(t, "or", a.seats().Or(b.seats()), either)
		wantSeats(t, "minus", a.seats().Minus(b.seats()), less)
	})
}

// Bit j of byte i, the lowest first, is index 8i+j, and there is no zero byte at the end.
func TestSeatsAsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t, "set")
		var want []byte
		for i := range m {
			for len(want) <= i/8 {
				want = append(want, 0)
			}
			want[i/8] |= 1 << (i % 8)
		}
		s := m.seats()
		if got := s.Bytes(); !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
		zeros := rapid.IntRange(0, xlreg.MaxClusterSize/8-len(want)).Draw(t, "zeros")
		if again, ok := xlreg.SeatsFromBytes(append(want, make([]byte, zeros)...)); !ok || again != s {
			t.Errorf("%x and %d zeros are another set", want, zeros)
		}
	})
	if _, ok := xlreg.SeatsFromBytes(make([]byte, xlreg.MaxClusterSize/8+1)); ok {
		t.Error("129 bytes are taken")
	}
	if s, ok := xlreg.SeatsFromBytes(nil); !ok || !s.IsEmpty() || len(s.Bytes()) != 0 {
		t.Error("no bytes are not the empty set")
	}
}

func TestSeatsAsAWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.Uint64().Draw(t, "word")
		m := model{}
		for i := range 64 {
			if w>>i&1 == 1 {
				m[i] = true
			}
		}
		wantSeats(t, "word", xlreg.SeatsFromWord(w), m)
		if got := xlreg.SeatsFromWord(w).With(64).With(1023).Word(); got != w {
			t.Errorf("got %x, want %x", got, w)
		}
	})
}

func TestSeatsAtTheirEnds(t *testing.T) {
	all := xlreg.AllSeats()
	if all.Len() != 1024 || all.LowestFree() != 1024 || all.Lowest() != 0 || !all.Has(1023) {
		t.Errorf("all seats: %d, lowest free %d", all.Len(), all.LowestFree())
	}
	for _, i := range []int{-1, -1 << 62, 1024, 1 << 62} {
		if all.Has(i) || all.With(i) != all || all.Without(i) != all || !xlreg.SeatsOf(i).IsEmpty() {
			t.Errorf("there is an index %d", i)
		}
	}
	for n, want := range map[int]int{-1: 0, 0: 0, 1: 1, 63: 63, 64: 64, 65: 65, 128: 128, 1023: 1023, 1024: 1024, 2000: 1024} {
		s := xlreg.SeatsBelow(n)
		if s.Len() != want || s.LowestFree() != want {
			t.Errorf("below %d: %d, lowest free %d", n, s.Len(), s.LowestFree())
		}
	}
	for i := range xlreg.SeatsOf(7, 70, 700).All() {
		if i == 70 {
			break // whoever stops early is not called again
		}
	}
}
