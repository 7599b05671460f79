package overview

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// maxLooks is how many clusters one call of List looks at. A search that finds few among
// many then returns a short page, perhaps an empty one, with a cursor to go on from.
// chunk is how many of them it looks at without giving way to changes.
const (
	maxLooks = 1 << 16
	chunk    = 1 << 10
)

// List returns a page of clusters.
func (o *Overview) List(ctx context.Context, q api.ClusterQuery) (page api.Page[api.Cluster], err error) {
	w, err := o.newWalk(&q)
	if err != nil {
		return page, err
	}
	if err := o.ready(ctx); err != nil {
		return page, err
	}
	for w.goesOn() {
		if err := ctx.Err(); err != nil {
			return page, err
		}
		o.walk(w)
	}
	page = api.Page[api.Cluster]{Items: w.items, Total: w.total, Revision: w.revision}
	if w.more {
		page.Next = w.cursor()
	}
	return page, nil
}

// walk is one way through the clusters in an order.
type walk struct {
	order  api.Order
	state  int // or states, for any
	match  match
	oldest int64 // in milliseconds
	newest int64 // likewise
	limit  int

	after  *entry // where to go on: behind this one, which need not exist; nil is at the beginning
	looked int
	items  []api.Cluster
	more   bool // there may be another one for the next page
	ended  bool

	total    int
	revision string
}

func (o *Overview) newWalk(q *api.ClusterQuery) (*walk, error) {
	w := &walk{
		order: cmp.Or(q.Order, api.OrderNewest), state: states, match: newMatch(q.Match),
		oldest: math.MinInt64, newest: math.MaxInt64, limit: cmp.Or(q.Limit, api.DefaultPage),
		items: []api.Cluster{},
	}
	for i, s := range stateNames {
		if s == q.State {
			w.state = i
		}
	}
	switch {
	case w.order != api.OrderNewest && w.order != api.OrderName:
		return nil, fmt.Errorf("%w: there is no order %q", api.ErrInvalid, q.Order)
	case q.State != "" && w.state == states:
		return nil, fmt.Errorf("%w: there is no state %q", api.ErrInvalid, q.State)
	case w.limit < 0 || w.limit > api.MaxPage:
		return nil, fmt.Errorf("%w: a page has 1 to %d rows", api.ErrInvalid, api.MaxPage)
	case q.Older < 0 || q.Newer < 0:
		return nil, fmt.Errorf("%w: an age cannot be negative", api.ErrInvalid)
	}
	now := o.cfg.Now()
	if q.Older > 0 {
		w.newest = now.Add(-q.Older).UnixMilli()
	}
	if q.Newer > 0 {
		w.oldest = now.Add(-q.Newer).UnixMilli()
	}
	return w, w.begin(q.Cursor)
}

// begin finds out where to start.
func (w *walk) begin(cursor string) (err error) {
	switch {
	case cursor != "":
		w.after, err = parseCursor(w.order, cursor)
	case w.order == api.OrderNewest && w.newest < math.MaxInt64:
		w.after = &entry{created: w.newest} // with an ID before all others
	}
	return err
}

func (w *walk) goesOn() bool { return !w.ended && !w.more }

// walk looks at some clusters more.
func (o *Overview) walk(w *walk) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	in := &o.clusters.all
	if w.state < states {
		in = &o.clusters.in[w.state]
	}
	if w.match.any() && w.oldest == math.MinInt64 && w.newest == math.MaxInt64 {
		w.total = in.len()
	}
	w.revision = o.news.revision(o.news.seq)
	w.ended = true // unless there are more than are looked at now
	end := w.looked + chunk
	look := func(e *entry) bool {
		if w.looked == end {
			w.ended = false
			return false
		}
		return w.look(e)
	}
	if w.after == nil {
		in.of(w.order).Scan(look)
	} else {
		in.of(w.order).Ascend(w.after, look)
	}
	if w.after != nil {
		last := *w.after // the entry itself may change as soon as the lock is free
		w.after = &last
	}
}

// look looks at one cluster, and reports whether to go on to the next.
func (w *walk) look(e *entry) bool {
	if w.after != nil && w.after.id() == e.id() {
		return true
	}
	if w.order == api.OrderNewest && e.created < w.oldest {
		return false
	}
	fits := w.fits(e)
	if w.looked == maxLooks || fits && len(w.items) == w.limit {
		w.more = true
		return false
	}
	if fits {
		w.items = append(w.items, e.brief())
	}
	w.looked++
	w.after = e
	return true
}

func (w *walk) fits(e *entry) bool {
	return e.created >= w.oldest && e.created <= w.newest && w.match.fits(e)
}

// cursor says where the walk has come to: what the order goes by, and the ID.
func (w *walk) cursor() string {
	by := strconv.FormatInt(w.after.created, 10)
	if w.order == api.OrderName {
		by = w.after.name()
	}
	return base64.RawURLEncoding.EncodeToString([]byte(by + " " + w.after.id()))
}

func parseCursor(order api.Order, cursor string) (*entry, error) {
	invalid := fmt.Errorf("%w: no list has the cursor %q", api.ErrInvalid, cursor)
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	by, id, ok := strings.Cut(string(text), " ")
	if err != nil || !ok || len(id) > math.MaxUint8 || len(by) > math.MaxUint8 {
		return nil, invalid
	}
	if order == api.OrderName {
		return &entry{text: id + by, idLen: uint8(len(id)), nameLen: uint8(len(by))}, nil
	}
	created, err := strconv.ParseInt(by, 10, 64)
	if err != nil {
		return nil, invalid
	}
	return &entry{text: id, idLen: uint8(len(id)), created: created}, nil
}

// match is what somebody looks for: a part of a name, or the beginning of an ID.
type match struct {
	text   string
	id     string // the whole bytes of it, if it can be an ID
	digit  byte   // the first half of one more byte
	isID   bool
	isHalf bool
}

func newMatch(text string) match {
	m := match{text: text}
	whole, half := text[:len(text)&^1], text[len(text)&^1:]
	id, err := hex.DecodeString(whole)
	if err != nil {
		return m
	}
	m.id, m.isID = string(id), true
	if half != "" {
		digit, err := hex.DecodeString(half + "0")
		if err != nil {
			return match{text: text}
		}
		m.digit, m.isHalf = digit[0], true
	}
	return m
}

func (m *match) any() bool { return m.text == "" }

func (m *match) fits(e *entry) bool {
	if strings.Contains(e.name(), m.text) {
		return true
	}
	rest, ok := strings.CutPrefix(e.id(), m.id)
	return m.isID && ok && (!m.isHalf || rest != "" && rest[0]&0xf0 == m.digit)
}
