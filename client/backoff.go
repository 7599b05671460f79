package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff makes pauses that double from first to most. Each is between half and
// the whole of its length at random, so that the members of a cluster, which all
// lost the registry at the same moment, do not all come back at the same moment.
type backoff struct {
	first, most time.Duration
	next        time.Duration // zero before the first pause
}

// pause waits for the next pause, and least before it. If ctx ends first it
// returns ctx's error.
func (b *backoff) pause(ctx context.Context, least time.Duration) error {
	b.next = min(max(2*b.next, b.first), b.most)
	return sleep(ctx, least+b.next/2+rand.N(b.next/2+1))
}

// reset makes the next pause the shortest again.
func (b *backoff) reset() { b.next = 0 }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
