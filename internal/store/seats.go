package store

import (
	"cmp"
	"slices"

	"github.com/xlattice/xlreg"
)

// WithSeat returns a copy of seats, which are in the order of their indexes, in
// which m has its place.
func WithSeat(seats []xlreg.Member, m xlreg.Member) []xlreg.Member {
	at, found := findSeat(seats, m.Index)
	if found {
		seats = slices.Clone(seats)
		seats[at] = m
		return seats
	}
	grown := make([]xlreg.Member, 0, len(seats)+1)
	grown = append(grown, seats[:at]...)
	grown = append(grown, m)
	return append(grown, seats[at:]...)
}

// WithoutSeat returns seats, which are in the order of their indexes, less the
// one at index: a copy, or seats itself if there is no such seat.
func WithoutSeat(seats []xlreg.Member, index int) []xlreg.Member {
	at, found := findSeat(seats, index)
	if !found {
		return seats
	}
	return slices.Delete(slices.Clone(seats), at, at+1)
}

func findSeat(seats []xlreg.Member, index int) (at int, found bool) {
	return slices.BinarySearchFunc(seats, index, func(m xlreg.Member, index int) int {
		return cmp.Compare(m.Index, index)
	})
}
