package client

import (
	"context"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// MostArrivals is how many connections may be on their way to Accept.
const MostArrivals = mostArrivals

// MembersAt asks for one seat of a cluster.
func MembersAt(ctx context.Context, c *Client, ref xlreg.ClusterRef, index int) (*xlreg.Roster, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	defer c.done()
	return c.receive(ctx, wire.GetRequest{Ref: ref, Which: xlreg.Seats(0).With(index)}, c.silence)
}

// WaitReceived waits for a whole cluster and does not verify what it receives.
func WaitReceived(ctx context.Context, c *Client, ref xlreg.ClusterRef, size uint32) (*xlreg.Roster, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	defer c.done()
	return c.receive(ctx, wire.GetRequest{Ref: ref, Which: xlreg.AllSeats, Wait: true, WaitSize: &size}, longest(c.silence))
}

// Verify verifies a roster as a new session over 2.0 does.
func Verify(r *xlreg.Roster) (*Roster, error) {
	v := verifier{protocol: xlreg.Protocol20}
	return v.verify(r)
}

// VerifyAgain verifies a roster that the session has verified before.
func VerifyAgain(r *xlreg.Roster) func() (*Roster, error) {
	v := verifier{protocol: xlreg.Protocol20}
	_, _ = v.verify(r)
	return func() (*Roster, error) { return v.verify(r) }
}

// Retryable reports whether what failed in one session may succeed in the next.
func Retryable(err error) bool { return retryable(err) }
