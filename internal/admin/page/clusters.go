package page

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// clustersData is what the list of clusters shows.
type clustersData struct {
	Match  string
	State  api.State
	Order  api.Order
	States []api.State
	Rows   []row
	Total  int
	First  string // where the first page is; empty on it
	Next   string // where the next page is; empty on the last
}

// clusterQuery reads what a browser asks for. The registry judges the cursor.
func clusterQuery(r *http.Request) (api.ClusterQuery, error) {
	v := r.URL.Query()
	q := api.ClusterQuery{
		Match: strings.TrimSpace(v.Get("match")), State: api.State(v.Get("state")),
		Order: api.Order(v.Get("order")), Cursor: v.Get("cursor"), Limit: api.DefaultPage,
	}
	switch q.State {
	case "", api.StateForming, api.StateFull, api.StateReduced, api.StateEmpty:
	default:
		return q, api.ErrInvalid
	}
	switch q.Order {
	case "", api.OrderNewest, api.OrderName:
	default:
		return q, api.ErrInvalid
	}
	return q, nil
}

// address is where the page for a query is.
func address(path string, q api.ClusterQuery, cursor string) string {
	v := make(url.Values)
	for name, value := range map[string]string{
		"match": q.Match, "state": string(q.State), "order": string(q.Order), "cursor": cursor,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

func (p *page) clusters(r *http.Request) (content, error) {
	q, err := clusterQuery(r)
	if err != nil {
		return content{}, err
	}
	found, err := p.cfg.Source.Clusters(r.Context(), q)
	if err != nil {
		return content{}, err
	}
	data := clustersData{Match: q.Match, State: q.State, Order: q.Order, States: api.States(), Total: found.Total}
	for _, c := range found.Items {
		data.Rows = append(data.Rows, clusterRow(c))
	}
	if q.Cursor != "" {
		data.First = address("/clusters", q, "")
	}
	if found.Next != "" {
		data.Next = address("/clusters", q, found.Next)
	}
	return content{template: "clusters.html", title: "Clusters", section: "clusters",
		events: address("/events/clusters", q, q.Cursor), data: data}, nil
}

// clustersView is one page of the list. Its rows change in place; a cluster that is new
// is counted and not put in, so that nobody's click meets another row.
type clustersView struct {
	src     Source
	query   api.ClusterQuery
	shown   changed
	unknown map[string]struct{} // clusters that have changed and are not shown
}

// mostUnknown is how many clusters are counted beyond those of the page.
const mostUnknown = 1000

func (p *page) clustersView(r *http.Request) (view, error) {
	q, err := clusterQuery(r)
	return &clustersView{src: p.cfg.Source, query: q}, err
}

func (v *clustersView) state(ctx context.Context, since string) ([]byte, string, error) {
	found, err := v.src.Clusters(ctx, v.query)
	if err != nil {
		return nil, "", err
	}
	rows := make([]row, len(found.Items))
	for i, c := range found.Items {
		rows[i] = clusterRow(c)
	}
	v.shown, v.unknown = make(changed), make(map[string]struct{})
	v.shown.of(rows)
	if since != "" && since == found.Revision {
		return nil, found.Revision, nil
	}
	return encode(message{Rows: rows, Order: keysOf(rows), Empty: len(rows) == 0}), found.Revision, nil
}

func (v *clustersView) patch(_ context.Context, b *batch) ([]byte, error) {
	var rows []row
	counted := len(v.unknown)
	for _, c := range b.changes {
		switch {
		case c.Cluster == nil && v.shown[c.Gone] != nil:
			rows = append(rows, goneRow(row{Key: c.Gone, Fields: v.shown[c.Gone]}))
		case c.Cluster == nil:
			delete(v.unknown, c.Gone)
		case v.shown[c.Cluster.ID] != nil:
			rows = append(rows, clusterRow(*c.Cluster))
		case v.matches(*c.Cluster) && len(v.unknown) < mostUnknown:
			v.unknown[c.Cluster.ID] = struct{}{}
		}
	}
	rows = v.shown.of(rows)
	if len(rows) == 0 && len(v.unknown) == counted {
		return nil, nil
	}
	return encode(message{Rows: rows, News: newsText(len(v.unknown))}), nil
}

// matches reports whether a cluster would be on some page of this list.
func (v *clustersView) matches(c api.Cluster) bool {
	return (v.query.State == "" || v.query.State == c.State) &&
		(v.query.Match == "" || strings.Contains(c.Name, v.query.Match) || strings.HasPrefix(c.ID, v.query.Match))
}

func newsText(n int) string {
	switch {
	case n == 0:
		return ""
	case n == 1:
		return "1 more cluster has changed"
	case n >= mostUnknown:
		return "more than " + countText(n-1) + " other clusters have changed"
	}
	return countText(n) + " more clusters have changed"
}
