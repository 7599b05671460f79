package bench

import (
	"cmp"
	"slices"
)

// Median returns the value in the middle of list, of two the smaller; zero of none.
func Median[T cmp.Ordered](list []T) T { return Percentile(list, 50) }

// Percentile returns the least value of list that is no less than p percent of
// them: one that was measured. It is zero of none.
func Percentile[T cmp.Ordered](list []T, p int) T {
	if len(list) == 0 {
		return *new(T)
	}
	sorted := slices.Sorted(slices.Values(list))
	rank := (len(sorted)*p + 99) / 100 // the nearest one, rounded up
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Ratios returns the ratio of each a to the b that was measured beside it.
func Ratios[T ~int64 | ~float64](a, b []T) []float64 {
	list := make([]float64, min(len(a), len(b)))
	for i := range list {
		list[i] = float64(a[i]) / float64(b[i])
	}
	return list
}
