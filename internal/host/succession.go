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

// VouchedUntil returns until when the sig key before the present one vouches for that; zero
// if a registry's keys have never changed.
func VouchedUntil(node *identity.Node) (time.Time, error) {
	_, s, err := successionOf(node)
	if err != nil || s == nil {
		return time.Time{}, err
	}
	return s.Until(), nil
}

// EndFormer has the keys before the present ones count for nothing from a time on, if that
// is sooner than the end of the old key's own word. Zero leaves it at that.
func (h *Host) EndFormer(end time.Time) { h.server.EndFormer(end) }

// FormerUntil returns until when clients are served that know only the keys before the
// present ones; zero if the keys have never changed.
func (h *Host) FormerUntil() time.Time { return h.server.FormerUntil() }

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
