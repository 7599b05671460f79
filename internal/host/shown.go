package host

import (
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
func memberOf(d *registry.Detail, i int) (m api.Member, err error) {
	seat, lease := &d.Members[i], &d.Leases[i]
	m = api.Member{
		Index: seat.Index, Name: string(seat.Token.Name), Node: seat.Token.ID.String(),
		Endpoints: texts(seat.Token.Endpoints), Labels: labelsOf(seat.Token.Labels),
		Epoch: seat.Epoch, Fresh: seat.Fresh && seat.Epoch > d.Head.Completed,
		Joined: momentOf(seat.Token.Seat.Joined), LeaseMS: lease.Length.Milliseconds(),
		Seen: momentOf(lease.Seen), Due: momentOf(lease.Due),
	}
	m.Key, m.KeyKind, err = keyText(seat.Token.SigKey)
	return m, err
}

// nodeOf returns a node as people are shown it.
func nodeOf(n *records.Node) (shown api.Node, err error) {
	shown = api.Node{
		ID: n.Token.ID.String(), Name: string(n.Token.Name),
		Endpoints: texts(n.Token.Endpoints), Seen: momentOf(n.Seen),
	}
	shown.Key, shown.KeyKind, err = keyText(n.Token.SigKey)
	return shown, err
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

// keyText returns how people see a sig key: its fingerprint, and its kind.
func keyText(key xlreg.SigKey) (fingerprint, kind string, err error) {
	parsed, err := keys.Parse(key)
	if err != nil {
		return "", "", err
	}
	fingerprint, err = keys.Fingerprint(key)
	if kind = string(parsed.Kind()); parsed.Kind() == keys.RSA {
		kind += "-" + strconv.Itoa(parsed.Bits())
	}
	return fingerprint, kind, err
}
