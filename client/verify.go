package client

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// verifier verifies rosters. It remembers the last one, so that asking again
// for a cluster that grows verifies each token once.
type verifier struct {
	protocol xlreg.Protocol
	last     map[xlreg.NodeID]*Member
}

// verify checks the keys and the 2.0 signature of every member. One that fails
// makes the whole roster an error that names the member: it has been tampered
// with, or its registry does not do its part. The members take turns: a roster
// of 64 is about two milliseconds, and where 64 members share a machine its other
// processors have their own to verify.
func (v *verifier) verify(r *xlreg.Roster) (*Roster, error) {
	verified := &Roster{Cluster: r.Cluster, State: r.State, Members: make([]Member, len(r.Members))}
	for i := range r.Members {
		m := &verified.Members[i]
		m.Member = r.Members[i]
		if known := v.last[m.Token.ID]; known != nil && sameToken(&known.Token, &m.Token) {
			m.Verified = known.Verified
			continue
		}
		if err := v.verifyMember(m); err != nil {
			return nil, err
		}
	}
	v.last = make(map[xlreg.NodeID]*Member, len(verified.Members))
	for i := range verified.Members {
		m := &verified.Members[i]
		v.last[m.Token.ID] = m
	}
	return verified, nil
}

// know takes a token that the node itself has signed for verified.
func (v *verifier) know(own *xlreg.Token, id xlreg.NodeID) {
	t := *own
	t.ID = id
	v.last = map[xlreg.NodeID]*Member{id: {Member: xlreg.Member{Token: t}, Verified: !v.protocol.Classic()}}
}

func (v *verifier) verifyMember(m *Member) error {
	t := &m.Token
	m.Verified = !v.protocol.Classic() && keys.HasProofs(t)
	if err := checkToken(t, m.Verified); err != nil {
		return fmt.Errorf("member %q (%v): %w", t.Name, t.ID, err)
	}
	return nil
}

// checkToken verifies a signed token; of one without a signature it can only
// see that the keys are keys.
func checkToken(t *xlreg.Token, signed bool) error {
	if !signed {
		return keys.CheckToken(t)
	}
	return keys.VerifyMember(t)
}

// sameToken reports whether two tokens agree in all that is verified.
func sameToken(a, b *xlreg.Token) bool {
	return a.Name == b.Name && a.Attrs == b.Attrs && a.CommsKey == b.CommsKey && a.SigKey == b.SigKey &&
		slices.Equal(a.Endpoints, b.Endpoints) && bytes.Equal(a.Labels, b.Labels) &&
		bytes.Equal(a.DigSig2, b.DigSig2) && bytes.Equal(a.Certificate, b.Certificate) && bytes.Equal(a.CommsSig, b.CommsSig)
}
