package host

import (
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// memberOf returns a member of a cluster as people are shown it.
func memberOf(d *registry.Detail, i int) api.Member {
	seat, lease := &d.Members[i], &d.Leases[i]
	m := api.Member{
		Index: seat.Index, Name: string(seat.Token.Name), Node: seat.Token.ID.String(),
		Endpoints: texts(seat.Token.Endpoints), Labels: labelsOf(seat.Token.Labels),
		Epoch: seat.Epoch, Fresh: seat.Fresh && seat.Epoch > d.Head.Completed,
		Joined: momentOf(seat.Token.Seat.Joined), LeaseMS: lease.Length.Milliseconds(),
		Seen: momentOf(lease.Seen), Due: momentOf(lease.Due),
	}
	m.Key, m.KeyKind = keyText(seat.Token.SigKey)
	return m
}

// nodeOf returns a node as people are shown it.
func nodeOf(n *records.Node) api.Node {
	shown := api.Node{
		ID: n.Token.ID.String(), Name: string(n.Token.Name),
		Endpoints: texts(n.Token.Endpoints), Seen: momentOf(n.Seen),
	}
	shown.Key, shown.KeyKind = keyText(n.Token.SigKey)
	return shown
}

// labelsOf returns labels as people are shown them. Ill-formed ones were refused when they
// came.
func labelsOf(encoded []byte) map[string]string {
	labels, err := wire.DecodeLabels(encoded)
	if err != nil || len(labels) == 0 {
		return nil
	}
	all := make(map[string]string, len(labels))
	for _, l := range labels {
		all[string(l.Key)] = string(l.Value)
	}
	return all
}

// momentOf returns a time as people are shown it; nil if it is unknown.
func momentOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// unknownKind is shown of a key that cannot be read. The others of a list are shown all the
// same.
const unknownKind = "unknown"

// keyText returns how people see a sig key: its fingerprint, and its kind.
func keyText(key xlreg.SigKey) (fingerprint, kind string) {
	parsed, err := keys.Parse(key)
	if err != nil {
		return "", unknownKind
	}
	if kind = string(parsed.Kind()); parsed.Kind() == keys.RSA {
		kind += "-" + strconv.Itoa(parsed.Bits())
	}
	return keys.FormatFingerprint(sha256.Sum256(parsed.SSH())), kind
}
