package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// seatsPage is how many seats of a cluster one page shows.
const seatsPage = 128

// clusterData is what the page of one cluster shows beside its rows.
type clusterData struct {
	Cluster  api.ClusterDetail
	Link     string
	Seats    []row
	First    int    // the first seat on this page
	Last     int    // the last
	Previous string // where the seats before are; empty if there are none
	Next     string
	Open     bool // an admin may change it
	Labels   bool // some member has labels
	Leases   bool // some member has a lease
}

// firstSeat is where the seats of a page begin.
func firstSeat(r *http.Request) (int, error) {
	from := r.URL.Query().Get("from")
	if from == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(from, 10, 16)
	if err != nil || n%seatsPage != 0 {
		return 0, api.ErrInvalid
	}
	return int(n), nil
}

func (p *page) cluster(r *http.Request) (content, error) {
	from, err := firstSeat(r)
	if err != nil {
		return content{}, err
	}
	d, err := p.cfg.Source.Cluster(r.Context(), r.PathValue("id"))
	if err != nil {
		return content{}, err
	}
	if from > 0 && from >= d.Size {
		return content{}, api.ErrNotFound
	}
	link := "/clusters/" + url.PathEscape(d.ID)
	data := clusterData{
		Cluster: d, Link: link, Open: d.Owner == "", Seats: seatRows(d, from, time.Now()),
		First: from, Last: min(from+seatsPage, d.Size) - 1,
		Labels: slices.ContainsFunc(d.Seats, func(m api.Member) bool { return len(m.Labels) > 0 }),
		Leases: slices.ContainsFunc(d.Seats, func(m api.Member) bool { return m.LeaseMS > 0 }),
	}
	suffix := ""
	if from > 0 {
		data.Previous = link + "?from=" + strconv.Itoa(from-seatsPage)
		suffix = "?from=" + strconv.Itoa(from)
	}
	if from+seatsPage < d.Size {
		data.Next = link + "?from=" + strconv.Itoa(from+seatsPage)
	}
	return content{template: "cluster.html", title: d.Name, section: "clusters",
		events: "/events" + link + suffix, rows: []row{headRow(d, time.Now())}, data: data}, nil
}

// headRow is what is said of a cluster as a whole.
func headRow(d api.ClusterDetail, now time.Time) row {
	r := cardRow("head", d, now)
	r.Fields["epoch"], r.Fields["revision"] = countText(d.Epoch), strconv.FormatUint(d.Revision, 10)
	r.Fields["etag"] = fmt.Sprintf(`"%d.%d"`, d.Epoch, d.Revision) // as the API has it
	r.Fields["orders"], r.Fields["waiting"] = countText(d.Orders), countText(d.Waiting)
	if r.Fields["noteclass"] == "note" {
		r.Fields["note"] = "" // the page says all that in other places
	}
	r.Fields["formed"] = cmp.Or(r.Fields["formed"], "not yet")
	r.Fields["points"], r.Fields["end"] = joins(d, now)
	return r
}

// joins draws who of the members joined when. The line ends at the last of them, or now if
// the cluster still forms.
func joins(d api.ClusterDetail, now time.Time) (points, end string) {
	var times []time.Time
	for _, m := range d.Seats {
		if m.Joined != nil {
			times = append(times, *m.Joined)
		}
	}
	if d.Created == nil || len(times) == 0 {
		return "", ""
	}
	slices.SortFunc(times, time.Time.Compare)
	last := times[len(times)-1]
	if d.State == api.StateForming {
		last = now
	}
	// A little beyond the last step, so that it is seen.
	until := last.Add(last.Sub(*d.Created)/20 + time.Millisecond)
	return timeline(d.Size, *d.Created, until, times), spanText(last.Sub(*d.Created).Milliseconds())
}

func seatKey(i int) string { return "seat " + strconv.Itoa(i) }

// seatRows are the seats of one page, taken or not: there is a row for each from the
// start, and none ever comes or goes.
func seatRows(d api.ClusterDetail, from int, now time.Time) []row {
	rows := make([]row, 0, seatsPage)
	for i := from; i < min(from+seatsPage, d.Size); i++ {
		rows = append(rows, row{Key: seatKey(i), Fields: freeSeat(d, i)})
	}
	for _, m := range d.Seats {
		if at := m.Index - from; at >= 0 && at < len(rows) {
			rows[at].Fields = seatFields(d, m, now)
		}
	}
	return rows
}

func freeSeat(d api.ClusterDetail, i int) map[string]string {
	_, since := missingText(d.Cluster)
	return map[string]string{"index": strconv.Itoa(i), "class": "seat free", "state": "missing", "since": since}
}

func seatFields(d api.ClusterDetail, m api.Member, now time.Time) map[string]string {
	f := map[string]string{
		"index": strconv.Itoa(m.Index), "class": "seat taken", "state": "in", "name": m.Name,
		"node": m.Node, "nodeshort": short(m.Node), "key": m.Key, "keyshort": short(m.Key), "kind": m.KeyKind,
		"endpoints": some(m.Endpoints, 4), "labels": labelText(m.Labels, slices.Sorted(maps.Keys(m.Labels))),
		"joined": stamp(m.Joined), "after": "", "seen": stamp(m.Seen), "due": stamp(m.Due), "lease": "none",
	}
	if m.Joined != nil && d.Created != nil {
		f["after"] = "+" + spanText(max(0, m.Joined.Sub(*d.Created).Milliseconds()))
	}
	if m.LeaseMS > 0 {
		f["lease"] = spanText(m.LeaseMS)
	}
	switch {
	case isLate(m, now):
		f["class"], f["state"] = "seat late", "not seen"
	case m.Fresh:
		f["state"] = "waits for the others to start"
	}
	return f
}

// clusterView is one cluster, and one page of its seats.
type clusterView struct {
	src   Source
	id    string
	from  int
	shown changed
	in    map[string]bool // the names of the members
	lease bool            // what is shown changes by time alone
}

func (p *page) clusterView(r *http.Request) (view, error) {
	from, err := firstSeat(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	if _, err := p.cfg.Source.Cluster(r.Context(), id); err != nil {
		return nil, err
	}
	return &clusterView{src: p.cfg.Source, id: id, from: from}, nil
}

func (v *clusterView) read(ctx context.Context) (api.ClusterDetail, []row, error) {
	d, err := v.src.Cluster(ctx, v.id)
	if errors.Is(err, api.ErrNotFound) {
		return d, nil, errGone
	}
	if err != nil {
		return d, nil, err
	}
	v.lease = d.State == api.StateForming // its drawing grows
	for _, m := range d.Seats {
		v.lease = v.lease || m.LeaseMS > 0
	}
	now := time.Now()
	return d, append(seatRows(d, v.from, now), headRow(d, now)), nil
}

func (v *clusterView) state(ctx context.Context, _ string) ([]byte, string, error) {
	d, rows, err := v.read(ctx)
	if err != nil {
		return nil, "", err
	}
	v.shown = make(changed)
	v.shown.of(rows)
	v.news(d)
	return encode(message{Rows: rows}), "", nil
}

func (v *clusterView) patch(ctx context.Context, b *batch) ([]byte, error) {
	touched := b.touches(v.id)
	if !touched && (!b.tick || !v.lease) {
		return nil, nil
	}
	d, rows, err := v.read(ctx)
	if err != nil {
		return nil, err
	}
	say := v.news(d)
	if rows = v.shown.of(rows); len(rows) == 0 {
		return nil, nil
	}
	return encode(message{Rows: rows, Say: say}), nil
}

// news says who has come and gone since the last time, and remembers who is there.
func (v *clusterView) news(d api.ClusterDetail) string {
	var come, gone []string
	in := make(map[string]bool, len(d.Seats))
	for _, m := range d.Seats {
		in[m.Name] = true
		if !v.in[m.Name] {
			come = append(come, m.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.in)) {
		if !in[name] {
			gone = append(gone, name)
		}
	}
	v.in = in
	text := ""
	if len(gone) > 0 {
		text += some(gone, 3) + " has gone. "
	}
	if len(come) > 0 {
		text += some(come, 3) + " has joined. "
	}
	if text == "" {
		return ""
	}
	return text + countText(d.Members) + " of " + countText(d.Size) + " are in."
}
