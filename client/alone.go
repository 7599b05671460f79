package client

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
)

// Alone returns the roster of a cluster that has one member, which is node, and no registry.
// Nobody else can join it. Its ID and the node's follow from the node's key and the name of
// the cluster, so they are the same each time. Like a roster that was read over a classic
// carrier it has no Sum, for there is nobody to compare it with.
func Alone(node *identity.Node, cluster xlreg.Name, now time.Time) (*Roster, error) {
	r, err := alone(node, cluster, now)
	if err != nil {
		return nil, fmt.Errorf("cluster %q of one: %w", cluster, err)
	}
	return r, nil
}

func alone(node *identity.Node, cluster xlreg.Name, now time.Time) (*Roster, error) {
	if err := cluster.Validate(); err != nil {
		return nil, err
	}
	key := node.Keys().SigKey
	token, _, err := node.Token(xlreg.Protocol20, xlreg.NodeID(idOf(string(key))), now)
	if err != nil {
		return nil, err
	}
	if err := keys.VerifyMember(token); err != nil {
		return nil, err
	}
	token.Seat.Joined = now
	return &Roster{
		Cluster: xlreg.Cluster{
			ID: xlreg.ClusterID(idOf(string(cluster) + "\x00" + string(key))), Name: cluster,
			MaxSize: 1, EndpointCount: len(token.Endpoints),
		},
		Members: []Member{{Member: xlreg.Member{Token: *token}, Verified: true}},
	}, nil
}

func idOf(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:xlreg.LongIDLen]
}
