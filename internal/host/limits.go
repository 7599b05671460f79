package host

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/server"
)

// limitsAge is how long it is not looked again how much of each limit is used. A look goes
// through all sources of late, and stands in the way of those who come meanwhile.
const limitsAge = time.Second

// limits knows how near the limits are, and how often each was met.
type limits struct {
	mu   sync.Mutex
	kept guard.Limits      // guarded by mu; of which the bounds of what is kept are read
	mets map[string]uint64 // guarded by mu; by the name of the limit

	looking sync.Mutex // guards what follows
	used    []server.Limit
	at      time.Time
}

// set has other bounds of what is kept count.
func (l *limits) set(kept guard.Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = kept
}

func (l *limits) bounds() guard.Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept
}

// met counts refusals by a limit.
func (l *limits) met(name string, times int) {
	if name == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mets == nil {
		l.mets = make(map[string]uint64)
	}
	l.mets[name] += uint64(times)
}

// list returns all limits, those first that were met, most often first.
func (l *limits) list(now time.Time, look func() []server.Limit, kept records.Totals) []api.Limit {
	most := l.bounds()
	all := []api.Limit{
		keptLimit(guard.MaxNodes, most.Nodes, "nodes", int64(kept.Nodes)),
		keptLimit(guard.MaxClusters, most.Clusters, "clusters", int64(kept.Clusters)),
		keptLimit(guard.MaxDataMiB, most.DataMiB, "MiB", (kept.Bytes+1<<20-1)>>20),
	}
	for _, u := range l.usage(now, look) {
		used := int64(u.Used)
		all = append(all, api.Limit{Name: u.Name, Value: int64(u.Value), Unit: u.Unit, Used: &used, By: u.By})
	}
	l.mu.Lock()
	for i := range all {
		all[i].Refused = l.mets[all[i].Name]
	}
	l.mu.Unlock()
	slices.SortStableFunc(all, func(a, b api.Limit) int { return cmp.Compare(b.Refused, a.Refused) })
	return all
}

func keptLimit(name string, value int, unit string, used int64) api.Limit {
	return api.Limit{Name: name, Value: int64(value), Unit: unit, Used: &used}
}

// usage is how much was used a moment ago.
func (l *limits) usage(now time.Time, look func() []server.Limit) []server.Limit {
	l.looking.Lock()
	defer l.looking.Unlock()
	if age := now.Sub(l.at); l.used == nil || age >= limitsAge || age < 0 {
		l.used, l.at = look(), now
	}
	return l.used
}
