package adminclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// Tag names the state of a cluster. A change that is given one is made only if the cluster
// is still in it; an empty one is no condition.
func Tag(c *api.Cluster) string { return fmt.Sprintf(`"%d.%d"`, c.Epoch, c.Revision) }

// Evict takes the seat of a member, or of those with a key, which can only be banned.
func (c *Client) Evict(ctx context.Context, id string, e api.Eviction, tag string) (api.Done, error) {
	r := &call{method: http.MethodPost, path: clusterPath(id) + "/bans", match: tag}
	if e.Member == "" {
		r.body = map[string]string{"key": e.Key}
		return done(ctx, c, r)
	}
	r.method, r.path = http.MethodDelete, clusterPath(id)+"/members/"+url.PathEscape(e.Member)
	if e.Ban {
		r.query = url.Values{"ban": {"true"}}
	}
	return done(ctx, c, r)
}

// Reopen frees all seats of a cluster.
func (c *Client) Reopen(ctx context.Context, id, tag string) (api.Done, error) {
	return done(ctx, c, &call{method: http.MethodPost, path: clusterPath(id) + "/reopen", match: tag})
}

// Delete deletes a cluster.
func (c *Client) Delete(ctx context.Context, id, tag string) (api.Done, error) {
	return done(ctx, c, &call{method: http.MethodDelete, path: clusterPath(id), match: tag})
}

func done(ctx context.Context, c *Client, r *call) (v api.Done, err error) {
	err = c.do(ctx, r, &v)
	return v, err
}

// Forget takes away a node that has no seat.
func (c *Client) Forget(ctx context.Context, node string) error {
	return c.do(ctx, &call{method: http.MethodDelete, path: nodePath(node)}, nil)
}

// Drain lets the server take no more connections, or take them again.
func (c *Client) Drain(ctx context.Context, on bool) error {
	return c.do(ctx, &call{method: http.MethodPut, path: "/drain", body: map[string]bool{"on": on}}, nil)
}

// SetLogLevel changes what the server logs.
func (c *Client) SetLogLevel(ctx context.Context, level string) error {
	return c.do(ctx, &call{method: http.MethodPut, path: "/log-level", body: map[string]string{"level": level}}, nil)
}

// NewToken is a token that was made just now.
type NewToken struct {
	api.Token
	Secret string `json:"secret"` // shown this once
}

// CreateToken makes a token for an admin.
func (c *Client) CreateToken(ctx context.Context, name string, readOnly bool) (v NewToken, err error) {
	body := struct {
		Name     string `json:"name"`
		ReadOnly bool   `json:"read_only"`
	}{name, readOnly}
	err = c.do(ctx, &call{method: http.MethodPost, path: "/tokens", body: body}, &v)
	return v, err
}

// RevokeToken makes a token worthless.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	return c.do(ctx, &call{method: http.MethodDelete, path: "/tokens/" + url.PathEscape(name)}, nil)
}
