package vectorgen

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// sealed is one direction of a classic session in the making.
type sealed struct {
	generation string
	label      string
	key, iv    []byte   // iv is where the chain of 1.8 begins
	chain      []byte   // 1.8: the IV of the next message
	wire       [][]byte // one element a message
}

func newSealed(generation, name string) *sealed {
	s := newStream("classic " + name)
	key, iv := s.bytes(32), s.bytes(16)
	return &sealed{generation: generation, label: name, key: key, iv: iv, chain: iv}
}

// padded adds a message that may be padded in whatever way.
func (s *sealed) padded(blocks []byte) *sealed {
	if s.generation == "1.9" {
		iv := random(fmt.Sprintf("classic iv %s %d", s.label, len(s.wire)), 16)
		s.wire = append(s.wire, join(iv, cbc(s.key, iv, blocks)))
		return s
	}
	wire := cbc(s.key, s.chain, blocks)
	s.chain = wire[len(wire)-16:]
	s.wire = append(s.wire, wire)
	return s
}

func (s *sealed) plain(plain []byte) *sealed { return s.padded(pad(plain)) }

// cut removes the last bytes of the last message.
func (s *sealed) cut(n int) {
	last := &s.wire[len(s.wire)-1]
	*last = (*last)[:len(*last)-n]
}

func (s *sealed) input() fields {
	var wire []string
	for _, b := range s.wire {
		wire = append(wire, hex.EncodeToString(b))
	}
	in := fields{"generation": s.generation, "key2": h(s.key), "wire": wire}
	if s.generation == "1.8" {
		in["iv2"] = h(s.iv)
	}
	return in
}

// plains is what arrives of a stream.
func plains(messages ...[]byte) fields {
	list := []fields{}
	for _, b := range messages {
		list = append(list, fields{"plain": h(b)})
	}
	return fields{"messages": list}
}

func (m *maker) classics() {
	for _, generation := range []string{"1.8", "1.9"} {
		m.goodStreams(generation)
		m.badStreams(generation)
	}
	m.longStreams()
}

// A few messages to send.
var (
	byeBytes = newMsg(opBye).b
	getBytes = newMsg(opGetCluster).text(14, "vectors").u64(20, 3).b
)

func joinBytes() []byte { return newMsg(opJoin).bytes(13, random("cluster id", 20)).b }

func (m *maker) goodStreams(generation string) {
	ok := func(name, about string, messages ...[]byte) {
		name = generation + "-" + name
		s := newSealed(generation, name)
		for _, b := range messages {
			s.plain(b)
		}
		m.add("classic/"+name, success, about, s.input(), plains(messages...))
	}
	ok("one", "one message of one block", byeBytes)
	ok("three", "three messages one after the other", joinBytes(), getBytes, byeBytes)
	ok("whole-block", "a message of whole blocks, which gets a block of padding", exactly(32))
	ok("unknown-field", "a field that nobody knows is no reason to wait for more",
		(&msg{b: bytes.Clone(byeBytes), fields: fields{}}).bytes(1000, []byte("from the future")).b)
	ok("unknown-op", "an Op that does not exist makes a message all the same", newMsg(99).b)
	ok("padding-within", "the first block unpads, to what does not parse: the message goes on", paddingWithin())
	ok("padding-without-op", "the first block unpads, to what parses but has no Op: the message goes on", withoutOpAtFirst())
}

// exactly returns a message of n bytes.
func exactly(n int) []byte {
	for text := n; ; text-- {
		if b := newMsg(opError).text(23, strings.Repeat(".", text)).b; len(b) == n {
			return b
		}
	}
}

// paddingWithin returns a message whose sixteenth byte is 1, as the padding of
// fifteen bytes would be, in the middle of a field.
func paddingWithin() []byte {
	id := random("padding within", 20)
	b := newMsg(opJoin).bytes(13, id).b
	b[15] = 1
	return b
}

// withoutOpAtFirst returns a message whose first block is eight bytes of fields
// and, four times, Op 8, which are also eight bytes of padding. The last Op is
// the one that counts.
func withoutOpAtFirst() []byte {
	m := (&msg{fields: fields{}}).u32(15, 5).u32(17, 1).u64(20, 3)
	m.u32(1, opJoinReply).u32(1, opJoinReply).u32(1, opJoinReply).u32(1, opJoinReply)
	return m.text(14, "vectors").u32(1, opGetCluster).b
}

func (m *maker) badStreams(generation string) {
	bad := func(name, about string, fill func(*sealed), before ...[]byte) {
		name = generation + "-" + name
		s := newSealed(generation, name)
		for _, b := range before {
			s.plain(b)
		}
		fill(s)
		m.add("classic/"+name, frame, about, s.input(), plains(before...))
	}
	join := joinBytes()
	for name, blocks := range badPaddings(join) {
		bad(name, "the padding is wrong: "+name, func(s *sealed) { s.padded(blocks) })
	}
	bad("second", "a good message, then one whose padding is wrong", func(s *sealed) { s.padded(badPaddings(join)["padding-0"]) }, join)
	bad("empty", "nothing but padding", func(s *sealed) { s.plain(nil) })
	bad("no-op", "fields but no Op", func(s *sealed) { s.plain(join[2:]) })
	bad("broken", "what unpads is no protobuf: its last field is cut", func(s *sealed) { s.plain(join[:len(join)-1]) })
	bad("not-whole-blocks", "the last byte never comes", func(s *sealed) { s.plain(join).cut(1) })
	bad("block-missing", "the last block never comes", func(s *sealed) { s.plain(join).cut(16) })
	other := random("classic other key", 32)
	bad("other-key", "encrypted under another key", func(s *sealed) {
		key := s.key
		s.key = other
		s.plain(join)
		s.key = key
	})
}

// longStreams are the longest message, and one of a block more. Only one
// generation has them, as they are long.
func (m *maker) longStreams() {
	const most = 16384 - 16 - 1 // less the IV and the least padding
	at := newSealed("1.9", "1.9-longest").plain(exactly(most))
	m.add("classic/1.9-longest", success, "the longest message: 16,384 bytes with its IV", at.input(), plains(exactly(most)))
	over := newSealed("1.9", "1.9-too-long").plain(exactly(most + 1))
	m.add("classic/1.9-too-long", frame, "a message of one block more than is allowed", over.input(), plains())
}

func (m *maker) frames() {
	wire := func(payloads ...[]byte) []byte {
		var b []byte
		for _, p := range payloads {
			b = append(b, lp(p)...)
		}
		return b
	}
	add := func(name, layer, about, from string, bytes []byte, before ...[]byte) {
		want := plains(before...)
		if layer != success {
			want["error"] = protocolError()["error"]
		}
		m.add("frame/"+name, layer, about, fields{"from": from, "bytes": h(bytes)}, want)
	}
	join := joinBytes()
	add("one", success, "one message", "client", wire(join), join)
	add("three", success, "three messages, pipelined", "client", wire(join, getBytes, byeBytes), join, getBytes, byeBytes)
	add("from-server", success, "one message from a server", "server", wire(newMsg(opAck).b), newMsg(opAck).b)
	add("unknown-op", success, "an Op that does not exist is not the carrier's business", "client", wire(newMsg(99).b), newMsg(99).b)
	add("zero", frame, "a frame of no bytes: no Op", "client", u32be(0))
	add("gigabyte", frame, "a frame that claims a gigabyte", "client", u32be(1<<30))
	add("all-ones", frame, "a frame that claims 4 GiB less one byte", "client", u32be(1<<32-1))
	add("too-long-from-client", frame, "one byte more than a client may send", "client", u32be(64<<10+1))
	add("too-long-from-server", frame, "one byte more than a server may send", "server", u32be(4<<20+1))
	add("no-op", frame, "fields but no Op", "client", wire(join[2:]))
	add("broken", frame, "no protobuf", "client", wire(join[:len(join)-1]))
	add("truncated", frame, "the last byte never comes", "client", wire(join)[:4+len(join)-1])
	add("truncated-length", frame, "the last byte of the length never comes", "client", wire(join)[:3])
	add("second", frame, "a good message, then one without Op", "client", wire(join, join[2:]), join)
	add("little-endian", frame, "a length with its lowest byte first", "client", append(u32le(uint32(len(join))), join...))
}
