package session

import (
	"bytes"
	"context"
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// encoded returns the messages as one session's writer puts them on the wire,
// and their texts.
func encoded(t testing.TB, p xlreg.Protocol, messages ...*wire.Message) (all []byte, texts []string, ends []int) {
	t.Helper()
	c := testCodec(t, p)
	for _, m := range messages {
		b, _, err := c.encode(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
		texts = append(texts, text(t, m))
		ends = append(ends, len(all))
	}
	return all, texts, ends
}

// TestCuts feeds two messages, one behind the other, in every two pieces there
// are and byte by byte.
func TestCuts(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		all, want, _ := encoded(t, p, member("m0"), wire.NewBye(), wire.NewBye())
		feeds := [][][]byte{{all}, bytewise(all)}
		for i := 1; i < len(all); i++ {
			feeds = append(feeds, pieces(all, i))
		}
		for i, fed := range feeds {
			got, err := received(t, p, fed)
			if !slices.Equal(got, want) || !errors.Is(err, ErrClosed) {
				t.Fatalf("feed %d: %d messages and %v, want %d and a close", i, len(got), err, len(want))
			}
		}
	})
}

// TestEndIsSeenAtOnce feeds up to each byte of two messages: each message is
// there with its last byte and not before.
func TestEndIsSeenAtOnce(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		all, _, ends := encoded(t, p, member("m0"), wire.NewBye())
		for n := range len(all) + 1 {
			want := 0
			for _, end := range ends {
				if end <= n {
					want++
				}
			}
			got, err := received(t, p, [][]byte{all[:n]})
			if len(got) != want || err == nil {
				t.Fatalf("%d messages within %d bytes (%v), want %d", len(got), n, err, want)
			}
		}
	})
}

// TestLongest sends messages of the longest that may be and one more byte.
func TestLongest(t *testing.T) {
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
		t.Run(p.String(), func(t *testing.T) {
			server, client := pair(t, tcp, p)
			longest := ofSize(t, MaxClassicText(p))
			b, _, err := testCodec(t, p).encode(longest)
			if err != nil || len(b) != xlreg.MaxClassicMessage {
				t.Fatalf("longest message is %d bytes, %v", len(b), err)
			}
			if err := client.Send(context.Background(), ofSize(t, MaxClassicText(p)+1)); err == nil {
				t.Fatal("one byte too many was sent")
			}
			pass(t, client, server, longest)
			pass(t, client, server, wire.NewBye())
		})
	}
}

// ofSize makes a message of n bytes, encoded.
func ofSize(t testing.TB, n int) *wire.Message {
	t.Helper()
	around := len(withDesc(n-8)) - (n - 8)
	m, err := wire.Unmarshal(withDesc(n - around))
	if err != nil || m.Size() != n {
		t.Fatalf("message of %d bytes: %v", n, err)
	}
	return m
}

// withDesc is an encoded Error with a description of n bytes.
func withDesc(n int) []byte {
	b := []byte{0x08, byte(wire.OpError), 0xba, 0x01}
	b = binary.AppendUvarint(b, uint64(n))
	return append(b, bytes.Repeat([]byte("x"), n)...)
}

// forge encrypts text, which is padded already or wrongly so, as a client of
// this session would a message.
func forge(t *testing.T, client Conn, text []byte) []byte {
	t.Helper()
	c := client.(*conn).codec.(*classic)
	iv := make([]byte, aes.BlockSize)
	if c.sealer.chain != nil {
		copy(iv, c.sealer.chain)
	}
	b := seal(c.sealer.block, append(iv, text...))
	b = b[:len(b)-aes.BlockSize] // the padding that seal added
	if c.sealer.chain != nil {
		b = b[aes.BlockSize:]
	}
	return b
}

// pad adds n bytes of the value v.
func pad(text []byte, n int, v byte) []byte {
	return append(bytes.Clone(text), bytes.Repeat([]byte{v}, n)...)
}

// hopeless are messages that never come to be one. Each is padded to whole
// blocks by its own rules.
var hopeless = []struct {
	name string
	text []byte
}{
	{"padding of 0", pad([]byte{8, 11}, 14, 0)},
	{"padding of 17", pad([]byte{8, 11}, 14, 17)},
	{"uneven padding", []byte{8, 11, 0x6a, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}},
	{"padding alone", pad(nil, 16, 16)},
	{"no Op", pad([]byte{0x28, 0, 0x30, 0}, 12, 12)},
	{"no protobuf", pad([]byte{0xff, 0xff}, 14, 14)},
	{"broken token", pad([]byte{8, 3, 0x5a, 2, 0xff, 0xff}, 10, 10)},
	{"broken token and a good end", append(pad([]byte{8, 3, 0x5a, 2, 0xff, 0xff}, 10, 10), pad([]byte{8, 11}, 14, 14)...)},
	{"open group", pad([]byte{8, 11, 0xc3, 0x3e}, 12, 12)},
	{"a bit more than the limit", pad(nil, xlreg.MaxClassicMessage+16, 0)},
	{"much more than the limit", pad(nil, 10*xlreg.MaxClassicMessage, 1)},
}

// TestHopeless wants the same of whatever is no message: not a byte in answer,
// and the end at the message timeout.
func TestHopeless(t *testing.T) {
	commsKey()
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
		for _, tc := range hopeless {
			t.Run(p.String()+"/"+tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server, raw, client := bubblePair(t, p)
					hopelessMessage(t, server, raw, forge(t, client, tc.text))
				})
			})
		}
		t.Run(p.String()+"/part of a block", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, raw, _ := bubblePair(t, p)
				hopelessMessage(t, server, raw, []byte("part"))
			})
		})
	}
}

// hopelessMessage writes b and wants no answer, and an error at the timeout.
func hopelessMessage(t *testing.T, server Conn, raw net.Conn, b []byte) {
	t.Helper()
	write := make(chan error, 1)
	go func() {
		_, err := raw.Write(b)
		write <- err
	}()
	answer := make(chan int, 1)
	go func() {
		n, _ := raw.Read(make([]byte, 1))
		answer <- n
	}()
	start := time.Now()
	m, err := server.Receive(context.Background())
	if m != nil || time.Since(start) != limits.Message {
		t.Errorf("message %v after %v", m, time.Since(start))
	}
	noKind(t, err)
	server.Close()
	if n := <-answer; n != 0 {
		t.Error("an answer")
	}
	if err := <-write; err != nil {
		t.Errorf("not all was read: %v", err)
	}
}

// bubblePair is pair over a pipe, with the client's connection below it. Its
// certificates are of the bubble's time.
func bubblePair(t *testing.T, p xlreg.Protocol) (server Conn, raw net.Conn, client Conn) {
	t.Helper()
	n := func(t testing.TB) (net.Conn, net.Conn) {
		s, c := pipe(t)
		raw = c
		return s, c
	}
	server, client = pair(t, n, p)
	return server, raw, client
}

// TestDrip sends what never becomes a message a byte a second. That is no progress worth
// waiting for: it makes the time longer only by what these bytes would have taken on the
// slowest line. (Over TLS each of them is a record of two dozen.)
func TestDrip(t *testing.T) {
	commsKey()
	each(t, func(t *testing.T, p xlreg.Protocol) {
		synctest.Test(t, func(t *testing.T) {
			server, _, client := bubblePair(t, p)
			done := make(chan struct{})
			go func() {
				defer close(done)
				drip := append([]byte{0, 0, 1}, make([]byte, 100)...) // of a frame of 256 bytes
				for _, b := range drip {
					time.Sleep(time.Second)
					if _, err := client.(*conn).out.Write([]byte{b}); err != nil {
						return
					}
				}
			}()
			start := time.Now()
			_, err := server.Receive(context.Background())
			if got := time.Since(start); got > 2*limits.Message || !errors.Is(err, ErrPartial) {
				t.Errorf("%v after %v", err, got)
			}
			server.Close()
			<-done
		})
	})
}

// TestCutShort wants a close within a message to end it at once.
func TestCutShort(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		all, _, _ := encoded(t, p, member("m0"))
		_, err := received(t, p, [][]byte{all[:len(all)-1]})
		if !errors.Is(err, ErrClosed) || !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
		noKind(t, err)
	})
}

// TestLostAtOnce wants a message that broke within to be given up when that is
// seen, not tried again at each block that follows.
func TestLostAtOnce(t *testing.T) {
	broken := pad([]byte{8, 3, 0x5a, 2, 0xff, 0xff}, 10, 10)
	c := testCodec(t, xlreg.Protocol19).(*classic)
	b := seal(c.sealer.block, append(make([]byte, aes.BlockSize), broken...))
	m, used, err := c.decode(b[:2*aes.BlockSize])
	if m != nil || err != nil || used != 2*aes.BlockSize || !c.lost {
		t.Errorf("message %v, %d bytes used, %v, lost: %v", m, used, err, c.lost)
	}
}

// TestOversizeKeepsLittle wants what is past the limit to be dropped, not kept.
func TestOversizeKeepsLittle(t *testing.T) {
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
		c := receiver(t, p, slices.Repeat([][]byte{make([]byte, 1000)}, 1000))
		_, err := c.Receive(context.Background())
		noKind(t, err)
		if cap(c.in.buf) > 2*xlreg.MaxClassicMessage {
			t.Errorf("%v: %d bytes kept", p, cap(c.in.buf))
		}
	}
}

// TestOneWrite counts the writes of a message.
func TestOneWrite(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		counter := &writeCounter{Conn: &feed{}}
		c := receiver(t, p, nil)
		c.out = counter
		for i := range 3 {
			if err := c.Send(context.Background(), member(fmt.Sprint("m", i))); err != nil {
				t.Fatal(err)
			}
		}
		if counter.n != 3 {
			t.Errorf("%d writes for 3 messages", counter.n)
		}
	})
}

type writeCounter struct {
	net.Conn
	n int
}

func (c *writeCounter) Write(b []byte) (int, error) {
	c.n++
	return len(b), nil
}

// TestFreshIVs wants no two messages of 1.9 to look alike.
func TestFreshIVs(t *testing.T) {
	c := testCodec(t, xlreg.Protocol19)
	seen := make(map[string]bool)
	for range 100 {
		b, _, err := c.encode(wire.NewBye())
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(b[:aes.BlockSize])] || seen[string(b[aes.BlockSize:])] {
			t.Fatal("an IV came twice")
		}
		seen[string(b[:aes.BlockSize])], seen[string(b[aes.BlockSize:])] = true, true
	}
}
