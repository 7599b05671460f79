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
	if !c.protocol.Classic() {
		r, err := c.askRoster(ctx, wire.GetRequest{Ref: ref, Which: xlreg.SeatsOf(index)}, c.silence)
		if err != nil {
			return nil, err
		}
		return &xlreg.Roster{Cluster: r.Cluster, State: r.State, Members: r.Members}, nil
	}
	return c.receiveParts(ctx, wire.GetRequest{Ref: ref, Which: xlreg.SeatsOf(index)}, c.silence)
}

// WaitReceived waits for a whole cluster and does not verify what it receives.
func WaitReceived(ctx context.Context, c *Client, ref xlreg.ClusterRef, size uint32) (*xlreg.Roster, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	defer c.done()
	r, err := c.receive(ctx, wire.GetRequest{Ref: ref, Which: xlreg.AllSeats(), Wait: true, WaitSize: &size}, nil, longest(c.silence))
	if err != nil {
		return nil, err
	}
	return &r.Roster, nil
}

// Verify verifies a roster as a new session over 2.0 does.
func Verify(r *xlreg.Roster) (*Roster, error) {
	v := verifier{protocol: xlreg.Protocol20}
	return v.verify(&received{Roster: *r}, false)
}

// VerifyAgain verifies a roster that the session has verified before.
func VerifyAgain(r *xlreg.Roster) func() (*Roster, error) {
	v := verifier{protocol: xlreg.Protocol20}
	_, _ = v.verify(&received{Roster: *r}, false)
	return func() (*Roster, error) { return v.verify(&received{Roster: *r}, false) }
}

// Retryable reports whether what failed in one session may succeed in the next.
func Retryable(err error) bool { return retryable(err) }

// Lie makes a member tell others that it sees another cluster.
func Lie(m *Membership) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.sums {
		m.sums[i].sum[0] ^= 1
	}
}
