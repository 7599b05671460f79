package session

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// fuzzMost keeps the slow reference decoder within reason.
const fuzzMost = 4 << 10

// cutAt cuts b into pieces of random lengths, most of them short.
func cutAt(b []byte, seed uint64) [][]byte {
	random := rand.New(rand.NewPCG(seed, seed))
	var all [][]byte
	for len(b) > 0 {
		n := min(len(b), 1+random.IntN(1<<random.IntN(10)))
		all = append(all, b[:n])
		b = b[n:]
	}
	return all
}

// slowly reads classic messages as protocol.md section 3 says it and with no
// thought of cost: each is the shortest run of whole blocks that unpads, parses
// and has an Op.
func slowly(t *testing.T, k sessionKeys, b []byte) []string {
	t.Helper()
	block, err := aes.NewCipher(k.key[:])
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	iv := k.iv[:]
	for {
		if k.protocol == xlreg.Protocol19 {
			if len(b) < aes.BlockSize {
				return all
			}
			iv, b = b[:aes.BlockSize], b[aes.BlockSize:]
		}
		end := aes.BlockSize
		for ; end <= len(b); end += aes.BlockSize {
			plain := make([]byte, end)
			cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, b[:end])
			n := int(plain[end-1])
			if n < 1 || n > aes.BlockSize || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(n)}, n)) {
				continue
			}
			if m, err := wire.Unmarshal(plain[:end-n]); err == nil {
				all = append(all, text(t, m))
				break
			}
		}
		if end > len(b) {
			return all
		}
		iv, b = b[end-aes.BlockSize:end], b[end:]
	}
}

// FuzzClassic18 and FuzzClassic19 take what is fuzzed for the plaintext of a
// stream, since random ciphertext would hardly ever decrypt to anything.
func FuzzClassic18(f *testing.F) { fuzzClassic(f, xlreg.Protocol18) }

// FuzzClassic19 is FuzzClassic18 for the other generation, in which a message's
// first block is its IV.
func FuzzClassic19(f *testing.F) { fuzzClassic(f, xlreg.Protocol19) }

func fuzzClassic(f *testing.F, p xlreg.Protocol) {
	for i, m := range []*wire.Message{wire.NewBye(), member("m0"), wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: "demo"}})} {
		padded := padText(f, m)
		f.Add(append(make([]byte, aes.BlockSize), padded...), uint64(i))
		f.Add(slices.Concat(padded, padded, make([]byte, 16), padded), uint64(i))
	}
	for i, bad := range hopeless {
		f.Add(bad.text[:min(len(bad.text), fuzzMost)], uint64(i))
	}
	f.Fuzz(func(t *testing.T, plain []byte, seed uint64) {
		stream := encryptStream(t, p, plain[:min(len(plain), fuzzMost)])
		want := slowly(t, testKeys(p), stream)
		for _, fed := range [][][]byte{{stream}, bytewise(stream), cutAt(stream, seed)} {
			got, err := received(t, p, fed)
			if !slices.Equal(got, want) {
				t.Fatalf("%d messages, want %d", len(got), len(want))
			}
			noKind(t, err)
		}
	})
}

// padText is the plaintext of m, padded.
func padText(t testing.TB, m *wire.Message) []byte {
	t.Helper()
	b := []byte(text(t, m))
	n := aes.BlockSize - len(b)%aes.BlockSize
	return pad(b, n, byte(n))
}

// encryptStream encrypts plain as one chain, so that it decrypts to itself
// whichever block begins a message. A part of a block stays as it is.
func encryptStream(t *testing.T, p xlreg.Protocol, plain []byte) []byte {
	t.Helper()
	k := testKeys(p)
	block, err := aes.NewCipher(k.key[:])
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(plain)
	whole := len(b) / aes.BlockSize * aes.BlockSize
	cipher.NewCBCEncrypter(block, k.iv[:]).CryptBlocks(b[:whole], b[:whole])
	return b
}

// FuzzFrame reads frames, cut in two ways.
func FuzzFrame(f *testing.F) {
	for i, b := range [][]byte{
		whole([]byte{8, 11}),
		slices.Concat(whole([]byte{8, 11}), whole([]byte(text(f, member("m0"))))),
		framed(1<<30, nil),
		framed(0, nil),
		framed(100, []byte{8, 11}),
		whole([]byte{0xff}),
	} {
		f.Add(b, uint64(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		want, wantErr := received(t, xlreg.Protocol20, [][]byte{b})
		if len(b) == 0 {
			return
		}
		for _, fed := range [][][]byte{bytewise(b), cutAt(b, seed)} {
			got, err := received(t, xlreg.Protocol20, fed)
			if !slices.Equal(got, want) || err.Error() != wantErr.Error() {
				t.Fatalf("%d messages and %v, want %d and %v", len(got), err, len(want), wantErr)
			}
		}
		if !errors.Is(wantErr, ErrClosed) && !errors.Is(wantErr, xlreg.ErrProtocol) {
			t.Fatalf("error %v", wantErr)
		}
	})
}

// FuzzHello takes what is fuzzed for what a Hello decrypts to, and for what a
// client is answered.
func FuzzHello(f *testing.F) {
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
		h := newHello(p)
		reply, err := newReply(p).seal(h, h.iv1)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(h.marshal(), reply)
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, plain, answer []byte) {
		const helloLen = 128
		hello := make([]byte, helloLen)
		answered := &feed{pieces: [][]byte{hello}}
		s, err := NewServer(ServerConfig{
			Comms:     &fakeKey{helloLen, func([]byte) ([]byte, error) { return plain, nil }},
			Protocols: []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19},
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Accept(context.Background(), answered)
		if (err == nil) != (len(plain) == helloLen18 || len(plain) == helloLen19) {
			t.Fatalf("hello of %d bytes: %v", len(plain), err)
		}
		if err != nil && (!errors.Is(err, ErrHandshake) || len(answered.written) > 0) {
			t.Fatalf("%d bytes answered, %v", len(answered.written), err)
		}
		if err != nil {
			return
		}
		h, err := parseHello(plain)
		if err != nil || !bytes.Equal(h.marshal(), plain) {
			t.Fatalf("hello %x comes back as %x, %v", plain, h.marshal(), err)
		}
		reply, err := h.open(answered.written)
		if err != nil || !bytes.Equal(reply.salt2[:], c.Peer().Salt) {
			t.Fatalf("reply: %v", err)
		}
		if len(answer) == h.replyLen() {
			_, _ = h.open(answer) // must not panic
		}
		if _, err := c.Receive(context.Background()); !errors.Is(err, io.EOF) {
			t.Fatalf("receive: %v", err)
		}
	})
}
