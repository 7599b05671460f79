package records

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
)

// Totals are how many nodes and clusters there are, and how many bytes all records and
// their keys have.
type Totals struct {
	Nodes, Clusters int
	Bytes           int64
}

// Plus returns the sum of both.
func (t Totals) Plus(other Totals) Totals {
	return Totals{t.Nodes + other.Nodes, t.Clusters + other.Clusters, t.Bytes + other.Bytes}
}

// Count counts what there is, unless ctx ends. It reads every record.
func (r Reader) Count(ctx context.Context) (Totals, error) {
	var t Totals
	for _, root := range []string{nodeRoot, clusterRoot, seatByIDRoot, seatByNameRoot, nameRoot} {
		for item, err := range r.tx.Scan(root) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return Totals{}, fmt.Errorf("count records: %w", err)
			}
			t.Bytes += int64(len(item.Key) + len(item.Value))
			if root == nodeRoot {
				t.Nodes++
			}
			if _, ok := ClusterAt(item.Key); ok {
				t.Clusters++
			}
		}
	}
	return t, nil
}

func sizeOf(key string, m proto.Message) int64 { return int64(len(key) + headerLen + proto.Size(m)) }

func sizeOfNode(node *xlreg.Token) int64 {
	return sizeOf(nodeKey(node.ID), &recordspb.Node{Token: tokenToPB(node)})
}

func sizeOfCluster(c *Cluster) int64 { return sizeOf(clusterKey(c.ID), clusterToPB(c)) }

func sizeOfName(c *xlreg.Cluster) int64 {
	return sizeOf(nameKey(c.Name), &recordspb.ClusterName{ClusterId: []byte(c.ID)})
}

func sizeOfSeat(id xlreg.ClusterID, m *xlreg.Member) int64 {
	ref := &recordspb.SeatRef{Index: uint32(m.Index)}
	return sizeOf(seatKey(id, m.Index), seatToPB(m)) +
		sizeOf(seatByIDKey(id, m.Token.ID), ref) + sizeOf(seatByNameKey(id, m.Token.Name), ref)
}
