package host

import (
	"fmt"
	"time"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/keys"
)

// CrossLife is how long the old sig key of a registry vouches for the next one, unless the
// operator says something else.
const CrossLife = 180 * 24 * time.Hour

// NextKeys gives the registry in dir, which must be stopped, its next keys. The sig key
// that it has now vouches for them for life; until then clients that know only that key
// find the registry.
func NextKeys(dir string, next *keys.Set, now time.Time, life time.Duration) error {
	return identity.NextKeys(dir, next, func(old keys.Private, next keys.Public) (cross, root []byte, err error) {
		s, err := session.NewSuccession(old, next, now, life)
		if err != nil {
			return nil, nil, err
		}
		return s.Cross(), s.Root(), nil
	})
}

// successionOf returns what a registry has of its keys before; nil if they have never
// changed.
func successionOf(node *identity.Node) (former keys.Private, s *session.Succession, err error) {
	kept, err := node.Succession()
	if err != nil || kept == nil {
		return nil, nil, err
	}
	if s, err = session.ParseSuccession(kept.Cross, kept.Root); err != nil {
		return nil, nil, fmt.Errorf("keys before: %w", err)
	}
	return kept.Comms, s, nil
}
