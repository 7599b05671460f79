package admin

import (
	"context"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// Steward is a registry as those who run it see and steer it; host.Host makes one. All
// methods may be called from any goroutine. Errors wrap one of package api, unless the
// context ended; any other is for the log alone.
type Steward interface {
	Watcher

	// Registry returns what the registry is and how it fares.
	Registry() api.Registry
	// Clusters returns a page of clusters. It looks at no more of them than the page has,
	// but for what a filter leaves out.
	Clusters(ctx context.Context, q api.ClusterQuery) (api.Page[api.Cluster], error)
	// Cluster returns the cluster with an ID.
	Cluster(ctx context.Context, id string) (api.ClusterDetail, error)
	// Nodes returns a page of nodes, by ID.
	Nodes(ctx context.Context, cursor string, limit int) (api.Page[api.Node], error)
	// Node returns the node with an ID.
	Node(ctx context.Context, id string) (api.Node, error)
	// Sessions returns a page of the open connections, in the order in which they began.
	Sessions(cursor string, limit int) (api.Page[api.Session], error)
	// Limits returns the limits, those that were met first.
	Limits() []api.Limit

	// By says in whose name an admin changes something, for the record.
	By(admin, from string) Changer
}

// Watcher waits for changes.
type Watcher interface {
	// Wait returns when the registry has another revision than since, or the cluster with
	// an ID has, when wait is over, or when ctx ends. An unknown since is another one.
	Wait(ctx context.Context, since string, wait time.Duration) error
	WaitCluster(ctx context.Context, id string, since uint64, wait time.Duration) error
	// Follow calls f with changes after a revision, until ctx ends or f fails. If since is
	// not known any more, is empty, or too much has happened, restart comes first: then
	// what the caller has shown is to be read anew. The newest state of each cluster is
	// what is told, so a slow reader misses nothing but what was between. f is never
	// called twice at a time, and may not alter the changes, which others are told too.
	// Their lists are never nil.
	Follow(ctx context.Context, since string, f func(restart bool, changes []api.Change) error) error
}

// Changer is what an admin may change. Each change is kept, or has not been made, when
// the call returns; only open clusters can be changed, for the others have owners.
type Changer interface {
	Evict(ctx context.Context, id string, e api.Eviction) (api.Done, error)
	Reopen(ctx context.Context, id string, revision *uint64) (api.Done, error)
	Delete(ctx context.Context, id string, revision *uint64) (api.Done, error)
	// Forget takes away a node that has no seat.
	Forget(ctx context.Context, node string) error
	// Drain lets the server take no more connections, or take them again. Sessions that
	// are open go on; those that wait are told to try elsewhere.
	Drain(ctx context.Context, on bool) error
	SetLogLevel(ctx context.Context, level string) error
}
