package bench_test

import (
	"slices"
	"testing"

	"github.com/xlattice/xlreg/internal/bench"
)

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for _, c := range []struct {
		list    []int
		p, want int
	}{
		{nil, 50, 0},
		{[]int{7}, 0, 7}, {[]int{7}, 99, 7},
		{[]int{3, 1, 2}, 50, 2}, {[]int{3, 1, 2}, 90, 3},
		{[]int{4, 1, 3, 2}, 50, 2},
		{[]int{9, 1, 8, 2, 7, 3, 6, 4, 5}, 50, 5}, {[]int{9, 1, 8, 2, 7, 3, 6, 4, 5}, 90, 9},
		{hundred, 1, 1}, {hundred, 50, 50}, {hundred, 90, 90}, {hundred, 99, 99}, {hundred, 100, 100},
	} {
		if got := bench.Percentile(c.list, c.p); got != c.want {
			t.Errorf("percentile %d of %v: got %d, want %d", c.p, c.list, got, c.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("the list was sorted in place")
	}
}

func TestRatios(t *testing.T) {
	got := bench.Ratios([]float64{1, 6, 3}, []float64{2, 3})
	if want := []float64{0.5, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
