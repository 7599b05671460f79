package vectorgen

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"math/big"
)

// sshBytes decodes the base64 of a key.
func sshBytes(m *maker, text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	m.fail(err)
	return b
}

// spkiOfSSH converts a key between its two forms. The key is one of a recorded
// file, so its form is known.
func spkiOfSSH(form []byte) []byte {
	next := func() []byte {
		n := binary.BigEndian.Uint32(form)
		field := form[4 : 4+n]
		form = form[4+n:]
		return field
	}
	next() // the algorithm
	e := new(big.Int).SetBytes(next())
	n := new(big.Int).SetBytes(next())
	return spki(&rsa.PublicKey{N: n, E: int(e.Int64())})
}

func (m *maker) detects() {
	tls := []byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03}
	add := func(name, about string, b []byte, carrier string, after int) {
		m.add("detect/"+name, success, about, fields{"bytes": h(b)}, fields{"carrier": carrier, "decided_after": after})
	}
	add("tls", "a ClientHello is told at its eleventh byte", tls, "tls", 11)
	other := bytes.Clone(tls)
	copy(other[2:5], []byte{0xff, 0xee, 0xdd})
	copy(other[6:9], []byte{0xcc, 0xbb, 0xaa})
	add("tls-other-lengths", "bytes 2 to 4 and 6 to 8 say nothing", other, "tls", 11)
	pieces := []byte{0x16, 3, 1, 0, 1, 1, 0x16, 3, 1, 0, 3, 0, 1, 0xfc, 0x16, 3, 1, 0, 1, 3, 0x16, 3, 1, 0, 9, 3}
	add("tls-pieces", "a ClientHello in records of 1, 3, 1 and more bytes", pieces, "tls", len(pieces))
	add("undecided-pieces", "the same without its last byte", pieces[:len(pieces)-1], "undecided", 0)
	for _, i := range []int{6, 20, 25} {
		b := bytes.Clone(pieces)
		b[i] ^= 0x40
		add(fmt.Sprintf("classic-pieces-%d", i), "short records, and then a byte that no ClientHello has there", b, "classic", i+1)
	}
	for _, i := range []int{0, 1, 5, 9, 10} {
		b := bytes.Clone(tls)
		b[i] ^= 0x40
		add("classic-"+string("0123456789a"[i]), "classic, told at the first byte that differs", b, "classic", i+1)
	}
	add("undecided-1", "one byte that both could begin with", tls[:1], "undecided", 0)
	add("undecided-10", "ten bytes that both could begin with", tls[:10], "undecided", 0)
}

// helloFields are what a Hello may hold.
type helloFields struct{ iv, key, salt, version []byte }

func makeHello(label string, version string) helloFields {
	s := newStream("hello " + label)
	v := map[string][]byte{"0.0": {0, 0, 0, 0}, "1.8": {1, 8, 0, 0}, "1.9": {1, 9, 0, 0}}[version]
	return helloFields{s.bytes(16), s.bytes(32), s.bytes(8), v}
}

func (f helloFields) plain18() []byte { return join(f.iv, f.key, f.salt, f.version) }
func (f helloFields) plain19() []byte { return join(f.key, f.salt, f.version) }

func (m *maker) hellos() {
	m.goodHellos()
	m.badHellos()
}

func (m *maker) goodHellos() {
	ok := func(name, about, key, generation, version string) {
		f := makeHello(name, version)
		plain := f.plain19()
		want := fields{"generation": generation, "key1": h(f.key), "salt1": h(f.salt), "version1": version}
		if generation == "1.8" {
			plain = f.plain18()
			want["iv1"] = h(f.iv)
		}
		want["plaintext"] = h(plain)
		m.add("hello/"+name, success, about, fields{"key": key, "ciphertext": h(m.oaep(key, name, plain))}, want)
	}
	ok("1.8", "a Hello of generation 1.8", "registry-comms", "1.8", "1.8")
	ok("1.9", "a Hello of generation 1.9", "registry-comms", "1.9", "1.9")
	ok("1.8-version-0", "proposing version 0, as deployed clients do", "registry-comms", "1.8", "0.0")
	ok("1.9-version-0", "proposing version 0, as deployed clients do", "registry-comms", "1.9", "0.0")
	ok("1.8-small-key", "under a key of 1024 bits", "small-comms", "1.8", "1.8")
	ok("1.9-small-key", "under a key of 1024 bits", "small-comms", "1.9", "1.9")
}

func (m *maker) oaep(key, label string, plain []byte) []byte {
	return oaep(&m.rsa[key].PublicKey, sha1.New, "", random("oaep "+label, sha1.Size), plain)
}

func (m *maker) badHellos() {
	bad := func(name, about string, ciphertext []byte) {
		m.add("hello/"+name, handshake, about, fields{"key": "registry-comms", "ciphertext": h(ciphertext)}, nil)
	}
	for _, n := range []int{0, 43, 45, 59, 61, 214} {
		name := fmt.Sprintf("length-%d", n)
		bad(name, "a plaintext of another length", m.oaep("registry-comms", name, random("hello "+name, n)))
	}
	key := &m.rsa["registry-comms"].PublicKey
	plain := makeHello("bad", "1.8").plain18()
	encrypt := func(newHash func() hash.Hash, label string) []byte {
		return oaep(key, newHash, label, random("oaep bad", newHash().Size()), plain)
	}
	whole := encrypt(sha1.New, "")
	bad("other-key", "encrypted to another key", oaep(&m.rsa["node-comms"].PublicKey, sha1.New, "", random("oaep other", sha1.Size), plain))
	bad("sha256", "OAEP with SHA-256", encrypt(sha256.New, ""))
	bad("label", "OAEP with a label", encrypt(sha1.New, "hello"))
	bad("pkcs1-v1.5", "PKCS #1 v1.5 in place of OAEP", rawPublic(key, pkcs1Block(key.Size(), plain)))
	bad("flipped", "one bit changed", flip(whole))
	bad("zeros", "no ciphertext but zeros", make([]byte, key.Size()))
	bad("ones", "a number above the modulus", bytes.Repeat([]byte{0xff}, key.Size()))
	bad("short", "one byte missing: a server that waits for it closes at the hello timeout", whole[:len(whole)-1])
}

// pkcs1Block pads for encryption as RFC 8017, 7.2.1, with a constant where
// randomness should stand.
func pkcs1Block(size int, plain []byte) []byte {
	filler := bytes.Repeat([]byte{0x5a}, size-len(plain)-3)
	return join([]byte{0, 2}, filler, []byte{0}, plain)
}

// replyFields are what a HelloReply may hold.
type replyFields struct{ iv1, key1, salt1, iv, key2, salt2, version []byte }

func makeReply(generation string) replyFields {
	s := newStream("reply " + generation)
	version := []byte{1, 9, 0, 0}
	if generation == "1.8" {
		version = []byte{1, 8, 0, 0}
	}
	return replyFields{s.bytes(16), s.bytes(32), s.bytes(8), s.bytes(16), s.bytes(32), s.bytes(8), version}
}

func (f replyFields) plain18() []byte { return join(f.iv, f.key2, f.salt2, f.salt1, f.version) }
func (f replyFields) plain19() []byte { return join(f.key2, f.salt2, f.version) }

func (m *maker) helloReplies() {
	m.replies18()
	m.replies19()
}

func (m *maker) replies18() {
	f := makeReply("1.8")
	input := func(wire []byte) fields {
		return fields{"generation": "1.8", "iv1": h(f.iv1), "key1": h(f.key1), "salt1": h(f.salt1), "wire": h(wire)}
	}
	seal := func(padded []byte) fields { return input(cbc(f.key1, f.iv1, padded)) }
	want := fields{"iv2": h(f.iv), "key2": h(f.key2), "salt2": h(f.salt2), "salt1": h(f.salt1), "version2": "1.8", "plaintext": h(f.plain18())}
	m.add("helloreply/1.8", success, "a HelloReply of generation 1.8", seal(pad(f.plain18())), want)

	bad := func(name, about string, input fields) {
		m.add("helloreply/1.8-"+name, handshake, about, input, nil)
	}
	other := f
	other.salt1 = flip(f.salt1)
	bad("other-salt1", "salt1 is not that of the Hello", seal(pad(other.plain18())))
	bad("other-key", "encrypted under another key", input(cbc(random("other key1", 32), f.iv1, pad(f.plain18()))))
	for name, padded := range badPaddings(f.plain18()) {
		bad(name, "the padding is wrong: "+name, seal(padded))
	}
	bad("short", "one block less", input(cbc(f.key1, f.iv1, pad(f.plain18()))[:64]))
	bad("plaintext-short", "salt1 is missing", seal(pad(join(f.iv, f.key2, f.salt2, f.version))))
	bad("plaintext-long", "one byte more, in the place of padding", seal(pad(append(f.plain18(), 0))))
}

func (m *maker) replies19() {
	f := makeReply("1.9")
	input := func(wire []byte) fields {
		return fields{"generation": "1.9", "key1": h(f.key1), "salt1": h(f.salt1), "wire": h(wire)}
	}
	seal := func(padded []byte) fields { return input(join(f.iv, cbc(f.key1, f.iv, padded))) }
	want := fields{"iv": h(f.iv), "key2": h(f.key2), "salt2": h(f.salt2), "version2": "1.9", "plaintext": h(f.plain19())}
	m.add("helloreply/1.9", success, "a HelloReply of generation 1.9", seal(pad(f.plain19())), want)

	bad := func(name, about string, input fields) {
		m.add("helloreply/1.9-"+name, handshake, about, input, nil)
	}
	bad("other-key", "encrypted under another key", input(join(f.iv, cbc(random("other key1", 32), f.iv, pad(f.plain19())))))
	for name, padded := range badPaddings(f.plain19()) {
		bad(name, "the padding is wrong: "+name, seal(padded))
	}
	bad("short", "one block less", input(join(f.iv, cbc(f.key1, f.iv, pad(f.plain19())))[:48]))
	bad("plaintext-short", "salt2 is missing", seal(pad(join(f.key2, f.version))))
	bad("plaintext-long", "one byte more, in the place of padding", seal(pad(append(f.plain19(), 0))))
}

// badPaddings returns whole blocks that begin with plain and end wrongly. The
// plaintext leaves room for at least two bytes of padding.
func badPaddings(plain []byte) map[string][]byte {
	good := pad(plain)
	end := func(change func(padded []byte)) []byte {
		padded := bytes.Clone(good)
		change(padded)
		return padded
	}
	last := len(good) - 1
	return map[string][]byte{
		"padding-0":     end(func(p []byte) { p[last] = 0 }),
		"padding-17":    end(func(p []byte) { p[last] = 17 }),
		"padding-mixed": end(func(p []byte) { p[last-1] ^= 1 }),
	}
}
