package registry

import (
	"time"

	"github.com/xlattice/xlreg"
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
	KeySum xlreg.KeySum // of whoever lost a seat by an order

	Order  xlreg.OrderKind // of EventOrdered
	Serial uint64          // of an owner's order
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
