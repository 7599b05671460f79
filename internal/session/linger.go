package session

import (
	"context"
	"crypto/tls"
	"io"
	"time"
)

// How long, and for how many bytes, a connection is read after its last word.
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// CloseGracefully ends the session so that what was sent last arrives. A system
// that closes a connection on which something came that was never read resets
// it, and a reset may overtake the reply. So the peer is told that no more comes,
// and what it still sends is read and dropped, until it closes, for at most a
// second and 256 KiB and until ctx ends. It is for the goroutine that uses c;
// Close, from any, still ends it at once.
func CloseGracefully(ctx context.Context, c Conn) error {
	if c, ok := c.(*conn); ok {
		c.goodbye(ctx)
	}
	return c.Close()
}

func (c *conn) goodbye(ctx context.Context) {
	c.linger(ctx, func() {
		if t, ok := c.out.(*tls.Conn); ok {
			_ = t.CloseWrite() // a peer that is not told by TLS is told by TCP
		}
	})
}

// linger writes the last word, closes the writing direction and drops what still
// comes. Where one direction alone cannot be closed it drops nothing.
func (l *link) linger(ctx context.Context, lastWord func()) {
	ctx, cancel := context.WithTimeout(ctx, lingerTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	lastWord()
	half, ok := l.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	l.reading.next()
	l.reading.expect(0, 0)
	_, _ = io.CopyN(io.Discard, l.Conn, lingerBytes)
}
