package api

import "time"

// Order is how a list of clusters is sorted.
type Order string

// The orders.
const (
	OrderNewest Order = "newest" // the cluster that was created last comes first
	OrderName   Order = "name"
)

// MaxPage is how many rows a page has at most, and DefaultPage how many it has unless
// something else is asked for.
const (
	DefaultPage = 50
	MaxPage     = 500
)

// ClusterQuery says which clusters are wanted. The zero value is all of them, the newest
// first.
type ClusterQuery struct {
	Match  string        // part of the name, or the beginning of the ID; empty: any
	State  State         // empty: any
	Older  time.Duration // created at least this long ago; 0: any
	Newer  time.Duration // created at most this long ago; 0: any
	Order  Order         // empty: OrderNewest
	Cursor string        // Next of the page before; empty: the first page
	Limit  int           // 0: DefaultPage; at most MaxPage
}

// Page is a part of a list.
type Page[T any] struct {
	Items    []T    `json:"items"`
	Next     string `json:"next,omitempty" doc:"the cursor of the next page; absent on the last"`
	Total    int    `json:"total,omitempty" doc:"how many there are on all pages, where that is known"`
	Revision string `json:"revision,omitempty" doc:"of the registry, when the page was made"`
}

// Eviction says which member loses its seat: the one with the name, or those with the key.
type Eviction struct {
	Member string `json:"member,omitempty" doc:"its name in the cluster"`
	Key    string `json:"key,omitempty" doc:"the fingerprint of its sig key"`
	Ban    bool   `json:"ban,omitempty" doc:"its key may not become a member again"`
	// Revision is the one of the cluster that the admin has seen; nil: whatever it is now.
	Revision *uint64 `json:"-"`
}
