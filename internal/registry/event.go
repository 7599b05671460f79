package registry

import (
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// EventKind is what has happened.
type EventKind int

// The kinds of event.
const (
	EventCreated      EventKind = iota + 1 // a cluster
	EventJoined                            // a member took a free seat
	EventRejoined                          // a member confirmed its seat, or took it for a new start
	EventTookOver                          // a member took its own seat under a new node ID
	EventLeft                              // a member left
	EventLapsed                            // a seat ended because its lease ran out
	EventDisconnected                      // a seat taken for a new start ended with its connection
	EventEvicted                           // a member lost its seat by an order
	EventFormed                            // a cluster is full for the first time
	EventOrdered                           // an owner's or an admin's order was done
	EventDeleted                           // a cluster, by an order or with its last member
	EventForgotten                         // a cluster or a node that nobody needed, or that an admin took away
	EventRefused                           // a request or a connection
)

// Event is something that happened to what a registry keeps, or that was refused. Fields
// that do not concern its kind are zero.
type Event struct {
	Kind EventKind
	Time time.Time
	By   Actor

	Cluster         xlreg.Cluster
	Epoch, Revision uint64 // of the cluster, afterwards
	Members         int    // likewise

	Node   xlreg.NodeID
	Member xlreg.Name
	Index  int          // of the seat
	KeySum xlreg.KeySum // of whoever lost a seat by an order, or whom the order is about

	Order  xlreg.OrderKind // of EventOrdered
	Serial uint64          // of an owner's order; 0: an admin's
	Took   time.Duration   // from the creation of the cluster to EventFormed; negative: unknown

	Request string // what was refused: the name of an op, or "connection"
	Limit   string // by which limit, as the flag that sets it is called; empty: by none
	Err     error  // why it was refused, as the peer was told
	Omitted int    // connections refused by this limit since the last event of that
}

// Actor is who caused an event. The zero value is the registry itself.
type Actor struct {
	From     string         // the address it came from, for people
	Protocol xlreg.Protocol // 0: not a client
	Node     xlreg.NodeID   // empty: it has not said who it is
	Admin    string         // the name of an admin's token or key, or "local"
}

// seatTexts name the events of seats in the log.
var seatTexts = [...]string{
	EventJoined:       "joined",
	EventRejoined:     "joined again",
	EventTookOver:     "took over", // its own seat, under a new ID
	EventLeft:         "left",
	EventLapsed:       "lease ran out",
	EventDisconnected: "connection ended before all were there",
	EventEvicted:      "evicted",
}

// eventAbout returns an event of a cluster.
func (r *Registry) eventAbout(by Actor, kind EventKind, c *records.Cluster) Event {
	return Event{
		Kind: kind, Time: r.clock.Now(), By: by,
		Cluster: c.Cluster, Epoch: c.State.Epoch, Revision: c.State.Revision, Members: c.Taken.Len(),
	}
}

// happened tells the observer of an event of a cluster that needs no more words.
func (r *Registry) happened(by Actor, kind EventKind, c *records.Cluster) {
	if r.observe != nil {
		r.observe(r.eventAbout(by, kind, c))
	}
}

// tell says in the log and to the observer what has happened to a seat.
func (r *Registry) tell(by Actor, kind EventKind, c *records.Cluster, s *records.Seat) {
	r.log.Info("seat changed", "event", seatTexts[kind], "cluster", c.Name, "cluster_id", c.ID, "epoch", c.State.Epoch,
		"member", s.Token.Name, "index", s.Index, "node", s.Token.ID)
	if r.observe == nil {
		return
	}
	e := r.eventAbout(by, kind, c)
	e.Node, e.Member, e.Index = s.Token.ID, s.Token.Name, s.Index
	if kind == EventEvicted {
		e.KeySum = keySum(s)
	}
	r.observe(e)
}

// formed tells the observer that a cluster is full for the first time.
func (r *Registry) formed(by Actor, c *records.Cluster) {
	if r.observe == nil {
		return
	}
	e := r.eventAbout(by, EventFormed, c)
	if e.Took = -1; !c.Created.IsZero() {
		e.Took = max(0, c.Formed.Sub(c.Created))
	}
	r.observe(e)
}

// Observed reports whether anybody is told of events.
func (r *Registry) Observed() bool { return r.observe != nil }

// Refusal is a request or a connection that was refused; see Event.
type Refusal struct {
	Request, Limit string
	Omitted        int
	Err            error
}

// Refused tells the observer of a refusal. It is called by whoever answers the peers,
// since the rules do not know what they were asked, nor who was not let in.
func (r *Registry) Refused(by Actor, f Refusal) {
	if r.observe != nil {
		r.observe(Event{
			Kind: EventRefused, Time: r.clock.Now(), By: by,
			Request: f.Request, Limit: f.Limit, Omitted: f.Omitted, Err: f.Err,
		})
	}
}
