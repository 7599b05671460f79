package postgres

import "context"

// Purge forgets what was removed up to a revision, as Follow does after a while.
func (d *DB) Purge(ctx context.Context, revision int64) error { return d.purge(ctx, revision) }

// PurgeMost is how much is forgotten at a time.
const PurgeMost = purgeMost
