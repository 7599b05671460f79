package client

import (
	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/ticket"
)

// Target leads to a registry. It is a *regcred.Target, or a *ticket.Ticket, which also
// names a cluster, pins its key and says what its holder may do there. Where a ticket is
// given, the zero ClusterRef stands for its cluster.
type Target interface {
	// Target says where the registry is, and how to tell it from others.
	Target() *regcred.Target
}

// registryOf returns what target says of the registry; nil if there is no target.
func registryOf(target Target) *regcred.Target {
	if target == nil {
		return nil
	}
	return target.Target()
}

// ticketOf returns target if it is a ticket, and nil if it is not.
func ticketOf(target Target) *ticket.Ticket {
	t, _ := target.(*ticket.Ticket)
	return t
}

// clusterNamed returns ref, or the cluster of the ticket if ref names none.
func clusterNamed(ref xlreg.ClusterRef, t *ticket.Ticket) xlreg.ClusterRef {
	if t != nil && ref.IsZero() {
		return t.Ref()
	}
	return ref
}
