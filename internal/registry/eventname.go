package registry

import "fmt"

// eventNames are what programs know kinds of events by, in metrics and in the audit log.
// They never change.
var eventNames = [...]string{
	EventCreated: "created", EventJoined: "joined", EventRejoined: "rejoined", EventTookOver: "took_over",
	EventLeft: "left", EventLapsed: "lapsed", EventDisconnected: "disconnected", EventEvicted: "evicted",
	EventFormed: "formed", EventOrdered: "ordered", EventDeleted: "deleted", EventForgotten: "forgotten",
	EventRefused: "refused",
}

// EventKinds returns all kinds.
func EventKinds() []EventKind {
	kinds := make([]EventKind, 0, len(eventNames)-1)
	for k := range eventNames[1:] {
		kinds = append(kinds, EventKind(k+1))
	}
	return kinds
}

// String returns the kind's name.
func (k EventKind) String() string {
	if k <= 0 || int(k) >= len(eventNames) {
		return fmt.Sprintf("EventKind(%d)", int(k))
	}
	return eventNames[k]
}
