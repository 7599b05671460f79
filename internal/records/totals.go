package records

import (
	"context"
	"errors"
	"fmt"

	"github.com/xlattice/xlreg"
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
func (r Reader) Count(ctx context.Context) (t Totals, err error) {
	for _, root := range roots {
		if err = errors.Join(err, r.countBelow(ctx, root, &t)); err != nil {
			return Totals{}, err
		}
	}
	return t, nil
}

// CountPart counts those records whose keys have an ID, a sum or a name that begins with
// this byte. All of them together are all that there is, at 256 moments.
func (r Reader) CountPart(ctx context.Context, first byte) (t Totals, err error) {
	for _, root := range roots {
		for _, prefix := range prefixes(root, first) {
			if err := errors.Join(r.countAt(prefix, &t), r.countBelow(ctx, prefix, &t)); err != nil {
				return Totals{}, err
			}
		}
	}
	return t, nil
}

// prefixes are what the keys below a root begin with whose first byte is this. In those of
// a cluster the length of its ID stands before it.
func prefixes(root string, first byte) []string {
	switch root {
	case nameRoot, keyedNameRoot, nodeRoot, nodeOfKeyRoot:
		return []string{root + string([]byte{first})}
	}
	return []string{
		root + string([]byte{xlreg.ShortIDLen, first}),
		root + string([]byte{xlreg.LongIDLen, first}),
	}
}

// countAt counts the record under a key, if there is one.
func (r Reader) countAt(key string, t *Totals) error {
	record, err := r.tx.Get(key)
	if err == nil {
		t.add(key, record)
	}
	if found, err := exists(err); !found {
		return err
	}
	return nil
}

func (r Reader) countBelow(ctx context.Context, prefix string, t *Totals) error {
	for item, err := range r.tx.Scan(prefix) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("count records: %w", err)
		}
		t.add(item.Key, item.Value)
	}
	return nil
}

func (t *Totals) add(key string, record []byte) {
	t.Bytes += int64(len(key) + len(record))
	if key[:1] == nodeRoot {
		t.Nodes++
	}
	if _, ok := ClusterAt(key); ok {
		t.Clusters++
	}
}
