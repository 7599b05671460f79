package adminclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var v T
	err := c.do(ctx, &call{method: http.MethodGet, path: path, query: query}, &v)
	return v, err
}

// Registry returns what the registry is and how it fares.
func (c *Client) Registry(ctx context.Context) (api.Registry, error) {
	return get[api.Registry](ctx, c, "/registry", nil)
}

// Clusters returns a page of clusters.
func (c *Client) Clusters(ctx context.Context, q api.ClusterQuery) (api.Page[api.Cluster], error) {
	query := page(q.Cursor, q.Limit)
	add := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	add("match", q.Match)
	add("state", string(q.State))
	add("order", string(q.Order))
	add("older", span(q.Older))
	add("newer", span(q.Newer))
	return get[api.Page[api.Cluster]](ctx, c, "/clusters", query)
}

func span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// Cluster returns the cluster with an ID.
func (c *Client) Cluster(ctx context.Context, id string) (api.ClusterDetail, error) {
	return get[api.ClusterDetail](ctx, c, clusterPath(id), nil)
}

func clusterPath(id string) string { return "/clusters/" + url.PathEscape(id) }

// Nodes returns a page of nodes.
func (c *Client) Nodes(ctx context.Context, cursor string, limit int) (api.Page[api.Node], error) {
	return get[api.Page[api.Node]](ctx, c, "/nodes", page(cursor, limit))
}

// Node returns the node with an ID.
func (c *Client) Node(ctx context.Context, id string) (api.Node, error) {
	return get[api.Node](ctx, c, nodePath(id), nil)
}

func nodePath(id string) string { return "/nodes/" + url.PathEscape(id) }

// Sessions returns a page of the open connections.
func (c *Client) Sessions(ctx context.Context, cursor string, limit int) (api.Page[api.Session], error) {
	return get[api.Page[api.Session]](ctx, c, "/sessions", page(cursor, limit))
}

func page(cursor string, limit int) url.Values {
	query := make(url.Values)
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return query
}

// Limits returns the limits, those that were met first.
func (c *Client) Limits(ctx context.Context) ([]api.Limit, error) {
	p, err := get[api.Page[api.Limit]](ctx, c, "/limits", nil)
	return p.Items, err
}

// Tokens returns the admins' tokens, without what is secret in them.
func (c *Client) Tokens(ctx context.Context) ([]api.Token, error) {
	p, err := get[api.Page[api.Token]](ctx, c, "/tokens", nil)
	return p.Items, err
}
