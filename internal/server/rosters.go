package server

import (
	"sync"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/wire"
)

// maxEncodedMembers bounds the encoded rosters kept for the next reader: so many members,
// and as many as one for each roster.
const maxEncodedMembers = 1 << 14

// rosterCache keeps rosters as they travel, so that one is encoded once for
// each change and not once for each reader.
type rosterCache struct {
	mu      sync.Mutex
	kept    map[rosterKey]keptRoster // guarded by mu
	members int                      // guarded by mu; of all of them, and one for each
}

type rosterKey struct {
	id      xlreg.ClusterID
	classic bool
}

type keptRoster struct {
	roster  *registry.Roster
	encoded *wire.EncodedRoster
}

// encoded returns roster as readers over p get it.
func (rc *rosterCache) encoded(roster *registry.Roster, p xlreg.Protocol) (*wire.EncodedRoster, error) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	key := rosterKey{roster.Cluster.ID, p.Classic()}
	if kept, ok := rc.kept[key]; ok && kept.roster == roster {
		return kept.encoded, nil
	}
	encoded, err := rc.encode(key, roster, p)
	if err != nil {
		return nil, err
	}
	if rc.kept == nil {
		rc.kept = make(map[rosterKey]keptRoster)
	}
	rc.remove(key)
	for old := range rc.kept {
		if rc.members+weight(roster) <= maxEncodedMembers {
			break
		}
		rc.remove(old)
	}
	rc.kept[key] = keptRoster{roster, encoded}
	rc.members += weight(roster)
	return encoded, nil
}

// weight is what a roster counts as.
func weight(r *registry.Roster) int { return 1 + len(r.Members) }

// remove is called with mu held.
func (rc *rosterCache) remove(key rosterKey) {
	if kept, ok := rc.kept[key]; ok {
		rc.members -= weight(kept.roster)
		delete(rc.kept, key)
	}
}

// encode uses what is known of the cluster's roster before.
func (rc *rosterCache) encode(key rosterKey, roster *registry.Roster, p xlreg.Protocol) (*wire.EncodedRoster, error) {
	if kept, ok := rc.kept[key]; ok {
		return kept.encoded.Next(&roster.Roster)
	}
	return wire.EncodeRoster(&roster.Roster, p)
}
