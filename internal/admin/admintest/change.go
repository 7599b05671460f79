package admintest

import (
	"context"
	"fmt"
	"slices"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/api"
)

var _ admin.Steward = (*Registry)(nil)

// By implements admin.Steward.
func (r *Registry) By(name, from string) admin.Changer { return &changer{r, name, from} }

type changer struct {
	registry    *Registry
	admin, from string
}

// Evict implements admin.Changer.
func (c *changer) Evict(_ context.Context, id string, e api.Eviction) (api.Done, error) {
	return c.change(id, e.Revision, fmt.Sprintf("evict %s%s ban=%v", e.Member, e.Key, e.Ban), func(of *cluster) ([]string, error) {
		var evicted []string
		stay := slices.DeleteFunc(slices.Clone(of.Seats), func(m api.Member) bool {
			if m.Name != e.Member && m.Key != e.Key {
				return false
			}
			evicted = append(evicted, m.Name)
			return true
		})
		if len(evicted) == 0 && !e.Ban {
			return nil, fmt.Errorf("member %s: %w", e.Member, api.ErrNotFound)
		}
		of.Seats = stay
		if e.Ban {
			of.banned = append(of.banned, e.Member+e.Key)
		}
		return evicted, nil
	})
}

// Reopen implements admin.Changer.
func (c *changer) Reopen(_ context.Context, id string, revision *uint64) (api.Done, error) {
	return c.change(id, revision, "reopen", func(of *cluster) ([]string, error) {
		var evicted []string
		for _, m := range of.Seats {
			evicted = append(evicted, m.Name)
		}
		of.Epoch++
		of.full, of.Formed, of.Seats = false, nil, nil
		return evicted, nil
	})
}

// Delete implements admin.Changer.
func (c *changer) Delete(_ context.Context, id string, revision *uint64) (api.Done, error) {
	return c.change(id, revision, "delete", func(of *cluster) ([]string, error) {
		c.registry.remove(of)
		return nil, nil
	})
}

// change does what f does to a cluster that may be changed; f is called with mu held.
func (c *changer) change(id string, revision *uint64, what string, f func(*cluster) ([]string, error)) (api.Done, error) {
	r := c.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	of, ok := r.clusters[id]
	switch {
	case r.failure != nil:
		return api.Done{}, r.failure
	case !ok:
		return api.Done{}, fmt.Errorf("cluster %s: %w", id, api.ErrNotFound)
	case of.Owner != "":
		return api.Done{}, fmt.Errorf("cluster %s: %w", id, api.ErrOwned)
	case revision != nil && *revision != of.Revision:
		return api.Done{}, fmt.Errorf("cluster %s has revision %d: %w", id, of.Revision, api.ErrChanged)
	}
	evicted, err := f(of)
	if err != nil {
		return api.Done{}, err
	}
	r.deeds = append(r.deeds, Deed{c.admin, c.from, what})
	if r.clusters[id] == nil {
		return api.Done{}, nil
	}
	r.touch(of)
	brief := of.brief()
	return api.Done{Cluster: &brief, Evicted: evicted}, nil
}

// Forget implements admin.Changer.
func (c *changer) Forget(_ context.Context, node string) error {
	return c.do("forget "+node, func(r *Registry) error {
		left := slices.DeleteFunc(slices.Clone(r.nodes), func(n api.Node) bool { return n.ID == node })
		if len(left) == len(r.nodes) {
			return fmt.Errorf("node %s: %w", node, api.ErrNotFound)
		}
		r.nodes = left
		return nil
	})
}

// Drain implements admin.Changer.
func (c *changer) Drain(_ context.Context, on bool) error {
	return c.do(fmt.Sprintf("drain %v", on), func(r *Registry) error {
		r.about.Draining = on
		return nil
	})
}

// SetLogLevel implements admin.Changer.
func (c *changer) SetLogLevel(_ context.Context, level string) error {
	return c.do("log-level "+level, func(r *Registry) error {
		r.about.LogLevel = level
		return nil
	})
}

// do changes what is not about clusters; f is called with mu held.
func (c *changer) do(what string, f func(*Registry) error) error {
	r := c.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return r.failure
	}
	if err := f(r); err != nil {
		return err
	}
	r.deeds = append(r.deeds, Deed{c.admin, c.from, what})
	return nil
}
