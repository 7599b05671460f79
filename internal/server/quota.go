package server

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/xlattice/xlreg"
)

// sweepEvery is how many requests pass between two looks for sources that have
// been quiet long enough to be forgotten.
const sweepEvery = 1024

// quota bounds how many new records a source may make per minute.
type quota struct {
	perMinute int
	loopback  int

	mu       sync.Mutex
	bySource map[source]*rate.Limiter // guarded by mu
	calls    int                      // guarded by mu
}

func newQuota(perMinute, loopback int) *quota {
	return &quota{perMinute: perMinute, loopback: loopback, bySource: make(map[source]*rate.Limiter)}
}

// claim is the right to make one new record, or the time after which to ask for
// it again.
type claim struct {
	reservation *rate.Reservation
	now         time.Time
	allowed     bool
	retry       time.Duration
}

// claim takes one from what the source may make.
func (q *quota) claim(from source, now time.Time) claim {
	r := q.limiter(from, now).ReserveN(now, 1)
	delay := r.DelayFrom(now)
	if delay > 0 {
		r.CancelAt(now)
	}
	return claim{reservation: r, now: now, allowed: delay == 0, retry: delay}
}

// unused gives the claim back.
func (c claim) unused() {
	if c.allowed {
		c.reservation.CancelAt(c.now)
	}
}

func (q *quota) limiter(from source, now time.Time) *rate.Limiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.calls++; q.calls%sweepEvery == 0 {
		q.sweep(now)
	}
	l := q.bySource[from]
	if l == nil {
		n := q.perMinute
		if from.loopback {
			n = q.loopback
		}
		l = rate.NewLimiter(rate.Limit(float64(n)/60), n)
		q.bySource[from] = l
	}
	return l
}

// sweep forgets the sources that have nothing to be remembered for. mu is held.
func (q *quota) sweep(now time.Time) {
	for from, l := range q.bySource {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(q.bySource, from)
		}
	}
}

// settle gives the claim back if nothing new was made, and adds to a refusal
// for want of it when to come back.
func (c claim) settle(isNew bool, err error) error {
	if err != nil || !isNew {
		c.unused()
	}
	if !c.allowed && errors.Is(err, xlreg.ErrTooManyRequests) {
		return &xlreg.Error{Kind: xlreg.ErrTooManyRequests, Retry: c.retry}
	}
	return err
}
