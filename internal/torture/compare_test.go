package torture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// compare reads everything that was ever answered, as clients do, and ends the
// test if something is not there or is not what it was. Nobody else may be at work.
func (w *world) compare(t *testing.T, target *regcred.Target) {
	t.Helper()
	w.check(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := errors.Join(w.compareClusters(ctx, target), w.compareNodes(ctx, target)); err != nil {
		t.Fatal(err)
	}
	w.check(t)
}

func (w *world) compareClusters(ctx context.Context, target *regcred.Target) error {
	c, err := client.Dial(ctx, target, client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	for _, cluster := range w.allClusters() {
		roster, err := c.Members(ctx, xlreg.ClusterRef{ID: cluster.ID})
		if err != nil {
			return fmt.Errorf("cluster %q was answered: %w", cluster.Name, err)
		}
		w.readQuiet(roster)
		named, err := c.Cluster(ctx, xlreg.ClusterRef{Name: cluster.Name})
		if err != nil || named != cluster {
			return fmt.Errorf("cluster %+v by its name is %+v, %w", cluster, named, err)
		}
	}
	return nil
}

func (w *world) allClusters() []xlreg.Cluster {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]xlreg.Cluster, len(w.listed))
	for i, id := range w.listed {
		all[i] = w.clusters[id]
	}
	return all
}

// compareNodes logs in with every ID that was ever answered. Over 2.0 it is the key
// that proves who may, so a session for each key will do.
func (w *world) compareNodes(ctx context.Context, target *regcred.Target) error {
	for _, keys := range w.allKeys() {
		node, err := identity.NewNode(identity.Options{Name: "prober", Keys: keys})
		if err != nil {
			return err
		}
		if err := w.compareIDs(ctx, target, node); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) allKeys() map[xlreg.SigKey]*keys.Set {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.keys)
}

func (w *world) compareIDs(ctx context.Context, target *regcred.Target, node *identity.Node) error {
	c, err := client.Dial(ctx, target, client.Options{Node: node})
	if err != nil {
		return err
	}
	defer c.Close()
	for id, n := range w.allNodes() {
		if n.key != node.Keys().SigKey {
			continue
		}
		err := node.SetRegistry(identity.KnownRegistry{
			Sig: c.Fingerprint(), Name: target.Cred.Name, Endpoints: target.Endpoints, ID: id,
		})
		if err != nil {
			return err
		}
		if _, err := c.Login(ctx); err != nil {
			return fmt.Errorf("ID %v of %s was answered: %w", id, n.name, err)
		}
	}
	return nil
}

func (w *world) allNodes() map[xlreg.NodeID]issued {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make(map[xlreg.NodeID]issued, len(w.nodes))
	for id, n := range w.nodes {
		all[id] = *n
	}
	return all
}

// audit opens the file of a registry that has ended, and looks at what clients
// cannot see: the nodes as they were registered, and that the cluster's own record
// and its seats say the same.
func (w *world) audit(t *testing.T, path string) {
	t.Helper()
	data, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	w.auditStore(t, data)
}

func (w *world) auditStore(t *testing.T, data store.Store) {
	t.Helper()
	audit := func(f func(records.Reader) error) {
		t.Helper()
		err := data.View(t.Context(), func(tx store.Reader) error { return f(records.NewReader(tx)) })
		if err != nil {
			t.Error(err)
		}
	}
	for id, n := range w.allNodes() {
		audit(func(r records.Reader) error { return auditNode(r, id, n) })
	}
	for _, cluster := range w.allClusters() {
		audit(func(r records.Reader) error { return auditCluster(r, cluster) })
	}
}

func auditNode(r records.Reader, id xlreg.NodeID, n issued) error {
	kept, err := r.Node(id)
	if err != nil {
		return err // names the node
	}
	token := &kept.Token
	if token.Name != n.name || token.SigKey != n.key || !slices.Contains(n.versions, occupantOf(token).version) {
		return fmt.Errorf("node %v is %s at %v, registered was %s in version %v", id, token.Name, token.Endpoints, n.name, n.versions)
	}
	return nil
}

func auditCluster(r records.Reader, cluster xlreg.Cluster) error {
	kept, err := r.Cluster(cluster.ID)
	if err != nil || kept.Cluster != cluster {
		return fmt.Errorf("cluster %+v is %+v, %w", cluster, kept.Cluster, err)
	}
	seats, err := r.Members(&kept)
	if err != nil {
		return err
	}
	var taken xlreg.Seats
	for _, m := range seats {
		taken = taken.With(m.Index)
	}
	if taken != kept.Taken || taken.Len() != len(seats) {
		return fmt.Errorf("cluster %q has the seats %v, its record says %v", cluster.Name, taken, kept.Taken)
	}
	return nil
}
