package page

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// listData is one page of a list that does not change by itself.
type listData[T any] struct {
	Items []T
	Total int
	First string
	Next  string
}

func newList[T any](path, cursor string, found api.Page[T]) listData[T] {
	data := listData[T]{Items: found.Items, Total: found.Total}
	if cursor != "" {
		data.First = path
	}
	if found.Next != "" {
		data.Next = path + "?" + url.Values{"cursor": {found.Next}}.Encode()
	}
	return data
}

func (p *page) nodes(r *http.Request) (content, error) {
	cursor := r.URL.Query().Get("cursor")
	found, err := p.cfg.Source.Nodes(r.Context(), cursor, api.DefaultPage)
	return content{template: "nodes.html", title: "Nodes", section: "nodes",
		data: newList("/nodes", cursor, found)}, err
}

func (p *page) sessions(r *http.Request) (content, error) {
	cursor := r.URL.Query().Get("cursor")
	found, err := p.cfg.Source.Sessions(cursor, api.DefaultPage)
	return content{template: "sessions.html", title: "Sessions", section: "sessions",
		data: newList("/sessions", cursor, found)}, err
}

func (p *page) limits(*http.Request) (content, error) {
	return content{template: "limits.html", title: "Limits", section: "limits",
		events: "/events/limits", data: limitRows(p.cfg.Source.Limits())}, nil
}

// limitsView is all limits. Those that were met come first when the page is made, and
// keep their places while it is open.
type limitsView struct {
	src   Source
	shown changed
}

func (p *page) limitsView(*http.Request) (view, error) {
	return &limitsView{src: p.cfg.Source, shown: make(changed)}, nil
}

func (v *limitsView) rows() []row {
	all := slices.Clone(v.src.Limits())
	slices.SortFunc(all, func(a, b api.Limit) int { return cmp.Compare(a.Name, b.Name) })
	return v.shown.of(limitRows(all))
}

func (v *limitsView) state(context.Context, string) ([]byte, string, error) {
	v.shown = make(changed)
	return encode(message{Rows: v.rows()}), "", nil
}

// patch looks at the limits with the time: they have no revision.
func (v *limitsView) patch(_ context.Context, b *batch) ([]byte, error) {
	if !b.tick {
		return nil, nil
	}
	rows := v.rows()
	if len(rows) == 0 {
		return nil, nil
	}
	return encode(message{Rows: rows}), nil
}
