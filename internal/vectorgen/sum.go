package vectorgen

import (
	"encoding/base32"
	"strings"
)

// seat is one member of a roster, at its index.
type seat struct {
	index int
	*token
}

// seats puts tokens at the indexes 0, 1 and so on.
func seats(tokens ...*token) []seat {
	var list []seat
	for i, t := range tokens {
		list = append(list, seat{i, t})
	}
	return list
}

// hash is what a sum has of a seat.
func (s seat) hash() []byte {
	t := s.token
	b := join([]byte("xlreg seat 2.0\x00"), lp(t.id), lp([]byte(t.name)), u64be(t.attrs), lp(t.comms), lp(t.sig), u32be(uint32(len(t.ends))))
	for _, end := range t.ends {
		b = append(b, lp([]byte(end))...)
	}
	return sha256Sum(join(b, lp(t.digSig2), lp(t.cert), lp(t.commsSig), lp(t.labels), lp(t.admission), lp(t.run)))
}

// sum is that of a whole roster.
func (c cluster) sum(seats []seat) []byte {
	b := join([]byte("xlreg roster 2.0\x00"), lp(c.id), lp([]byte(c.name)), lp(c.key), u32be(uint32(c.size)), u32be(uint32(c.ends)),
		u64be(c.attrs), u64be(c.epoch), u64be(c.revision), u32be(uint32(len(seats))))
	for _, s := range seats {
		b = join(b, u32be(uint32(s.index)), s.hash())
	}
	return sha256Sum(b)
}

// shortSum is what people compare.
func shortSum(sum []byte) string {
	text := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20]))
	var groups []string
	for ; text != ""; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(groups, "-")
}

// setOf returns a set of indexes as it travels.
func setOf(indexes ...int) []byte {
	set := []byte{}
	for _, i := range indexes {
		for len(set) <= i/8 {
			set = append(set, 0)
		}
		set[i/8] |= 1 << (i % 8)
	}
	return set
}

func indexesOf(seats []seat) []int {
	var list []int
	for _, s := range seats {
		list = append(list, s.index)
	}
	return list
}
