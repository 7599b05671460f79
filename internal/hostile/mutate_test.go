package hostile

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// choices is what decides what happens next: bytes of a fuzzer's or of a
// generator's. When there are no more, everything is as it should be.
type choices struct{ b []byte }

func (c *choices) none() bool { return len(c.b) == 0 }

// below returns a number from 0 to n-1; 0 is what changes nothing.
func (c *choices) below(n int) int {
	if len(c.b) == 0 || n < 2 {
		return 0
	}
	v := int(c.b[0])
	c.b = c.b[1:]
	if n > 256 && len(c.b) > 0 {
		v = v<<8 | int(c.b[0])
		c.b = c.b[1:]
	}
	return v % n
}

// field is one field of a message: its tag and the bytes that follow that. What
// does not parse is a field without a tag.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  []byte // with its length, where it has one
}

const noTag = protowire.Number(0)

func split(b []byte) []field {
	var all []field
	for len(b) > 0 {
		number, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return append(all, field{number: noTag, value: b})
		}
		n := protowire.ConsumeFieldValue(number, kind, b[tag:])
		if n < 0 {
			return append(all, field{number: noTag, value: b})
		}
		all = append(all, field{number, kind, b[tag : tag+n]})
		b = b[tag+n:]
	}
	return all
}

func join(all []field) []byte {
	var b []byte
	for _, f := range all {
		if f.number != noTag {
			b = protowire.AppendTag(b, f.number, f.kind)
		}
		b = append(b, f.value...)
	}
	return b
}

func bytesField(number protowire.Number, content []byte) field {
	return field{number, protowire.BytesType, protowire.AppendBytes(nil, content)}
}

func varintField(number protowire.Number, v uint64) field {
	return field{number, protowire.VarintType, protowire.AppendVarint(nil, v)}
}

// content returns what is in a field that has a length.
func (f field) content() ([]byte, bool) {
	if f.kind != protowire.BytesType || f.number == noTag {
		return nil, false
	}
	b, n := protowire.ConsumeBytes(f.value)
	return b, n >= 0
}

// Fields of XLRegMsg that mutations go for.
const (
	opField    protowire.Number = 1
	specsField protowire.Number = 11
)

var (
	edges = []uint64{0, 1, 2, 63, 64, 65, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 63, 1<<64 - 1}
	// overlong are varints that are longer than need be, or than may be.
	overlong = [][]byte{
		{0x83, 0x80, 0x80, 0x00},
		bytes.Repeat([]byte{0xff}, 9), // and what follows
		bytes.Repeat([]byte{0x80}, 10),
		slices.Concat(bytes.Repeat([]byte{0xff}, 9), []byte{0x7f}),
	}
	unknown  = []protowire.Number{7, 28, 100, 19_000, protowire.MaxValidNumber}
	contents = [][]byte{
		nil, {0}, []byte("\xff\xfe"), []byte("a\x00b"), bytes.Repeat([]byte("a"), 129), bytes.Repeat([]byte("a"), 9000),
		bytes.Repeat([]byte{7}, 20), bytes.Repeat([]byte{7}, 32), []byte("127.0.0.1:0"), []byte("c0"),
	}
)

// mutation is one way to change the fields of a message. i is the field that was
// chosen; pool are contents of other fields of the conversation.
type mutation func(c *choices, all []field, i int, pool [][]byte) []field

var mutations = []mutation{
	func(_ *choices, all []field, i int, _ [][]byte) []field { return slices.Delete(all, i, i+1) },
	func(_ *choices, all []field, i int, _ [][]byte) []field { return append(all, all[i]) },
	func(c *choices, all []field, i int, _ [][]byte) []field {
		return append(all, slices.Repeat([]field{all[i]}, c.below(300))...)
	},
	func(c *choices, all []field, i int, _ [][]byte) []field {
		j := c.below(len(all))
		all[i], all[j] = all[j], all[i]
		return all
	},
	func(c *choices, all []field, i int, _ [][]byte) []field {
		all[i] = varintField(all[i].number, edges[c.below(len(edges))])
		return all
	},
	func(c *choices, all []field, i int, _ [][]byte) []field {
		all[i] = field{all[i].number, protowire.VarintType, overlong[c.below(len(overlong))]}
		return all
	},
	func(c *choices, all []field, i int, _ [][]byte) []field { // the same bytes as another type
		all[i].kind = protowire.Type(c.below(8))
		return all
	},
	func(c *choices, all []field, i int, _ [][]byte) []field { // a length without the bytes
		all[i] = field{all[i].number, protowire.BytesType, protowire.AppendVarint(nil, edges[c.below(len(edges))])}
		return all
	},
	func(c *choices, all []field, _ int, _ [][]byte) []field {
		number := unknown[c.below(len(unknown))]
		return append(all, bytesField(number, contents[c.below(len(contents))]), varintField(number, 1))
	},
	func(c *choices, all []field, _ int, _ [][]byte) []field {
		return append([]field{varintField(opField, uint64(c.below(20)))}, drop(all, opField)...)
	},
	func(c *choices, all []field, i int, pool [][]byte) []field { // what belongs elsewhere
		if len(pool) > 0 {
			all[i] = bytesField(all[i].number, pool[c.below(len(pool))])
		}
		return all
	},
	func(c *choices, all []field, i int, _ [][]byte) []field {
		all[i] = bytesField(all[i].number, contents[c.below(len(contents))])
		return all
	},
	func(c *choices, all []field, _ int, _ [][]byte) []field { // groups within groups
		deep := field{200, protowire.StartGroupType, nil}
		return append(all, slices.Repeat([]field{deep}, 1+c.below(20_000))...)
	},
	func(c *choices, all []field, _ int, _ [][]byte) []field { // cut
		b := join(all)
		return []field{{number: noTag, value: b[:c.below(len(b)+1)]}}
	},
	func(c *choices, all []field, _ int, _ [][]byte) []field { // one bit
		b := join(all)
		if len(b) > 0 {
			b[c.below(len(b))] ^= 1 << c.below(8)
		}
		return []field{{number: noTag, value: b}}
	},
}

func drop(all []field, number protowire.Number) []field {
	return slices.DeleteFunc(all, func(f field) bool { return f.number == number })
}

// mutate changes a message, or a token within it, in one way.
func mutate(c *choices, b []byte, pool [][]byte) []byte {
	all := split(bytes.Clone(b))
	if len(all) == 0 {
		return b
	}
	i := c.below(len(all))
	inner, ok := all[i].content()
	if ok && all[i].number == specsField && c.below(4) > 0 {
		all[i] = bytesField(specsField, mutate(c, inner, pool))
		return join(all)
	}
	return join(mutations[c.below(len(mutations))](c, all, i, pool))
}

// harvest returns the contents of all fields with a length, tokens' included.
func harvest(b []byte) [][]byte {
	var all [][]byte
	for _, f := range split(b) {
		content, ok := f.content()
		if !ok {
			continue
		}
		all = append(all, content)
		if f.number == specsField {
			all = append(all, harvest(content)...)
		}
	}
	return all
}
