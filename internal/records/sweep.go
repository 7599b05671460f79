package records

import (
	"context"
	"errors"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
)

// Part is a part of all nodes, or of all clusters: those whose IDs have one length and
// begin with one byte. So a sweep over all of them need not be one long transaction.
type Part struct {
	length int
	first  byte
}

// EachPart calls f for each part there is, until it fails.
func EachPart(f func(Part) error) error {
	for _, length := range []int{xlreg.ShortIDLen, xlreg.LongIDLen} {
		for first := range 256 {
			if err := f(Part{length, byte(first)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// clusters is what the keys of the clusters in a part, and of their seats, begin with.
func (p Part) clusters() string { return p.of(clusterRoot) }

// of is what those keys below a root begin with in which such a cluster's ID stands.
func (p Part) of(root string) string { return root + string([]byte{byte(p.length), p.first}) }

// EachCluster calls f for the head of each cluster in a part, unless ctx ends.
func (r Reader) EachCluster(ctx context.Context, part Part, f func(*Cluster)) error {
	for item, err := range r.tx.Scan(part.clusters()) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read clusters: %w", err)
		}
		if _, ok := ClusterAt(item.Key); !ok {
			continue
		}
		var pb recordspb.Cluster
		if err := current.decode(item.Key, item.Value, &pb); err != nil {
			return fmt.Errorf("read clusters: %w", err)
		}
		c, err := clusterFromPB(&pb)
		if err != nil {
			return fmt.Errorf("read clusters: %w", err)
		}
		f(&c)
	}
	return nil
}

// EachNode calls f for each node in a part, unless ctx ends.
func (r Reader) EachNode(ctx context.Context, part Part, f func(*Node)) error {
	for item, err := range r.tx.Scan(nodeRoot + string([]byte{part.first})) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read nodes: %w", err)
		}
		if len(item.Key) != len(nodeRoot)+part.length {
			continue
		}
		var pb recordspb.Node
		if err := current.decode(item.Key, item.Value, &pb); err != nil {
			return fmt.Errorf("read nodes: %w", err)
		}
		f(&Node{Token: tokenFromPB(pb.GetToken()), Seen: fromDay(pb.GetSeenDay())})
	}
	return nil
}

// NodesAfter returns up to limit of the nodes whose IDs begin with first and sort behind
// another one's, in the order of their bytes, and whether there are more. What it passes
// over it does not decode.
func (r Reader) NodesAfter(ctx context.Context, first byte, after xlreg.NodeID, limit int) (nodes []Node, more bool, err error) {
	for item, err := range r.tx.Scan(nodeRoot + string([]byte{first})) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, false, fmt.Errorf("read nodes: %w", err)
		}
		if item.Key <= nodeKey(after) {
			continue
		}
		if len(nodes) >= limit {
			return nodes, true, nil
		}
		var pb recordspb.Node
		if err := current.decode(item.Key, item.Value, &pb); err != nil {
			return nil, false, fmt.Errorf("read nodes: %w", err)
		}
		nodes = append(nodes, Node{Token: tokenFromPB(pb.GetToken()), Seen: fromDay(pb.GetSeenDay())})
	}
	return nodes, false, nil
}

// ClustersOfKey returns those clusters in a part in which a sig key has a seat, or had the
// last one of an index. It decodes nothing.
func (r Reader) ClustersOfKey(ctx context.Context, part Part, sum xlreg.KeySum) (ids []xlreg.ClusterID, err error) {
	for item, err := range r.tx.Scan(part.of(seatsOfKeyRoot)) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("read clusters of a key: %w", err)
		}
		if id := clusterIn(item.Key); item.Key == seatsOfKeyKey(id, sum) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Remains returns up to limit keys of what is kept of a cluster besides its head.
func (r Reader) Remains(id xlreg.ClusterID, limit int) (found []string, err error) {
	head := clusterKey(id)
	for _, root := range []string{clusterRoot, seatsOfKeyRoot, seatByNameRoot, inviteRoot, useRoot, banRoot, seatByIDRoot} {
		for item, err := range r.tx.Scan(inCluster(root, id)) {
			if err != nil {
				return nil, fmt.Errorf("what is kept of %v: %w", id, err)
			}
			if item.Key == head {
				continue
			}
			if found = append(found, item.Key); len(found) == limit {
				return found, nil
			}
		}
	}
	return found, nil
}

// Purge takes away what Remains has found of a cluster that is gone, and in the end the
// cluster's head, and its name if that still leads to it.
func (w Writer) Purge(id xlreg.ClusterID, found []string, end bool) error {
	var errs []error
	for _, key := range found {
		errs = append(errs, w.purgeOne(key))
	}
	if end {
		c, err := w.Cluster(id)
		errs = append(errs, err)
		if err == nil {
			w.grown.Clusters--
			errs = append(errs, w.FreeName(&c), w.remove(clusterKey(id)))
		}
	}
	return errors.Join(errs...)
}

// purgeOne looks at a record before it takes it away, for the account of sizes.
func (w Writer) purgeOne(key string) error {
	record, err := w.Reader.tx.Get(key)
	if IsNotFound(err) {
		return nil
	}
	w.sizes[key] = len(key) + len(record)
	return errors.Join(err, w.remove(key))
}

// FreeName makes the name of a cluster free for another one, if it leads to this.
func (w Writer) FreeName(c *Cluster) error {
	key := nameKey(c.Name, c.Key)
	var pb recordspb.ClusterName
	err := w.get(key, &pb)
	if IsNotFound(err) || err == nil && xlreg.ClusterID(pb.GetClusterId()) != c.ID {
		return nil
	}
	return errors.Join(err, w.remove(key))
}
