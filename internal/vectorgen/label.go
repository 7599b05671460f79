package vectorgen

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// label is one of a member's labels.
type label struct {
	key   string
	value []byte
}

func (l label) encode() []byte {
	m := &msg{fields: fields{}}
	m.raw(1, []byte(l.key))
	m.raw(2, l.value)
	return m.b
}

// encodeLabels returns Labels as they travel, in the order given.
func encodeLabels(labels ...label) []byte {
	m := &msg{fields: fields{}}
	for _, l := range labels {
		m.raw(1, l.encode())
	}
	return m.b
}

func someLabels() []byte {
	return encodeLabels(label{"role", []byte("worker")}, label{"zone", []byte{0, 0xff}})
}

// labels are what stands in field 17 of a token.
func (m *maker) labels() {
	m.goodLabels()
	m.badLabels()
}

func (m *maker) goodLabels() {
	add := func(name, about string, b []byte, canonical bool, labels ...label) {
		list := []fields{}
		for _, l := range labels {
			list = append(list, fields{"key": l.key, "value": h(l.value)})
		}
		m.add("label/"+name, success, about, fields{"bytes": h(b)}, fields{"labels": list, "canonical": canonical})
	}
	ok := func(name, about string, labels ...label) { add(name, about, encodeLabels(labels...), true, labels...) }
	ok("none", "no label")
	ok("one", "one label", label{"role", []byte("worker")})
	ok("two", "two labels, sorted by their keys", label{"role", []byte("worker")}, label{"zone", []byte{0, 0xff}})
	ok("empty-value", "a value of no bytes", label{"gpu", []byte{}})
	ok("bytes", "keys are sorted by their bytes: upper case, then _, then lower case", label{"Z", nil}, label{"_", nil}, label{"a", nil}, label{"a-b", nil}, label{"a.b", nil}, label{"ab", nil})
	ok("32", "as many as there may be", manyLabels(32)...)
	ok("2048", "as much as there may be", label{"k", make([]byte, 2047)})
	ok("long-key", "the longest key", label{strings.Repeat("k", 128), []byte("v")})
	one := label{"role", []byte("worker")}
	unknown := append(encodeLabels(one), protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 1)...)
	add("unknown-field", "a field that nobody knows is ignored", unknown, false, one)
	noValue := &msg{fields: fields{}}
	noValue.raw(1, []byte("gpu"))
	list := &msg{fields: fields{}}
	list.raw(1, noValue.b)
	add("no-value", "a value that is left out is one of no bytes", list.b, false, label{"gpu", nil})
}

func manyLabels(n int) []label {
	var labels []label
	for i := range n {
		labels = append(labels, label{"k" + string([]byte{byte('a' + i/26), byte('a' + i%26)}), []byte("v")})
	}
	return labels
}

func (m *maker) badLabels() {
	raw := func(name, about string, b []byte) {
		m.add("label/"+name, message, about, fields{"bytes": h(b)}, illFormedToken())
	}
	bad := func(name, about string, labels ...label) { raw(name, about, encodeLabels(labels...)) }
	bad("unsorted", "not sorted", label{"b", nil}, label{"a", nil})
	bad("case-insensitive", "sorted as if case did not count", label{"a", nil}, label{"B", nil})
	bad("twice", "one key twice", label{"a", []byte("1")}, label{"a", []byte("2")})
	bad("33", "one label too many", manyLabels(33)...)
	bad("2049", "one byte too many", label{"k", make([]byte, 2048)})
	bad("2049-in-all", "one byte too many, in two labels", label{"a", make([]byte, 1000)}, label{"b", make([]byte, 1047)})
	bad("empty-key", "a key of no characters", label{"", []byte("v")})
	bad("bad-key", "a key that is no name", label{"0a", []byte("v")})
	bad("space", "a key with a space", label{"a b", []byte("v")})
	bad("key-129", "a key of 129 characters", label{strings.Repeat("k", 129), nil})
	bad("no-utf8", "a key that is no text", label{"a\xff", nil})
	raw("no-key", "a label without a key", []byte{0x0a, 0x00})
	raw("broken", "no protobuf", []byte{0x0a})
	raw("cut", "the last byte is missing", someLabels()[:len(someLabels())-1])
}
