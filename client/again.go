package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
)

const (
	againFirstPause = 50 * time.Millisecond
	againMostPause  = time.Second
	longestRetry    = time.Minute      // however long a registry says to wait
	steady          = 10 * time.Second // after a session of this length the pauses are short again
)

// keepTrying makes attempts, each with a session of its own, until one succeeds, fails for
// good, or has no time left. Between two of them it calls failed, and pauses unless there is
// another server that has not turned this client away.
func (o *Options) keepTrying(ctx context.Context, attempt func(context.Context) error, failed func(error)) error {
	pauses := backoff{first: againFirstPause, most: againMostPause}
	doubts := doubts{classic: o.protocol().Classic()}
	for {
		began := time.Now()
		err := attempt(ctx)
		if err == nil || ctx.Err() != nil || isTimeUp(err) {
			return err
		}
		if !doubts.about(err) && !retryable(err) {
			return err
		}
		failed(err)
		if time.Since(began) > steady {
			pauses.reset()
		}
		atOnce, told := o.route.another()
		if atOnce {
			continue
		}
		if told == 0 {
			told = min(xlreg.RetryAfter(err), longestRetry)
		}
		if pauses.pause(ctx, told) != nil {
			return err
		}
	}
}

// retryable reports whether what failed in one session may succeed in the next: the
// registry was not reached, the connection broke, or the registry said to come back
// later. A handshake that fails only once the session is used is one that the registry
// refused.
func retryable(err error) bool {
	if errors.Is(err, errNotReached) || errors.Is(err, errNotYet) || errors.Is(err, errBehind) {
		return true
	}
	kind, ok := xlreg.KindOf(err)
	if !ok {
		return errors.Is(err, ErrSessionEnded) && !errors.Is(err, ErrHandshake)
	}
	return kind == xlreg.ErrTryLater || kind == xlreg.ErrTooManyRequests || kind == xlreg.ErrRegistryFull
}

// nonsense are the kinds that say of a message, of either end, that its bytes are not
// what they ought to be.
var nonsense = []xlreg.Kind{xlreg.ErrProtocol, xlreg.ErrIllFormedToken, xlreg.ErrBadSignature}

// doubts are those about what a classic carrier has carried. It does not detect damage,
// so a message that makes no sense may be one that changed on the way, and is worth
// another session for as long as there is time. All else that a registry refuses it may
// have refused because it was asked for something else, such as a cluster whose ID
// lost a bit; that is believed when two sessions in a row end with it.
type doubts struct {
	classic bool
	last    xlreg.Kind // of the session before; 0 if it ended with none of these
}

// about is told how each session ended, and reports whether that is to be doubted.
func (d *doubts) about(err error) bool {
	kind, ok := xlreg.KindOf(err)
	again := kind == d.last
	d.last = kind
	return d.classic && ok && (!again || slices.Contains(nonsense, kind))
}
