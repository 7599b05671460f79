package page

import (
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// stateGone is the state of a cluster that has been deleted while it was shown.
const stateGone = "gone"

// clusterFields are what every list shows of a cluster.
func clusterFields(c api.Cluster) map[string]string {
	f := map[string]string{
		"id": c.ID, "short": short(c.ID), "name": c.Name, "link": "/clusters/" + url.PathEscape(c.ID),
		"state": string(c.State), "class": "state " + string(c.State),
		"count":   strconv.Itoa(c.Members),
		"members": countText(c.Members) + " of " + countText(c.Size),
		"created": stamp(c.Created), "owner": "open", "formed": "",
	}
	if c.Owner != "" {
		f["owner"] = "owned"
	}
	if c.Formed != nil {
		f["formed"] = spanText(*c.Formed)
	}
	return f
}

// ring draws the seats of a cluster.
func ring(f map[string]string, c api.Cluster, most int, late []int) {
	f["track"], f["taken"], f["late"] = trackDashes(c.Size, most), ringDashes(c.Size, most, c.Taken), ringDashes(c.Size, most, late)
}

func clusterRow(c api.Cluster) row {
	f := clusterFields(c)
	ring(f, c, miniSeats, nil)
	return row{Key: c.ID, Fields: f}
}

// goneRow is a cluster that has been deleted.
func goneRow(was row) row {
	f := maps.Clone(was.Fields)
	f["state"], f["class"] = stateGone, "state "+stateGone
	f["who"], f["missing"], f["since"], f["note"], f["noteclass"] = "", "deleted", "", "", "note"
	f["taken"], f["late"] = "0 360", "0 360"
	return row{Key: was.Key, Fields: f}
}

// cardRow is a cluster with who is in, who is missing, and who has not been seen.
func cardRow(key string, d api.ClusterDetail, now time.Time) row {
	const named = 6
	f := clusterFields(d.Cluster)
	names := make([]string, len(d.Seats))
	for i, m := range d.Seats {
		names[i] = m.Name
	}
	f["who"] = some(names, named)
	f["missing"], f["since"] = missingText(d.Cluster)
	late, unseen := lateSeats(d.Seats, now)
	ring(f, d.Cluster, mostSeats, late)
	f["note"], f["noteclass"] = unseen, "note lost"
	if unseen == "" {
		f["note"], f["noteclass"] = f["owner"]+", epoch "+countText(d.Epoch), "note"
	}
	return row{Key: key, Fields: f}
}

// missingText says which seats are missing, and since when. Of a cluster that still forms
// all have been missing since it was created; otherwise its last change took the last one.
func missingText(c api.Cluster) (text, since string) {
	free := missing(c.Size, c.Taken)
	switch {
	case len(free) == 0 && c.Formed != nil:
		return "formed in " + spanText(*c.Formed), ""
	case len(free) == 0:
		return "everybody is in", ""
	}
	text = countText(len(free)) + " missing, " + seatsText(free)
	if c.State == api.StateForming || c.Changed == nil {
		return text, stamp(c.Created)
	}
	return text, stamp(c.Changed)
}

// isLate reports whether a member has let half its lease pass without a sign of life; it
// gives one in each third.
func isLate(m api.Member, now time.Time) bool {
	return m.Seen != nil && m.LeaseMS > 0 && now.Sub(*m.Seen) > time.Duration(m.LeaseMS)*time.Millisecond/2
}

func lateSeats(seats []api.Member, now time.Time) (late []int, text string) {
	var names []string
	for _, m := range seats {
		if isLate(m, now) {
			late, names = append(late, m.Index), append(names, m.Name)
		}
	}
	if len(names) == 0 {
		return nil, ""
	}
	return late, "not seen lately: " + some(names, 3)
}

// countsRow is how a registry fares.
func countsRow(r api.Registry) row {
	f := map[string]string{
		"nodes": countText(r.Nodes), "clusters": countText(r.Clusters), "bytes": bytesText(r.Bytes),
		"sessions": countText(r.Sessions), "waiting": countText(r.Waiting),
		"health": "serving", "class": "health ok",
	}
	for _, s := range api.States() {
		f[string(s)] = countText(r.ByState[s])
	}
	switch {
	case r.Draining:
		f["health"], f["class"] = "draining: no new connections are taken", "health warn"
	case !r.Ready:
		f["health"], f["class"] = "not serving clients now", "health bad"
	}
	return row{Key: "counts", Fields: f}
}

// formationRow is one class of sizes in the histogram.
func formationRow(x api.Formation) row {
	f := map[string]string{
		"sizes": x.Sizes, "count": countText(x.Count), "half": within(x, 0.5), "most": within(x, 0.95), "mean": "",
	}
	if x.Count > 0 {
		f["mean"] = spanText(int64(1000 * x.Seconds / float64(x.Count)))
	}
	for i, b := range outlines(x) {
		n := strconv.Itoa(i)
		f["y"+n], f["h"+n], f["t"+n] = b.Y, b.Height, b.Title
	}
	return row{Key: "formation " + x.Sizes, Fields: f}
}

// limitRow is one bound.
func limitRow(l api.Limit) row {
	f := map[string]string{
		"name": l.Name, "value": countText(l.Value) + " " + l.Unit, "used": "", "by": l.By,
		"refused": countText(l.Refused), "class": "limit", "share": "0", "percent": "",
	}
	if l.Used != nil {
		f["used"] = countText(*l.Used)
	}
	if l.Used != nil && l.Value > 0 {
		share := min(1, max(0, float64(*l.Used)/float64(l.Value)))
		f["share"], f["percent"] = degrees(100*share), strconv.Itoa(int(100*share))+" %"
		if share >= 0.9 {
			f["class"] = "limit near"
		}
	}
	if l.Refused > 0 {
		f["class"] += " met"
	}
	return row{Key: "limit " + l.Name, Fields: f}
}

func limitRows(all []api.Limit) []row {
	rows := make([]row, len(all))
	for i, l := range all {
		rows[i] = limitRow(l)
	}
	return rows
}

// changed remembers what has been shown, and lets through what differs from it.
type changed map[string]map[string]string

func (c changed) of(rows []row) []row {
	var news []row
	for _, r := range rows {
		if maps.Equal(c[r.Key], r.Fields) {
			continue
		}
		c[r.Key] = r.Fields
		news = append(news, r)
	}
	return news
}

func keysOf(rows []row) []string {
	keys := make([]string, len(rows))
	for i, r := range rows {
		keys[i] = r.Key
	}
	return keys
}

// labelText is all labels of a member in one line.
func labelText(labels map[string]string, keys []string) string {
	pairs := make([]string, len(keys))
	for i, k := range keys {
		pairs[i] = k + "=" + labels[k]
	}
	return strings.Join(pairs, " ")
}
