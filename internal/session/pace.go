package session

import "time"

// slowest is the rate, in bytes a second, that a message has to reach on the whole.
// Sixty-four members that read their rosters over one line of 64 kbit/s get 125 bytes a
// second each, and half of that leaves room for what a poor line loses. What comes more
// slowly holds a connection, and the memory for a message, for nothing.
const slowest = 64

// pace bounds how long a message may take to cross a connection in one direction. It
// counts the time in which no byte moves, so that a slow line is not taken for a dead
// one, and asks of the whole no more than the slowest rate. It sees the bytes of the
// connection, below TLS, and so it does not depend on what they mean.
type pace struct {
	clock
	pause time.Duration // without a byte; zero is no bound
	begun time.Time     // when the message under way began; zero if none is
	bytes int64         // of it so far
}

// expect waits for a message: for its first byte up to first, zero being no bound, and
// from then on as moved says.
func (p *pace) expect(first, pause time.Duration) {
	p.pause, p.begun, p.bytes = pause, time.Time{}, 0
	p.within(first)
}

// begin is expect for a message that has begun already.
func (p *pace) begin(pause time.Duration) {
	p.expect(pause, pause)
	p.begun = time.Now()
}

// moved is told of n bytes more.
func (p *pace) moved(n int) {
	if n == 0 {
		return
	}
	now := time.Now()
	if p.begun.IsZero() {
		p.begun = now
	}
	if p.pause == 0 {
		return
	}
	p.bytes += int64(n)
	whole := p.pause + time.Duration(p.bytes)*time.Second/slowest
	left := whole - now.Sub(p.begun)
	p.within(max(1, min(p.pause, left))) // not zero, which would be no bound
}

// under reports whether a message is on its way.
func (p *pace) under() bool { return !p.begun.IsZero() }
