package client

import (
	"context"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/wire"
)

// MembersAt asks for one seat of a cluster.
func MembersAt(ctx context.Context, c *Client, ref xlreg.ClusterRef, index int) (*xlreg.Roster, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	defer c.done()
	return c.receive(ctx, wire.GetRequest{Ref: ref, Which: xlreg.Seats(0).With(index)}, answerPatience)
}
