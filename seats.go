package xlreg

import "math/bits"

// seatWords is how many words hold a set of MaxClusterSize indexes.
const seatWords = MaxClusterSize / 64

// Seats is a set of member indexes, 0 to MaxClusterSize-1. It is a value: the methods
// that change something return another set. The zero value is the empty set.
type Seats struct {
	words [seatWords]uint64 // bit n of word m stands for index 64m + n
}

// AllSeats returns the set of every index there can be.
func AllSeats() Seats { return SeatsBelow(MaxClusterSize) }

// SeatsBelow returns the set of the indexes 0 to n-1.
func SeatsBelow(n int) Seats {
	var s Seats
	for i := range s.words {
		switch rest := n - 64*i; {
		case rest >= 64:
			s.words[i] = ^uint64(0)
		case rest > 0:
			s.words[i] = 1<<rest - 1
		}
	}
	return s
}

// SeatsOf returns the set of these indexes; those that cannot be are left out.
func SeatsOf(indexes ...int) Seats {
	var s Seats
	for _, i := range indexes {
		s = s.With(i)
	}
	return s
}

// SeatsFromWord returns the set in which bit n of w stands for index n, as classic
// messages have it.
func SeatsFromWord(w uint64) Seats { return Seats{[seatWords]uint64{w}} }

// Word returns the indexes 0 to 63 in the form of SeatsFromWord.
func (s Seats) Word() uint64 { return s.words[0] }

// SeatsFromBytes reads a set in which bit j of byte i, the lowest first, stands for
// index 8i+j. It reports whether b is a set: more bytes than MaxClusterSize indexes
// need are none.
func SeatsFromBytes(b []byte) (Seats, bool) {
	var s Seats
	if len(b) > MaxClusterSize/8 {
		return s, false
	}
	for i, octet := range b {
		s.words[i/8] |= uint64(octet) << (i % 8 * 8)
	}
	return s, true
}

// Bytes returns s in the form of SeatsFromBytes, without zero bytes at the end.
func (s Seats) Bytes() []byte {
	b := make([]byte, MaxClusterSize/8)
	used := 0
	for i := range b {
		b[i] = byte(s.words[i/8] >> (i % 8 * 8))
		if b[i] != 0 {
			used = i + 1
		}
	}
	return b[:used]
}

// Has reports whether index is in s.
func (s Seats) Has(index int) bool {
	return index >= 0 && index < MaxClusterSize && s.words[index/64]>>(index%64)&1 == 1
}

// With returns s and index, if that is one.
func (s Seats) With(index int) Seats {
	if index >= 0 && index < MaxClusterSize {
		s.words[index/64] |= 1 << (index % 64)
	}
	return s
}

// Without returns s less index.
func (s Seats) Without(index int) Seats {
	if index >= 0 && index < MaxClusterSize {
		s.words[index/64] &^= 1 << (index % 64)
	}
	return s
}

// And returns what is in both sets.
func (s Seats) And(t Seats) Seats {
	for i := range s.words {
		s.words[i] &= t.words[i]
	}
	return s
}

// Or returns what is in either set.
func (s Seats) Or(t Seats) Seats {
	for i := range s.words {
		s.words[i] |= t.words[i]
	}
	return s
}

// Minus returns s less what is in t.
func (s Seats) Minus(t Seats) Seats {
	for i := range s.words {
		s.words[i] &^= t.words[i]
	}
	return s
}

// IsEmpty reports whether nothing is in s.
func (s Seats) IsEmpty() bool { return s == Seats{} }

// Len returns how many indexes are in s.
func (s Seats) Len() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Lowest returns the lowest index in s; MaxClusterSize if there is none.
func (s Seats) Lowest() int { return lowestBit(func(i int) uint64 { return s.words[i] }) }

// LowestFree returns the lowest index that is not in s; MaxClusterSize if there is none.
func (s Seats) LowestFree() int { return lowestBit(func(i int) uint64 { return ^s.words[i] }) }

func lowestBit(word func(int) uint64) int {
	for i := range seatWords {
		if w := word(i); w != 0 {
			return 64*i + bits.TrailingZeros64(w)
		}
	}
	return MaxClusterSize
}

// All yields the indexes in s, the lowest first.
func (s Seats) All() func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i, w := range s.words {
			for ; w != 0; w &= w - 1 {
				if !yield(64*i + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}
