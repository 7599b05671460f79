package admintest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// prefix makes revisions what they are to those who read them: words without meaning.
const prefix = "fake-"

func word(revision uint64) string { return prefix + strconv.FormatUint(revision, 10) }

func number(word string) (uint64, bool) {
	text, ok := strings.CutPrefix(word, prefix)
	n, err := strconv.ParseUint(text, 10, 64)
	return n, ok && err == nil
}

// Registry implements admin.Steward.
func (r *Registry) Registry() api.Registry {
	r.mu.Lock()
	defer r.mu.Unlock()
	about := r.about
	about.Nodes, about.Clusters, about.Sessions = len(r.nodes), len(r.order), len(r.sessions)
	about.ByState = make(map[api.State]int)
	for _, s := range api.States() {
		about.ByState[s] = 0
	}
	for _, c := range r.order {
		about.ByState[c.State]++
	}
	about.Revision = word(r.revision)
	return about
}

// Clusters implements admin.Steward.
func (r *Registry) Clusters(_ context.Context, q api.ClusterQuery) (api.Page[api.Cluster], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	page := api.Page[api.Cluster]{Items: []api.Cluster{}, Revision: word(r.revision)}
	found := slices.DeleteFunc(slices.Clone(r.order), func(c *cluster) bool { return !r.matches(c, &q) })
	slices.SortFunc(found, func(a, b *cluster) int { return compare(place(a, q.Order), place(b, q.Order)) })
	page.Total = len(found)
	for _, c := range found {
		at := place(c, q.Order)
		if q.Cursor != "" && at <= q.Cursor {
			continue
		}
		if len(page.Items) == limit(q.Limit) {
			last := page.Items[len(page.Items)-1]
			page.Next = place(r.clusters[last.ID], q.Order)
			break
		}
		page.Items = append(page.Items, c.brief())
	}
	return page, r.failure
}

// place is where a cluster stands in a list, as text that sorts.
func place(c *cluster, order api.Order) string {
	if order == api.OrderName {
		return fmt.Sprintf("%s\x1f%09d", c.Name, c.number)
	}
	return fmt.Sprintf("%09d", 999_999_999-c.number)
}

func limit(n int) int {
	if n == 0 {
		return api.DefaultPage
	}
	return n
}

func (r *Registry) matches(c *cluster, q *api.ClusterQuery) bool {
	age := r.now().Sub(*c.Created)
	return (strings.Contains(c.Name, q.Match) || strings.HasPrefix(c.ID, q.Match)) &&
		(q.State == "" || q.State == c.State) &&
		(q.Older == 0 || age >= q.Older) && (q.Newer == 0 || age <= q.Newer)
}

// brief returns a copy that does not change any more.
func (c *cluster) brief() api.Cluster {
	brief := c.Cluster
	brief.Taken = slices.Clone(brief.Taken)
	return brief
}

// Cluster implements admin.Steward.
func (r *Registry) Cluster(_ context.Context, id string) (api.ClusterDetail, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.clusters[id]
	if r.failure != nil || !ok {
		return api.ClusterDetail{}, cmp.Or(r.failure, fmt.Errorf("cluster %s: %w", id, api.ErrNotFound))
	}
	detail := c.ClusterDetail
	detail.Cluster, detail.Seats = c.brief(), slices.Clone(c.Seats)
	return detail, nil
}

// Nodes implements admin.Steward.
func (r *Registry) Nodes(_ context.Context, cursor string, most int) (api.Page[api.Node], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	page := api.Page[api.Node]{Items: []api.Node{}, Total: len(r.nodes)}
	for _, n := range r.nodes {
		if cursor != "" && n.ID <= cursor {
			continue
		}
		if len(page.Items) == limit(most) {
			page.Next = page.Items[len(page.Items)-1].ID
			break
		}
		page.Items = append(page.Items, n)
	}
	return page, r.failure
}

// Node implements admin.Steward.
func (r *Registry) Node(_ context.Context, id string) (api.Node, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.nodes {
		if n.ID == id {
			return n, r.failure
		}
	}
	return api.Node{}, cmp.Or(r.failure, fmt.Errorf("node %s: %w", id, api.ErrNotFound))
}

// Sessions implements admin.Steward.
func (r *Registry) Sessions(cursor string, most int) (api.Page[api.Session], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	page := api.Page[api.Session]{Items: []api.Session{}, Total: len(r.sessions)}
	after, err := strconv.ParseUint(cmp.Or(cursor, "0"), 10, 64)
	if err != nil {
		return page, fmt.Errorf("cursor: %w", api.ErrInvalid)
	}
	for _, s := range r.sessions {
		if cursor != "" && s.ID <= after {
			continue
		}
		if len(page.Items) == limit(most) {
			page.Next = strconv.FormatUint(page.Items[len(page.Items)-1].ID, 10)
			break
		}
		page.Items = append(page.Items, s)
	}
	return page, r.failure
}

// Limits implements admin.Steward.
func (r *Registry) Limits() []api.Limit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.limits)
}

// Wait implements admin.Watcher.
func (r *Registry) Wait(ctx context.Context, since string, wait time.Duration) error {
	return r.await(ctx, wait, func() bool { return word(r.revision) != since })
}

// WaitCluster implements admin.Watcher.
func (r *Registry) WaitCluster(ctx context.Context, id string, since uint64, wait time.Duration) error {
	return r.await(ctx, wait, func() bool {
		c, ok := r.clusters[id]
		return !ok || c.Revision != since
	})
}

// await returns when done, which is called with mu held, or when the time is over.
func (r *Registry) await(ctx context.Context, wait time.Duration, done func() bool) error {
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		r.mu.Lock()
		is, changed, failure := done(), r.changed, r.failure
		r.mu.Unlock()
		if is || failure != nil {
			return failure
		}
		select {
		case <-changed:
		case <-over.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Follow implements admin.Watcher.
func (r *Registry) Follow(ctx context.Context, since string, f func(bool, []api.Change) error) error {
	after, known := number(since)
	for first := true; ; first = false {
		r.mu.Lock()
		restart := first && !known || after < r.horizon || after > r.revision
		if restart {
			after = r.revision
		}
		changes, now, changed, failure := r.changesAfter(after), r.revision, r.changed, r.failure
		r.mu.Unlock()
		if failure != nil {
			return failure
		}
		if restart || len(changes) > 0 {
			if err := f(restart, changes); err != nil {
				return err
			}
		}
		after = now
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changesAfter returns what has changed since a revision, the oldest first. mu is held.
func (r *Registry) changesAfter(revision uint64) []api.Change {
	type dated struct {
		at     uint64
		change api.Change
	}
	var found []dated
	for _, c := range r.order {
		if c.changed > revision {
			brief := c.brief()
			found = append(found, dated{c.changed, api.Change{Cluster: &brief}})
		}
	}
	for _, g := range r.gone {
		if g.revision > revision {
			found = append(found, dated{g.revision, api.Change{Gone: g.id}})
		}
	}
	slices.SortFunc(found, func(a, b dated) int { return cmp.Compare(a.at, b.at) })
	changes := make([]api.Change, 0, len(found))
	for _, d := range found {
		d.change.Revision = word(d.at)
		changes = append(changes, d.change)
	}
	return changes
}
