package adminclient

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// Follow calls f with changes of clusters, until ctx ends or f fails. It begins with a
// restart: then what the caller has shown is to be read anew, as after any later one. A
// connection that is cut off is made again, and lost, which may be nil, is told why.
func (c *Client) Follow(ctx context.Context, lost func(error), f func(restart bool, changes []api.Change) error) error {
	if lost == nil {
		lost = func(error) {}
	}
	s := &stream{client: c, path: "/events", lost: lost}
	return s.run(ctx, func(e *event) error {
		switch e.name {
		case "restart":
			return f(true, nil)
		case "change":
			var change api.Change
			if err := json.Unmarshal(e.data, &change); err != nil {
				return fmt.Errorf("%w: %w", ErrForeign, err)
			}
			return f(false, []api.Change{change})
		}
		return nil // what a later server says besides
	})
}
