package guard

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/xlattice/xlreg"
)

// sweepEvery is how many claims pass between two looks for sources that have been
// quiet long enough to be forgotten.
const sweepEvery = 1024

// Quota bounds how many new records a source may make in a minute.
type Quota struct {
	perMinute int
	loopback  int // the same for a loopback address

	mu       sync.Mutex
	bySource map[Source]*rate.Limiter // guarded by mu
	claims   int                      // guarded by mu; so far
}

// NewQuota returns a quota of so many records a minute, the first minute's worth
// at once.
func NewQuota(perMinute, loopback int) *Quota {
	return &Quota{perMinute: perMinute, loopback: loopback, bySource: make(map[Source]*rate.Limiter)}
}

// Claim is the right to make one new record, or the time after which to ask for
// it again. Settle has to follow.
type Claim struct {
	reservation *rate.Reservation
	now         time.Time
	retry       time.Duration // 0 if it is allowed
}

// Claim takes one from what the source may make.
func (q *Quota) Claim(from Source, now time.Time) Claim {
	r := q.limiter(from, now).ReserveN(now, 1)
	retry := r.DelayFrom(now)
	if retry > 0 {
		r.CancelAt(now)
	}
	return Claim{reservation: r, now: now, retry: retry}
}

// Allowed reports whether a new record may be made.
func (c Claim) Allowed() bool { return c.retry == 0 }

// Settle is told what came of the claim: whether a new record was made, and the
// error there was. What was not used is given back. It returns err, and if that is
// a refusal for want of the claim, with the time to come back.
func (c Claim) Settle(isNew bool, err error) error {
	if c.Allowed() && (err != nil || !isNew) {
		c.reservation.CancelAt(c.now)
	}
	if !c.Allowed() && errors.Is(err, xlreg.ErrTooManyRequests) {
		return &xlreg.Error{Kind: xlreg.ErrTooManyRequests, Retry: c.retry}
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
		n := q.perMinute
		if from.loopback {
			n = q.loopback
		}
		l = rate.NewLimiter(rate.Limit(float64(n)/60), n)
		q.bySource[from] = l
	}
	return l
}

// sweep forgets the sources whose whole quota is there again. mu is held.
func (q *Quota) sweep(now time.Time) {
	for from, l := range q.bySource {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(q.bySource, from)
		}
	}
}
