package overview

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

// entry is a cluster in as few bytes as are needed to show it. What is in an index is
// guarded by the Overview's mu.
type entry struct {
	text     string // the ID, the name, the owner's key and the set of taken seats, joined
	created  int64  // in milliseconds; 0 is unknown
	changed  int64  // in milliseconds; 0 is not since this program started
	formed   int64  // in milliseconds after created; negative is unknown
	revision uint64
	epoch    uint64
	orders   uint64
	seq      uint64 // of its last change; 0 is none
	load     uint32 // which reading of all clusters has found it

	size, members          uint16
	idLen, nameLen, keyLen uint8
	state                  uint8 //
}

// The states, as entries keep them.
const (
	forming = iota
	full
	reduced
	empty
	states
)

var stateNames = [states]api.State{forming: api.StateForming, full: api.StateFull, reduced: api.StateReduced, empty: api.StateEmpty}

func newEntry(c *records.Cluster) (*entry, error) {
	if len(c.ID) > math.MaxUint8 || len(c.Name) > math.MaxUint8 || len(c.Key) > math.MaxUint8 || c.MaxSize > math.MaxUint16 {
		return nil, fmt.Errorf("%w: an ID, a name or a size that cannot be", records.ErrDamaged)
	}
	e := &entry{
		text:    string(c.ID) + string(c.Name) + string(c.Key) + string(c.Taken.Bytes()),
		created: createdOf(c), formed: formedOf(c),
		revision: c.State.Revision, epoch: c.State.Epoch, orders: c.State.Orders,
		size: uint16(c.MaxSize), members: uint16(c.Taken.Len()),
		idLen: uint8(len(c.ID)), nameLen: uint8(len(c.Name)), keyLen: uint8(len(c.Key)),
		state: stateOf(c),
	}
	return e, nil
}

// createdOf returns when a cluster was made, in milliseconds; 0 is unknown, and before all
// others.
func createdOf(c *records.Cluster) int64 {
	if c.Created.IsZero() {
		return 0
	}
	return c.Created.UnixMilli()
}

// formedOf returns how many milliseconds a cluster took until it was full for the first
// time; negative if it was not yet, or if nobody knows.
func formedOf(c *records.Cluster) int64 {
	if c.Formed.IsZero() || c.Created.IsZero() {
		return -1
	}
	return max(0, c.Formed.Sub(c.Created).Milliseconds())
}

func stateOf(c *records.Cluster) uint8 {
	switch members := c.Taken.Len(); {
	case members == 0:
		return empty
	case members >= c.MaxSize:
		return full
	case c.Complete():
		return reduced
	}
	return forming
}

func (e *entry) id() string   { return e.text[:e.idLen] }
func (e *entry) name() string { return e.text[e.idLen:][:e.nameLen] }
func (e *entry) key() string  { return e.text[int(e.idLen)+int(e.nameLen):][:e.keyLen] }

func (e *entry) taken() []int {
	set, _ := xlreg.SeatsFromBytes([]byte(e.text[int(e.idLen)+int(e.nameLen)+int(e.keyLen):])) // it is from there
	indexes := make([]int, 0, e.members)
	for i := range set.All() {
		indexes = append(indexes, i)
	}
	return indexes
}

// same reports whether both look the same to whoever is shown them.
func (e *entry) same(other *entry) bool {
	return e.text == other.text && e.revision == other.revision && e.epoch == other.epoch && e.orders == other.orders &&
		e.size == other.size && e.state == other.state && e.created == other.created
}

// brief returns what people are shown.
func (e *entry) brief() api.Cluster {
	c := api.Cluster{
		ID: hex.EncodeToString([]byte(e.id())), Name: strings.Clone(e.name()), State: stateNames[e.state],
		Size: int(e.size), Members: int(e.members), Taken: e.taken(),
		Epoch: e.epoch, Revision: e.revision, Orders: e.orders,
		Created: moment(e.created), Changed: moment(e.changed),
	}
	if key := e.key(); key != "" {
		c.Owner = keys.FormatFingerprint(sha256.Sum256([]byte(key)))
	}
	if formed := e.formed; formed >= 0 {
		c.Formed = &formed
	}
	return c
}

// Brief returns a cluster as people are shown it, but for what only an Overview knows.
func Brief(c *records.Cluster) (api.Cluster, error) {
	e, err := newEntry(c)
	if err != nil {
		return api.Cluster{}, err
	}
	return e.brief(), nil
}

// moment returns a time in milliseconds as people are shown it; nil if it is unknown.
func moment(millis int64) *time.Time {
	if millis == 0 {
		return nil
	}
	t := time.UnixMilli(millis).UTC()
	return &t
}
