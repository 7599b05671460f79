// Package ticket holds tickets: one line of text that says where a registry is and how to
// know it, names a cluster with its key, and says what its holder may do there. Tickets
// are made and handed on without a word to the registry.
//
// The tickets of owners and of those who are invited are secrets. Text is the only way to
// get at them: a ticket that is printed, logged or marshalled shows what everybody may
// know.
package ticket

import (
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// Kind is what the holder of a ticket may do.
type Kind uint8

// The kinds of ticket.
const (
	KindReader Kind = iota + 1 // look at the cluster, and verify what the registry says of it
	KindAdmit                  // join with one key, which has to be the node's own
	KindInvite                 // join with any key
	KindOwner                  // all of it, create the cluster, admit and invite others, and give orders
)

var kindTexts = map[Kind]string{KindReader: "reader", KindAdmit: "admit", KindInvite: "invite", KindOwner: "owner"}

// String returns the kind in one word.
func (k Kind) String() string { return kindTexts[k] }

// Errors about what a ticket is not for.
var (
	// ErrNotOwner says that only the owner's ticket can do something.
	ErrNotOwner = errors.New("only the owner's ticket can do this")
	// ErrReader says that a ticket admits nobody.
	ErrReader = errors.New("this ticket is for looking at the cluster only: ask its owner for an invite")
	// ErrOtherKey says that a ticket admits one node, and this is another.
	ErrOtherKey = errors.New("this ticket admits another node: ask the cluster's owner for one for this node's key")
)

// Ticket is a ticket that has been read or made. It is not changed once it is there.
type Ticket struct {
	Registry      regcred.Target // without credentials: a line has none
	Cluster       xlreg.Name
	Size          int // members
	EndpointCount int // of each
	Key           xlreg.ClusterKey

	line    string        // of the registry
	owner   *keys.Owner   // of KindOwner alone
	inviter *keys.Inviter // of KindInvite alone
	admit   []byte        // of KindAdmit alone: the owner's signature
}

// NewOwner makes a new cluster key and the owner's ticket for it: a cluster of so many
// members with so many endpoints each, at this registry.
func NewOwner(registry *regcred.Target, cluster xlreg.Name, size, endpoints int) (*Ticket, error) {
	t := &Ticket{
		Registry: regcred.Target{Endpoints: registry.Endpoints, Fingerprint: registry.Fingerprint},
		Cluster:  cluster, Size: size, EndpointCount: endpoints, owner: keys.NewOwner(),
	}
	t.Key = t.owner.Public()
	var err error
	if t.line, err = t.Registry.URL(); err != nil {
		return nil, fmt.Errorf("new ticket: %w", err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("new ticket: %w", err)
	}
	return t, nil
}

// check holds what is not secret against its bounds.
func (t *Ticket) check() error {
	if err := t.Cluster.Validate(); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if t.Size < xlreg.MinClusterSize || t.Size > xlreg.MaxClusterSize {
		return fmt.Errorf("size %d: want %d to %d", t.Size, xlreg.MinClusterSize, xlreg.MaxClusterSize)
	}
	if t.EndpointCount < 1 || t.EndpointCount > xlreg.MaxEndpoints {
		return fmt.Errorf("endpoints %d: want 1 to %d", t.EndpointCount, xlreg.MaxEndpoints)
	}
	return nil
}

// Target returns where the registry is and how to know it.
func (t *Ticket) Target() *regcred.Target {
	if t == nil {
		return nil
	}
	return &t.Registry
}

// Kind returns what the holder of the ticket may do.
func (t *Ticket) Kind() Kind {
	switch {
	case t.owner != nil:
		return KindOwner
	case t.inviter != nil:
		return KindInvite
	case t.admit != nil:
		return KindAdmit
	}
	return KindReader
}

// Owner returns the cluster's key; nil unless the ticket is the owner's.
func (t *Ticket) Owner() *keys.Owner { return t.owner }

// Invite returns what everybody may know of the invite; the zero value unless the ticket
// is an invite's.
func (t *Ticket) Invite() xlreg.Invite {
	if t.inviter == nil {
		return xlreg.Invite{}
	}
	return t.inviter.Invite()
}

// Ref names the cluster.
func (t *Ticket) Ref() xlreg.ClusterRef { return xlreg.ClusterRef{Name: t.Cluster, Key: t.Key} }

// Spec returns what the cluster is to be. It is signed if the ticket is the owner's: with
// another nobody can create the cluster.
func (t *Ticket) Spec() xlreg.ClusterSpec {
	spec := xlreg.ClusterSpec{
		Name: string(t.Cluster), MaxSize: uint32(t.Size), EndpointCount: uint32(t.EndpointCount), Key: t.Key,
	}
	if t.owner != nil {
		t.owner.SignCreate(&spec)
	}
	return spec
}

// Admission returns the leave to join for the node with this sig key. A ticket that does
// not admit it is ErrReader or ErrOtherKey.
func (t *Ticket) Admission(key xlreg.SigKey) (xlreg.Admission, error) {
	switch t.Kind() {
	case KindOwner:
		return t.owner.Admit(t.Cluster, key)
	case KindInvite:
		return t.inviter.Admit(key)
	case KindAdmit:
		a := xlreg.Admission{Sig: t.admit}
		if keys.VerifyAdmission(t.Cluster, t.Key, key, a) != nil {
			return xlreg.Admission{}, ErrOtherKey
		}
		return a, nil
	}
	return xlreg.Admission{}, ErrReader
}

// NewInvite makes a ticket by which others become members, so many of them as uses says
// and until notAfter; 0 and the zero time are no limits. Only the owner can.
func (t *Ticket) NewInvite(uses int, notAfter time.Time) (*Ticket, error) {
	if t.owner == nil {
		return nil, fmt.Errorf("invite: %w", ErrNotOwner)
	}
	inviter, err := t.owner.Invite(t.Cluster, notAfter, uses)
	if err != nil {
		return nil, err
	}
	made := t.Reader()
	made.inviter = inviter
	return made, nil
}

// NewAdmit makes a ticket by which the node with this sig key becomes a member. There is
// no secret in it. Only the owner can.
func (t *Ticket) NewAdmit(key xlreg.SigKey) (*Ticket, error) {
	if t.owner == nil {
		return nil, fmt.Errorf("admit: %w", ErrNotOwner)
	}
	a, err := t.owner.Admit(t.Cluster, key)
	if err != nil {
		return nil, err
	}
	made := t.Reader()
	made.admit = a.Sig
	return made, nil
}

// Reader returns the ticket that admits nobody.
func (t *Ticket) Reader() *Ticket {
	made := *t
	made.owner, made.inviter, made.admit = nil, nil, nil
	return &made
}

// String says what the ticket is for, and nothing that is secret.
func (t Ticket) String() string {
	return fmt.Sprintf("%v ticket of cluster %s (%d members, key %s)", t.Kind(), t.Cluster, t.Size, keys.FormatClusterKey(t.Key))
}

// Format writes what String returns, whatever the verb.
func (t Ticket) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// MarshalText returns what String does, so that no log and no JSON shows more. What
// others can read is Text.
func (t Ticket) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
