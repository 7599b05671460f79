package guard

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/xlattice/xlreg"
)

// sweepEvery is how many claims pass between two looks for sources that have been
// quiet long enough to be forgotten.
const sweepEvery = 1024

// Rate is how many units of something there may be in a minute. A minute's worth may
// come at once.
type Rate struct {
	Source   int // for one source
	Loopback int // the same for a loopback address
	Total    int // for all sources but loopback together; 0 is no bound

	// Burst is how long a source other than loopback has to be quiet to be allowed
	// the most at once, which is that long's worth; 0 is a minute.
	Burst time.Duration

	Names Names
}

// of returns the name of the limit of one source.
func (n *Names) of(from Source) string {
	if from.loopback {
		return n.Loopback
	}
	return n.Source
}

// Quota bounds how much of something a source may have in a minute: new records,
// writes, or what it reads.
type Quota struct {
	names Names
	total atomic.Pointer[rate.Limiter] // nil: no bound

	mu       sync.Mutex
	rate     Rate                     // guarded by mu
	bySource map[Source]*rate.Limiter // guarded by mu
	claims   int                      // guarded by mu; so far
}

// burst returns how many units one source other than loopback may have at once.
func (r *Rate) burst() int {
	if r.Burst == 0 {
		return r.Source
	}
	return max(1, int(float64(r.Source)*r.Burst.Minutes()))
}

// NewQuota returns a quota of which nothing has been claimed.
func NewQuota(r Rate) *Quota {
	q := &Quota{names: r.Names, rate: r, bySource: make(map[Source]*rate.Limiter)}
	if r.Total > 0 {
		q.total.Store(perMinute(r.Total, r.Total))
	}
	return q
}

// SetRate has another rate, of the same names, count from now on. What a source has left it keeps, up to what
// it may have at once now.
func (q *Quota) SetRate(r Rate, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rate = r
	for from, l := range q.bySource {
		change(l, q.newLimiter(from), now)
	}
	total := q.total.Load()
	switch {
	case r.Total <= 0:
		q.total.Store(nil)
	case total == nil:
		q.total.Store(perMinute(r.Total, r.Total))
	default:
		change(total, perMinute(r.Total, r.Total), now)
	}
}

// change makes one limiter allow as much as another.
func change(l, like *rate.Limiter, now time.Time) {
	l.SetLimitAt(now, like.Limit())
	l.SetBurstAt(now, like.Burst())
}

func perMinute(n, burst int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(n)/60), burst)
}

// Claim is the right to some units, or the time after which to ask for it again.
// Settle has to follow.
type Claim struct {
	reserved []*rate.Reservation
	now      time.Time
	retry    time.Duration // 0 if it is allowed
	limit    string        // the name of the one that is met, if any
}

// Claim takes n units from what the source may have. More than it may ever have at
// once is taken for that much, or nothing would ever be enough.
func (q *Quota) Claim(from Source, now time.Time, n int) Claim {
	c := Claim{now: now}
	c.take(q.limiter(from, now), n, q.names.of(from))
	if total := q.total.Load(); total != nil && !from.loopback {
		c.take(total, n, q.names.Total)
	}
	if c.retry > 0 {
		c.giveBack()
	}
	return c
}

func (c *Claim) take(l *rate.Limiter, n int, name string) {
	r := l.ReserveN(c.now, min(n, l.Burst()))
	c.reserved = append(c.reserved, r)
	if wait := r.DelayFrom(c.now); wait > c.retry {
		c.retry, c.limit = wait, name
	}
}

func (c *Claim) giveBack() {
	for _, r := range c.reserved {
		r.CancelAt(c.now)
	}
}

// Allowed reports whether what was claimed may be had.
func (c *Claim) Allowed() bool { return c.retry == 0 }

// Settle is told what came of the claim: whether it was used, and the error there was.
// What was not used is given back. It returns err, and if that is a refusal for want of
// the claim, a Met with the time to come back.
func (c *Claim) Settle(used bool, err error) error {
	if c.Allowed() && (err != nil || !used) {
		c.giveBack()
	}
	if !c.Allowed() && errors.Is(err, xlreg.ErrTooManyRequests) {
		return &Met{c.limit, &xlreg.Error{Kind: xlreg.ErrTooManyRequests, Retry: c.retry}}
	}
	return err
}

func (q *Quota) limiter(from Source, now time.Time) *rate.Limiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.claims++; q.claims%sweepEvery == 0 {
		q.sweep(now)
	}
	l := q.bySource[from]
	if l == nil {
		l = q.newLimiter(from)
		q.bySource[from] = l
	}
	return l
}

// newLimiter needs mu held.
func (q *Quota) newLimiter(from Source) *rate.Limiter {
	if from.loopback {
		return perMinute(q.rate.Loopback, q.rate.Loopback)
	}
	return perMinute(q.rate.Source, q.rate.burst())
}

// sweep forgets the sources whose whole quota is there again. mu is held.
func (q *Quota) sweep(now time.Time) {
	for from, l := range q.bySource {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(q.bySource, from)
		}
	}
}
