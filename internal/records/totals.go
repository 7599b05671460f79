package records

import (
	"context"
	"fmt"
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

// Times returns n times t.
func (t Totals) Times(n int) Totals {
	return Totals{t.Nodes * n, t.Clusters * n, t.Bytes * int64(n)}
}

// Count counts what there is, unless ctx ends. It reads every record.
func (r Reader) Count(ctx context.Context) (Totals, error) {
	var t Totals
	for _, root := range roots {
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
