package session

import "io"

// chunk is what an inbox has room for while it waits. A request with its token
// fits in, and a connection that only waits costs little.
const chunk = 2 << 10

// glance is what an inbox has room for while nothing is expected.
const glance = 64

// ahead is what is read of the requests behind one that waits: enough to see a peer
// that has gone although it had asked for more. The rest stays with the peer.
const ahead = 4 << 10

// inbox keeps the bytes that came and were not yet used.
type inbox struct {
	src   io.Reader
	limit int    // bytes kept at most
	buf   []byte // the bytes from at on are not yet used
	at    int
}

func (in *inbox) bytes() []byte { return in.buf[in.at:] }

func (in *inbox) len() int { return len(in.buf) - in.at }

// full reports whether fill has no room left.
func (in *inbox) full() bool { return in.len() >= in.limit }

// drop forgets the first n bytes, and the room that only a large message needed.
func (in *inbox) drop(n int) {
	in.at += n
	if in.at < len(in.buf) {
		return
	}
	in.buf, in.at = in.buf[:0], 0
	if cap(in.buf) > chunk {
		in.buf = nil
	}
}

// shrink leaves an inbox no more room than what is in it needs, or just enough to
// notice that something comes.
func (in *inbox) shrink() {
	if cap(in.buf) > chunk || in.len() == 0 {
		in.buf, in.at = append(make([]byte, 0, max(glance, in.len())), in.bytes()...), 0
	}
}

// atMost lowers the limit until the function that it returns is called.
func (in *inbox) atMost(n int) (restore func()) {
	limit := in.limit
	in.limit = min(limit, n)
	return func() { in.limit = limit }
}

// fill waits for more bytes, with one Read. It must not be called when full.
func (in *inbox) fill() error {
	in.makeRoom()
	room := in.buf[len(in.buf):cap(in.buf)]
	n, err := in.src.Read(room[:min(len(room), in.limit-in.len())])
	in.buf = in.buf[:len(in.buf)+n]
	if n > 0 {
		return nil // an error that lasts comes again
	}
	return err
}

// makeRoom grows the buffer as bytes arrive, never by what a peer announces, and never
// past what may be in it.
func (in *inbox) makeRoom() {
	if len(in.buf) < cap(in.buf) {
		return
	}
	if in.at > 0 && in.at >= cap(in.buf)/2 {
		in.buf = in.buf[:copy(in.buf, in.bytes())]
		in.at = 0
		return
	}
	grown := make([]byte, in.len(), max(chunk, min(2*cap(in.buf), in.limit)))
	copy(grown, in.bytes())
	in.buf, in.at = grown, 0
}
