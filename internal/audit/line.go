package audit

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
)

// line is one line of the log. docs/reference/audit-log.md describes it; fields may be
// added, and those that there are keep their meaning.
type line struct {
	Time  string `json:"time"`
	Event string `json:"event"`
	By    *by    `json:"by,omitempty"` // absent: the registry itself

	Cluster   string `json:"cluster,omitempty"`
	ClusterID string `json:"cluster_id,omitempty"`
	Keyed     bool   `json:"keyed,omitempty"`
	Size      int    `json:"size,omitempty"`
	Epoch     uint64 `json:"epoch,omitempty"`
	Revision  uint64 `json:"revision,omitempty"`
	Members   *int   `json:"members,omitempty"`

	Node   string `json:"node,omitempty"`
	Member string `json:"member,omitempty"`
	Index  *int   `json:"index,omitempty"`
	KeySum string `json:"key_sum,omitempty"`

	Order  string   `json:"order,omitempty"`
	Serial uint64   `json:"serial,omitempty"`
	TookMS *float64 `json:"took_ms,omitempty"`

	Request string `json:"request,omitempty"`
	Limit   string `json:"limit,omitempty"`
	Error   string `json:"error,omitempty"`
	Omitted int    `json:"omitted,omitempty"`

	What   string `json:"what,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// by is who caused it.
type by struct {
	From     string `json:"from,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Node     string `json:"node,omitempty"`
	Admin    string `json:"admin,omitempty"`
}

// stamp writes a time as all of xlreg's JSON does: UTC with milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func lineOf(e *registry.Event) *line {
	l := &line{
		Time: stamp(e.Time), Event: e.Kind.String(), By: byOf(&e.By),
		Node: hexOrNone(e.Node), Member: string(e.Member), KeySum: hex.EncodeToString([]byte(e.KeySum)),
		Serial: e.Serial, Request: e.Request, Limit: e.Limit, Error: told(e.Err), Omitted: e.Omitted,
	}
	if e.Cluster.ID != "" {
		l.about(e)
	}
	if e.Member != "" {
		l.Index = &e.Index
	}
	if e.Kind == registry.EventOrdered {
		l.Order = e.Order.String()
	}
	if e.Kind == registry.EventFormed && e.Took >= 0 {
		ms := float64(e.Took.Microseconds()) / 1000
		l.TookMS = &ms
	}
	return l
}

func (l *line) about(e *registry.Event) {
	c := &e.Cluster
	l.Cluster, l.ClusterID, l.Keyed, l.Size = string(c.Name), c.ID.String(), c.Key != "", c.MaxSize
	l.Epoch, l.Revision, l.Members = e.Epoch, e.Revision, &e.Members
}

func byOf(a *registry.Actor) *by {
	if *a == (registry.Actor{}) {
		return nil
	}
	b := &by{From: a.From, Node: hexOrNone(a.Node), Admin: a.Admin}
	if a.Protocol != 0 {
		b.Protocol = a.Protocol.String()
	}
	return b
}

func hexOrNone(id xlreg.NodeID) string {
	if id == "" {
		return ""
	}
	return id.String()
}

// told returns what the peer was told, and nothing of an internal cause.
func told(err error) string {
	if err == nil {
		return ""
	}
	if e := (*xlreg.Error)(nil); errors.As(err, &e) {
		return e.Error()
	}
	if kind, ok := xlreg.KindOf(err); ok {
		return kind.Error()
	}
	return "internal error"
}
