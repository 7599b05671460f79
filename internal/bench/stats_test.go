package bench_test

import (
	"slices"
	"testing"
	"time"

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

func TestSummarize(t *testing.T) {
	ms := time.Millisecond
	got := bench.Summarize([]bench.Sample{
		{Took: time.Second, Latencies: []time.Duration{5 * ms, 1 * ms}, Server: 4 * ms, Client: 2 * ms, Memory: 10},
		{Took: 2 * time.Second, Latencies: []time.Duration{3 * ms, 2 * ms}, Server: 6 * ms, Client: 4 * ms, Memory: 30},
		{Took: time.Second / 2, Latencies: []time.Duration{4 * ms, 6 * ms}, Server: 20 * ms, Client: 3 * ms, Memory: 20},
	})
	want := bench.Summary{
		Runs: 3, Operations: 6, PerSecond: 2, P50: 3 * ms, P90: 6 * ms, P99: 6 * ms,
		Server: 3 * ms, Client: 1500 * time.Microsecond, Memory: 20,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = bench.Summarize([]bench.Sample{{Took: time.Second, Latencies: []time.Duration{ms}, Server: -1, Client: -1, Memory: -1}})
	if got.Server >= 0 || got.Client >= 0 || got.Memory >= 0 || got.PerSecond != 1 {
		t.Errorf("of what is not known %+v", got)
	}
}
