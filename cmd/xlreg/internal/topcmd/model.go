package topcmd

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// model is what is shown, and where its reader is in it. Only one goroutine touches it.
type model struct {
	plain bool // nothing but ASCII can be shown
	still bool // nobody can press a key

	registry api.Registry
	limits   []api.Limit
	rows     []api.Cluster // in the order of sort
	total    int           // clusters of this kind; 0 if that is not known
	trouble  error         // why nothing new is known; nil if all is well

	state    api.State // of the clusters in the list; empty: any
	sort     sorting
	match    string
	typing   bool   // match is being typed
	selected string // the ID of a cluster in the list
	first    int    // the row of the list that is on top

	open   bool // one cluster is shown instead of the list
	detail *api.ClusterDetail
	gone   bool // it is no more
	scroll int  // in its members

	changes meter // of clusters
	formed  meter
}

// sorting is an order of the list.
type sorting int

const (
	byAge sorting = iota
	byName
	byMissing
	sortings // how many there are
)

func (s sorting) String() string {
	return [...]string{"newest first", "by name", "most missing first"}[s]
}

func newModel(plain bool) *model { return &model{plain: plain, state: api.StateForming} }

// wish is what the model wants to know.
func (m *model) wish() wish {
	w := wish{state: m.state, order: api.OrderNewest, match: m.match}
	if m.sort == byName {
		w.order = api.OrderName
	}
	if m.open {
		w.detail = m.selected
	}
	return w
}

// take puts what a look has found into the model, unless something else is wanted by now.
func (m *model) take(s *seen, at time.Time) {
	m.registry, m.limits = s.registry, s.limits
	formed := uint64(0)
	for i := range s.registry.Formations {
		formed += s.registry.Formations[i].Count
	}
	m.formed.count(at, formed)
	now := m.wish()
	if s.listed && s.wish.state == now.state && s.wish.order == now.order && s.wish.match == now.match {
		m.rows, m.total = s.clusters.Items, s.clusters.Total
		m.arrange()
	}
	if s.wish.detail != "" && s.wish.detail == now.detail {
		m.gone = s.gone
		if s.detail != nil {
			m.detail = s.detail
		}
	}
}

// change puts changes into the list.
func (m *model) change(changes []api.Change, at time.Time) {
	m.trouble = nil // somebody tells of them
	m.changes.add(at, len(changes))
	for i := range changes {
		c := &changes[i]
		id := c.Gone
		if c.Cluster != nil {
			id = c.Cluster.ID
		}
		at := slices.IndexFunc(m.rows, func(r api.Cluster) bool { return r.ID == id })
		wanted := c.Cluster != nil && m.lets(c.Cluster)
		switch {
		case at >= 0 && wanted:
			m.rows[at] = *c.Cluster
		case at >= 0:
			m.rows = slices.Delete(m.rows, at, at+1)
			m.total = max(0, m.total-1)
		case wanted:
			m.rows = slices.Insert(m.rows, 0, *c.Cluster)
			m.total++
		}
		if m.open && id == m.selected {
			m.gone = c.Cluster == nil
		}
	}
	m.arrange()
	m.rows = m.rows[:min(maxRows, len(m.rows))]
}

// lets reports whether a cluster is one of those that are listed.
func (m *model) lets(c *api.Cluster) bool {
	named := strings.Contains(c.Name, m.match) || strings.HasPrefix(c.ID, strings.ToLower(m.match))
	return named && (m.state == "" || c.State == m.state)
}

// arrange brings the rows into order.
func (m *model) arrange() {
	slices.SortStableFunc(m.rows, func(a, b api.Cluster) int {
		switch m.sort {
		case byName:
			return cmp.Compare(a.Name, b.Name)
		case byMissing:
			return cmp.Or(cmp.Compare(b.Size-b.Members, a.Size-a.Members), newer(&a, &b))
		}
		return newer(&a, &b)
	})
}

func newer(a, b *api.Cluster) int {
	if a.Created == nil || b.Created == nil {
		return 0
	}
	return b.Created.Compare(*a.Created)
}

// row returns where the selected cluster is; the first if it is not in the list.
func (m *model) row() int {
	return max(0, slices.IndexFunc(m.rows, func(c api.Cluster) bool { return c.ID == m.selected }))
}

// move selects another row.
func (m *model) move(by int) {
	if len(m.rows) == 0 {
		return
	}
	m.selected = m.rows[min(max(0, m.row()+by), len(m.rows)-1)].ID
}

func isGone(err error) bool { return errors.Is(err, api.ErrNotFound) }

// meter says how often something happens, over the last while.
type meter struct {
	total   uint64
	samples []sample
}

type sample struct {
	at    time.Time
	total uint64
}

// span is the while, and spacing what is between two samples at least.
const (
	span    = 10 * time.Second
	spacing = 250 * time.Millisecond
)

func (m *meter) add(at time.Time, n int) { m.count(at, m.total+uint64(max(0, n))) }

// count says how often it has happened in all.
func (m *meter) count(at time.Time, total uint64) {
	if total < m.total {
		m.samples = nil // the registry has been started again
	}
	m.total = total
	if n := len(m.samples); n > 1 && at.Sub(m.samples[n-2].at) < spacing {
		m.samples[n-1] = sample{at, total}
	} else {
		m.samples = append(m.samples, sample{at, total})
	}
	for len(m.samples) > 2 && at.Sub(m.samples[1].at) >= span {
		m.samples = m.samples[1:]
	}
}

// rate returns how often it happens in a second.
func (m *meter) rate(now time.Time) float64 {
	if len(m.samples) == 0 {
		return 0
	}
	old := m.samples[0]
	for _, s := range m.samples {
		if now.Sub(s.at) >= span {
			old = s
		}
	}
	return float64(m.total-old.total) / max(1, now.Sub(old.at).Seconds())
}
