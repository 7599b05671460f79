package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// verifier verifies rosters. It remembers the last one, so that asking again
// for a cluster that grows verifies each token once.
type verifier struct {
	protocol xlreg.Protocol
	proven   *Proven // nil: nobody shares what is verified here
	last     map[xlreg.NodeID]*Member

	cluster  xlreg.Cluster   // that of last
	invites  map[string]bool // those of its owner that were verified
	admitted bool            // the admissions in last were verified
}

// verify checks the keys and the 2.0 signatures of every member, and in a cluster with a
// key the owner's leave. One that fails makes the whole roster an error that names the
// member: it has been tampered with, or its registry does not do its part. The members take
// turns: a roster of 64 is about two milliseconds, and where 64 members share a machine its
// other processors have their own to verify.
func (v *verifier) verify(r *received, pinned bool) (*Roster, error) {
	v.follow(&r.Cluster)
	verified := &Roster{
		Cluster: r.Cluster, State: r.State, Members: make([]Member, len(r.Members)), Sum: r.sum, Pinned: pinned,
	}
	for i := range r.Members {
		m := &verified.Members[i]
		m.Member = r.Members[i]
		if r.seats != nil {
			m.sum = r.seats[i].Sum
		}
		if err := v.verifyMember(m); err != nil {
			return nil, fmt.Errorf("member %q (%v): %w", m.Token.Name, m.Token.ID, err)
		}
	}
	v.remember(verified)
	return verified, nil
}

// follow turns to a cluster. An admission is for one alone, so those of another count for
// nothing.
func (v *verifier) follow(c *xlreg.Cluster) {
	if v.cluster.Name != c.Name || v.cluster.Key != c.Key {
		v.cluster, v.invites, v.admitted = *c, nil, false
	}
}

func (v *verifier) remember(r *Roster) {
	v.last = make(map[xlreg.NodeID]*Member, len(r.Members))
	for i := range r.Members {
		m := &r.Members[i]
		v.last[m.Token.ID] = m
	}
	v.admitted = true
}

// know takes a token that the node itself has signed for verified.
func (v *verifier) know(own *xlreg.Token, id xlreg.NodeID) {
	t := *own
	t.ID = id
	v.last = map[xlreg.NodeID]*Member{id: {Member: xlreg.Member{Token: t}, Verified: !v.protocol.Classic()}}
	v.admitted = false
}

func (v *verifier) verifyMember(m *Member) error {
	known := v.last[m.Token.ID]
	if known != nil && sameToken(&known.Token, &m.Token) {
		m.Verified, m.proven = known.Verified, known.proven
	} else if err := v.verifyToken(m); err != nil {
		return err
	}
	if v.cluster.Key == "" {
		return nil
	}
	if !m.Verified {
		return xlreg.Errorf(xlreg.ErrBadSignature, "it proves nothing, and this cluster has a key")
	}
	if known != nil && v.admitted && known.Token.SigKey == m.Token.SigKey &&
		bytes.Equal(known.Token.Seat.Admission, m.Token.Seat.Admission) {
		return nil
	}
	return v.verifyAdmission(&m.Token)
}

func (v *verifier) verifyToken(m *Member) (err error) {
	m.Verified = !v.protocol.Classic() && keys.HasProofs(&m.Token)
	if !m.Verified {
		return keys.CheckToken(&m.Token) // without a signature it can only see that the keys are keys
	}
	m.proven, err = v.proven.check(&m.Token, keys.VerifyMember)
	return err
}

// verifyAdmission verifies that the cluster's owner has let a member in. An invite by which
// many have come is verified once.
func (v *verifier) verifyAdmission(t *xlreg.Token) error {
	a, err := wire.DecodeAdmission(t.Seat.Admission)
	if err == nil {
		err = v.verifyInvite(&a.Invite)
	}
	if err == nil {
		err = keys.VerifyLeave(v.cluster.Name, v.cluster.Key, t.SigKey, a)
	}
	if errors.Is(err, xlreg.ErrNotAdmitted) {
		return xlreg.Errorf(xlreg.ErrBadSignature, "the cluster's owner has not let it in: %v", err)
	}
	return err
}

func (v *verifier) verifyInvite(i *xlreg.Invite) error {
	// What is signed is all of it, so all of it tells one from another.
	id := fmt.Sprint(i.Key, i.NotAfter.UnixMilli(), i.Uses, string(i.Sig))
	if i.IsZero() || v.invites[id] {
		return nil
	}
	if err := keys.VerifyInvite(v.cluster.Name, v.cluster.Key, i); err != nil {
		return err
	}
	if v.invites == nil {
		v.invites = make(map[string]bool)
	}
	v.invites[id] = true
	return nil
}

// sameToken reports whether two tokens agree in all that their own signatures prove.
func sameToken(a, b *xlreg.Token) bool {
	return a.Name == b.Name && a.Attrs == b.Attrs && a.CommsKey == b.CommsKey && a.SigKey == b.SigKey &&
		slices.Equal(a.Endpoints, b.Endpoints) && bytes.Equal(a.Labels, b.Labels) &&
		bytes.Equal(a.DigSig2, b.DigSig2) && bytes.Equal(a.Certificate, b.Certificate) && bytes.Equal(a.CommsSig, b.CommsSig)
}
