package page

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

const (
	slots  = 12              // clusters on the overview
	settle = 2 * time.Second // a slot keeps its cluster at least this long
)

// overview is what the first page shows: how the registry fares, and some clusters, each
// in a slot of its own. A cluster stays in its slot until one that matters more needs the
// place, so that nothing moves under the reader's eyes.
type overview struct {
	src Source

	mu    sync.Mutex // guards the rest
	slots []slot
	shown changed
}

type slot struct {
	id     string
	state  api.State
	leased bool      // what it shows may change by time alone
	since  time.Time // when it took the slot, or came to rest there
}

func newOverview(src Source) *overview { return &overview{src: src, shown: make(changed)} }

// restless reports whether people want to see what becomes of a cluster.
func restless(s api.State) bool { return s == api.StateForming || s == api.StateReduced }

// reset fills the slots: clusters that form, those that have lost members, the newest.
func (o *overview) reset(ctx context.Context) error {
	var ids []string
	for _, state := range []api.State{api.StateForming, api.StateReduced, ""} {
		if len(ids) == slots {
			break
		}
		found, err := o.src.Clusters(ctx, api.ClusterQuery{State: state, Limit: slots})
		if err != nil {
			return err
		}
		for _, c := range found.Items {
			if len(ids) < slots && !slices.Contains(ids, c.ID) {
				ids = append(ids, c.ID)
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slots, o.shown = nil, make(changed)
	o.shown.of(registryRows(o.src.Registry()))
	for _, id := range ids {
		o.slots = append(o.slots, slot{id: id})
		if err := o.read(ctx, len(o.slots)-1); err != nil {
			return err
		}
	}
	return nil
}

const slotPrefix = "slot "

func slotKey(i int) string { return slotPrefix + strconv.Itoa(i) }

// read shows the cluster of a slot as it is now.
func (o *overview) read(ctx context.Context, i int) error {
	s, key := &o.slots[i], slotKey(i)
	d, err := o.src.Cluster(ctx, s.id)
	if errors.Is(err, api.ErrNotFound) {
		o.rest(s, stateGone)
		if was, ok := o.shown[key]; ok {
			o.shown[key] = goneRow(row{Key: key, Fields: was}).Fields
		}
		return nil
	}
	if err != nil {
		return err
	}
	o.rest(s, d.State)
	s.leased = slices.ContainsFunc(d.Seats, func(m api.Member) bool { return m.LeaseMS > 0 })
	o.shown[key] = cardRow(key, d, time.Now()).Fields
	return nil
}

func (o *overview) rest(s *slot, state api.State) {
	if s.state != state {
		s.state, s.since = state, time.Now()
	}
}

// rows returns all that is shown, the slots in order.
func (o *overview) rows() []row {
	o.mu.Lock()
	defer o.mu.Unlock()
	var rows []row
	for _, key := range slices.Sorted(maps.Keys(o.shown)) {
		rows = append(rows, row{Key: key, Fields: o.shown[key]})
	}
	return rows
}

// next shows what a batch has changed, and returns the rows that differ.
func (o *overview) next(ctx context.Context, b *batch) ([]row, error) {
	if b.restart {
		return nil, o.reset(ctx) // the streams ask for all
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	before := maps.Clone(o.shown)
	err := o.follow(ctx, b)
	o.shown.of(registryRows(b.registry))
	var rows []row
	for key, fields := range o.shown {
		if !maps.Equal(before[key], fields) {
			rows = append(rows, row{Key: key, Fields: fields})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return compareKeys(a.Key, b.Key) })
	return rows, err
}

// compareKeys sorts slot 9 before slot 10, as new ones are appended in this order.
func compareKeys(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return slices.Compare([]byte(a), []byte(b))
}

// follow reads the slots that have changed, and gives places to clusters that have none.
func (o *overview) follow(ctx context.Context, b *batch) error {
	for i, s := range o.slots {
		if !b.touches(s.id) && (!b.tick || !s.leased) {
			continue
		}
		if err := o.read(ctx, i); err != nil {
			return err
		}
	}
	for _, c := range slices.Backward(b.changes) { // the newest first
		if c.Cluster == nil || o.has(c.Cluster.ID) {
			continue
		}
		i, ok := o.place(c.Cluster.State)
		if !ok {
			continue
		}
		o.slots[i] = slot{id: c.Cluster.ID}
		if err := o.read(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (o *overview) has(id string) bool {
	return slices.ContainsFunc(o.slots, func(s slot) bool { return s.id == id })
}

// place finds a slot for a cluster: a free one, or the one that has been at rest longest.
func (o *overview) place(state api.State) (int, bool) {
	if len(o.slots) < slots {
		o.slots = append(o.slots, slot{})
		return len(o.slots) - 1, true
	}
	oldest, found := 0, false
	for i, s := range o.slots {
		if restless(s.state) || time.Since(s.since) < settle {
			continue
		}
		if !found || s.since.Before(o.slots[oldest].since) {
			oldest, found = i, true
		}
	}
	return oldest, found && state != api.StateEmpty
}

// touches reports whether a cluster has changed, or has gone.
func (b *batch) touches(id string) bool {
	return slices.ContainsFunc(b.changes, func(c api.Change) bool {
		return c.Gone == id || c.Cluster != nil && c.Cluster.ID == id
	})
}

// registryRows are what the overview shows beside clusters.
func registryRows(r api.Registry) []row {
	rows := []row{countsRow(r)}
	for _, f := range r.Formations {
		rows = append(rows, formationRow(f))
	}
	return rows
}

// overviewData is what the template of the overview lists.
type overviewData struct {
	Slots      []row
	Formations []formationDrawing
	Local      bool   // nobody else's machine can reach the registry
	Commands   string // what a newcomer pastes
}

type formationDrawing struct {
	Row  row
	Bars []bar
}

func (p *page) overview(r *http.Request) (content, error) {
	rows, ok := p.hub.shown()
	if !ok {
		o := newOverview(p.cfg.Source)
		if err := o.reset(r.Context()); err != nil {
			return content{}, err
		}
		rows = o.rows()
	}
	byKey := make(map[string]row)
	for _, row := range rows {
		byKey[row.Key] = row
	}
	about := p.cfg.Source.Registry()
	data := overviewData{Local: isLocal(about.Endpoints)}
	data.Commands = commands(about.Line, data.Local)
	for i := range slots {
		if row, ok := byKey[slotKey(i)]; ok {
			data.Slots = append(data.Slots, row)
		}
	}
	for _, f := range about.Formations {
		if row, ok := byKey["formation "+f.Sizes]; ok {
			data.Formations = append(data.Formations, formationDrawing{row, outlines(f)})
		}
	}
	return content{template: "overview.html", title: "Overview", section: "overview",
		events: "/events/overview", rows: rows, data: data}, nil
}

// isLocal reports whether all endpoints are on loopback.
func isLocal(endpoints []string) bool {
	return len(endpoints) > 0 && !slices.ContainsFunc(endpoints, func(e string) bool {
		at, err := netip.ParseAddrPort(e)
		return err != nil || !at.Addr().IsLoopback()
	})
}

// commands form a first cluster: the same on two machines, or all on this one if no other
// can reach the registry.
func commands(line string, local bool) string {
	const join = "xlreg join web --create --size 2"
	text := "export XLREG_REGISTRY='" + line + "'\n"
	if !local {
		return text + join + " --endpoint :7001 --wait 5m"
	}
	return text + join + " \\\n  --node ./a --name a --endpoint 127.0.0.1:7001 --wait 5m &\n" +
		join + " \\\n  --node ./b --name b --endpoint 127.0.0.1:7002 --wait 5m"
}

// outlines are bars even where nothing has formed yet, for the script to raise.
func outlines(f api.Formation) []bar {
	if drawn := bars(f); drawn != nil {
		return drawn
	}
	one := f
	one.Counts = make([]uint64, len(f.Counts))
	for i := range one.Counts {
		one.Counts[i] = 1
	}
	drawn := bars(one)
	for i := range drawn {
		drawn[i].Y, drawn[i].Height, drawn[i].Title = degrees(barsHeight), "0", ""
	}
	return drawn
}

// overviewView is the same for all, so it is made once.
type overviewView struct{ hub *hub }

func (p *page) overviewView(*http.Request) (view, error) { return overviewView{p.hub}, nil }

func (v overviewView) state(context.Context, string) ([]byte, string, error) {
	rows, ok := v.hub.shown()
	if !ok {
		return nil, "", nil
	}
	m := message{Rows: rows}
	for _, key := range keysOf(rows) {
		if strings.HasPrefix(key, slotPrefix) {
			m.Order = append(m.Order, key)
		}
	}
	slices.SortFunc(m.Order, compareKeys)
	m.Empty = len(m.Order) == 0
	return encode(m), "", nil
}

func (v overviewView) patch(_ context.Context, b *batch) ([]byte, error) { return b.overview, nil }
