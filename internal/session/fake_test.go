package session

import (
	"context"
	"crypto/aes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// feed is a connection on which one side has said all it will: it returns the
// pieces, one a Read, and then EOF.
type feed struct {
	net.Conn // nil: what is not overridden is not to be used
	pieces   [][]byte
	written  []byte
}

func (f *feed) Read(b []byte) (int, error) {
	if len(f.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, f.pieces[0])
	if f.pieces[0] = f.pieces[0][n:]; len(f.pieces[0]) == 0 {
		f.pieces = f.pieces[1:]
	}
	return n, nil
}

func (f *feed) Write(b []byte) (int, error) {
	f.written = append(f.written, b...)
	return len(b), nil
}

func (f *feed) Close() error                     { return nil }
func (f *feed) RemoteAddr() net.Addr             { return nil }
func (f *feed) SetReadDeadline(time.Time) error  { return nil }
func (f *feed) SetWriteDeadline(time.Time) error { return nil }

// pieces cuts b at each of the places, which ascend.
func pieces(b []byte, at ...int) [][]byte {
	var all [][]byte
	last := 0
	for _, n := range at {
		all = append(all, b[last:n])
		last = n
	}
	return append(all, b[last:])
}

// bytewise cuts b into single bytes.
func bytewise(b []byte) [][]byte {
	var all [][]byte
	for i := range b {
		all = append(all, b[i:i+1])
	}
	return all
}

// testKeys are the keys of a session that no handshake made.
func testKeys(p xlreg.Protocol) sessionKeys {
	return sessionKeys{
		protocol: p,
		iv:       [aes.BlockSize]byte{1, 2, 3},
		key:      [keyLen]byte{4, 5, 6},
	}
}

// testCodec is the server's codec of a session under testKeys.
func testCodec(t testing.TB, p xlreg.Protocol) codec {
	t.Helper()
	if !p.Classic() {
		return &framing{readMax: xlreg.MaxRequestFrame, writeMax: xlreg.MaxReplyFrame}
	}
	c, err := newClassic(testKeys(p))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// receiver is a session, without TLS if it is 2.0, that reads what is fed.
func receiver(t testing.TB, p xlreg.Protocol, fed [][]byte) *conn {
	t.Helper()
	l := newLink(&feed{pieces: fed})
	codec := testCodec(t, p)
	return &conn{link: l, codec: codec, in: inbox{src: l, limit: codec.limit()}, out: l}
}

// received returns the messages that come of the pieces, and the error after
// the last.
func received(t testing.TB, p xlreg.Protocol, fed [][]byte) ([]string, error) {
	t.Helper()
	c := receiver(t, p, fed)
	var all []string
	for {
		m, err := c.Receive(context.Background())
		if err != nil {
			return all, err
		}
		all = append(all, text(t, m))
	}
}

// noKind fails the test if err has a kind.
func noKind(t testing.TB, err error) {
	t.Helper()
	if kind, ok := xlreg.KindOf(err); ok || err == nil {
		t.Errorf("error %v of kind %v, want one without", err, kind)
	}
}

// nothing wants conn to be closed without a byte.
func nothing(t testing.TB, conn net.Conn) {
	t.Helper()
	b := make([]byte, 1)
	n, err := conn.Read(b)
	if n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes and %v, want a silent close", n, err)
	}
}
