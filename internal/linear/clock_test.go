package linear

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg/internal/host"
)

const (
	// pace is what a registry lets pass between two looks at the seats that end.
	pace = 250 * time.Millisecond
	// brief is the longest that is measured by the clock of the machine: a wait has to end
	// while this clock stands still.
	brief = 100 * time.Millisecond
)

// clock is a registry's clock. It stands still, unless a test moves it.
type clock struct {
	armed  chan struct{} // has one word in it as long as the registry waits for its next look
	moving atomic.Bool   // until what is due is done

	began uint64 // in milliseconds

	mu     sync.Mutex
	day    time.Time // guarded by mu, as is all below
	lasted time.Time // the same, unless a test has the registry measure wrong
	timers map[*timer]bool
	speed  float64 // at which it measures
}

type timer struct {
	at time.Time
	f  func()
}

func newClock() *clock {
	now := time.Now().Truncate(time.Millisecond)
	return &clock{
		armed: make(chan struct{}, 1), began: uint64(now.UnixMilli()), day: now, lasted: now, timers: make(map[*timer]bool), speed: 1,
	}
}

// Now implements registry.Clock.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.day
}

// Monotonic implements registry.Clock.
func (c *clock) Monotonic() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lasted
}

// AfterFunc implements registry.Clock.
func (c *clock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	if d <= brief {
		return time.AfterFunc(d, f).Stop
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{c.day.Add(d), f}
	c.timers[t] = true
	if d == pace {
		c.armed <- struct{}{}
	}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		pending := c.timers[t]
		delete(c.timers, t)
		return pending
	}
}

// errNoLook says that the registry does not look at its leases any more.
var errNoLook = errors.New("the registry does not look for what has run out")

// move lets time go by, and returns when the registry has done what was due.
func (c *clock) move(by time.Duration) error {
	if err := c.waits(); err != nil {
		return err
	}
	c.moving.Store(true)
	defer c.moving.Store(false)
	for _, f := range c.advance(by) {
		f()
	}
	if err := c.waits(); err != nil {
		return err
	}
	c.armed <- struct{}{}
	return nil
}

func (c *clock) waits() error {
	select {
	case <-c.armed:
		return nil
	case <-time.After(patience):
		return errNoLook
	}
}

// advance sets the clock and returns what is due.
func (c *clock) advance(by time.Duration) (due []func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.day = c.day.Add(by)
	c.lasted = c.lasted.Add(time.Duration(float64(by) * c.speed))
	for t := range c.timers {
		if !t.at.After(c.day) {
			delete(c.timers, t)
			due = append(due, t.f)
		}
	}
	return due
}

// inner is what a test can do to a registry of its own process. What it cannot do at one
// moment while others ask, it does when nobody asks: so it is known which seats end.
type inner struct {
	clock *clock
	host  *host.Host
	deaf  bool // it is not told who reads

	turn      sync.RWMutex
	connected atomic.Int64 // connections that clients hold
	sessions  atomic.Int64 // that there have been
}

// connects counts a connection, and returns its number.
func (in *inner) connects() int {
	if in == nil {
		return 0
	}
	in.connected.Add(1)
	return int(in.sessions.Add(1))
}

// settle waits until the registry has no more connections than its clients have: it has
// done then what the end of the others asks for.
func (in *inner) settle() error {
	end, look := time.After(patience), time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		if open := in.host.Stats().Open; open <= int(in.connected.Load()) {
			return nil
		}
		select {
		case <-look.C:
		case <-end:
			return fmt.Errorf("%d connections are still open, of %d", in.host.Stats().Open, in.connected.Load())
		}
	}
}
