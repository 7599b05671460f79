package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// SignedRoster is a roster that its registry has signed, and that has been verified.
type SignedRoster struct {
	*Roster
	Time        time.Time // when the registry signed it last, by its clock
	Fingerprint string    // of the sig key by which the registry was known
}

// Signed returns the roster of a cluster as a document that the registry has signed: what
// whoever knows the registry can verify with VerifySigned, without asking it. It can be kept
// in a file as it is. The document has been verified. The zero ref is the cluster of the
// ticket, or of this session's last Create or Join. 2.0 only.
func (c *Client) Signed(ctx context.Context, ref xlreg.ClusterRef) ([]byte, *SignedRoster, error) {
	ref = clusterNamed(ref, c.ticket)
	if c.protocol.Classic() {
		return nil, nil, fmt.Errorf("signed roster: %w", ErrNeeds20)
	}
	parts, err := call(ctx, c, "get signed roster of "+refText(ref), func() ([]*wire.Message, error) {
		return c.signedParts(ctx, ref)
	})
	if err != nil {
		return nil, nil, err
	}
	var document []byte
	for _, part := range parts {
		if document, err = appendFrame(document, part); err != nil {
			return nil, nil, err
		}
	}
	signed, err := verifySigned(parts, c.pin(), ref.Key)
	if err == nil {
		err = c.same(signed, ref)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get signed roster of %s: %w", refText(ref), err)
	}
	return document, signed, nil
}

// same holds a document against what was asked for. What is verified is another matter: it
// might be that of another cluster.
func (c *Client) same(signed *SignedRoster, ref xlreg.ClusterRef) error {
	if ref.ID != "" && signed.Cluster.ID != ref.ID || ref.ID == "" && ref.Name != "" && signed.Cluster.Name != ref.Name {
		return fmt.Errorf("%w: it is that of %s", ErrBadDocument, clusterText(&signed.Cluster))
	}
	return nil
}

// pin is how the registry is known to this session.
func (c *Client) pin() keys.Pin {
	return keys.Pin{SigKey: c.conn.Peer().SigKey, Fingerprint: c.sig}
}

// signedParts asks until there are answers of one revision that make the whole roster.
func (c *Client) signedParts(ctx context.Context, ref xlreg.ClusterRef) ([]*wire.Message, error) {
	var parts []*wire.Message
	var first *wire.RosterReply
	get := wire.GetRequest{Ref: ref, Which: xlreg.AllSeats(), Sign: true}
	for {
		part, err := c.ask(ctx, wire.NewGet(get, c.protocol), c.silence)
		if err != nil {
			return nil, err
		}
		r, err := c.rosterOf(part, &get)
		if err != nil {
			return nil, err
		}
		rest := get.Which.And(r.Seats).Minus(r.Given)
		if first != nil && r.Sum != first.Sum {
			first, parts = nil, nil // the cluster has changed meanwhile
			get.Which = xlreg.AllSeats()
			continue
		}
		first, parts = r, append(parts, part)
		switch {
		case rest.IsEmpty():
			return parts, nil
		case r.Given.IsEmpty():
			return nil, c.misbehaved("no member of those that were asked for")
		}
		get.Which = rest
	}
}

// maxDocument is how long a signed roster may be: that of the largest cluster with the
// longest tokens is in four parts or so.
const maxDocument = 32 << 20

// VerifySigned verifies a document that Signed returned, by what target says of the registry
// and, if it is a ticket, of the cluster's key. It asks nobody. What does not hold is
// ErrBadDocument.
func VerifySigned(target Target, document []byte) (*SignedRoster, error) {
	registry := registryOf(target)
	if registry == nil {
		return nil, fmt.Errorf("%w: no registry is known", ErrBadDocument)
	}
	pin := keys.Pin{Fingerprint: registry.Fingerprint}
	if registry.Cred != nil {
		pin.SigKey = registry.Cred.SigKey
	}
	ref := clusterNamed(xlreg.ClusterRef{}, ticketOf(target))
	parts, err := readDocument(document)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDocument, err)
	}
	signed, err := verifySigned(parts, pin, ref.Key)
	if err == nil && ref.Name != "" && signed.Cluster.Name != ref.Name {
		err = fmt.Errorf("%w: it is that of cluster %q", ErrBadDocument, signed.Cluster.Name)
	}
	return signed, err
}

func readDocument(document []byte) ([]*wire.Message, error) {
	if len(document) > maxDocument {
		return nil, fmt.Errorf("%d bytes, at most %d allowed", len(document), maxDocument)
	}
	var parts []*wire.Message
	for r := bytes.NewReader(document); ; {
		part, err := readFrame(r, xlreg.MaxReplyFrame)
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
}

// verifySigned follows section 11.2, whose numbers the comments have.
func verifySigned(parts []*wire.Message, pin keys.Pin, clusterKey xlreg.ClusterKey) (*SignedRoster, error) {
	s, err := checkSigned(parts, pin, clusterKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDocument, err)
	}
	return s, nil
}

func checkSigned(parts []*wire.Message, pin keys.Pin, clusterKey xlreg.ClusterKey) (*SignedRoster, error) {
	if len(parts) == 0 {
		return nil, errors.New("it is empty")
	}
	s := &SignedRoster{Fingerprint: pin.Fingerprint}
	var a assembly
	for i, part := range parts {
		r, at, err := checkPart(part, pin) // 1 to 3
		if err == nil && i > 0 {
			err = fits(&a, r) // 4
		}
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", i+1, err)
		}
		a.add(r)
		if at.After(s.Time) {
			s.Time = at
		}
	}
	var err error
	s.Roster, err = a.verified(clusterKey)
	return s, err
}

// verified returns the roster whose parts have come, if all have, with what its members
// prove of themselves (5 and 6). A key is the cluster's, as the reader knows it.
func (a *assembly) verified(clusterKey xlreg.ClusterKey) (*Roster, error) {
	if !a.missing.IsEmpty() {
		return nil, fmt.Errorf("%d members are not in it", a.missing.Len())
	}
	r := a.received()
	if r.sum != a.last.Sum { // 5
		return nil, errors.New("its members do not make its Sum")
	}
	if clusterKey != "" && r.Cluster.Key != clusterKey {
		return nil, errors.New("it is that of a cluster with another key")
	}
	v := verifier{protocol: xlreg.Protocol20} // 6
	return v.verify(r, clusterKey != "")
}

// checkPart verifies the registry's signature of one part.
func checkPart(part *wire.Message, pin keys.Pin) (*wire.RosterReply, time.Time, error) {
	r, err := part.Roster(xlreg.Protocol20)
	if err != nil {
		return nil, time.Time{}, err
	}
	signed, ok := part.Signed()
	if !ok || r.Since != nil {
		return nil, time.Time{}, errors.New("it is not signed, or not the whole roster")
	}
	at := time.UnixMilli(int64(min(signed.Millis, maxSignedMillis))).UTC()
	chain, err := keys.VerifyChain(signed.Chain, pin, at)
	if err != nil {
		return nil, at, err
	}
	return r, at, keys.VerifyRoster(chain.Leaf.PublicKey, r.Sum, signed.Millis, signed.Sig)
}

// maxSignedMillis is the last millisecond of the year 9999.
const maxSignedMillis = 253_402_300_799_999

// fits reports a part that does not belong to those before it.
func fits(a *assembly, r *wire.RosterReply) error {
	switch {
	case r.Sum != a.last.Sum || r.Seats != a.last.Seats || r.Cluster != a.last.Cluster || r.State != a.last.State:
		return errors.New("it is that of another roster")
	case slices.ContainsFunc(r.Members, func(m xlreg.Member) bool { return !a.missing.Has(m.Index) }):
		return errors.New("a member in it is in another part, too")
	}
	return nil
}

// Contradicts reports that the registry has signed two different rosters for one revision
// of a cluster: ErrContradiction. Both together convict it. Of other revisions or clusters
// nothing can be said, and the error is nil.
func (s *SignedRoster) Contradicts(o *SignedRoster) error {
	if s.Cluster.ID != o.Cluster.ID || s.State.Revision != o.State.Revision || s.Sum == o.Sum {
		return nil
	}
	return fmt.Errorf("%w for revision %d of %s: %s, signed at %s, and %s, signed at %s", ErrContradiction,
		s.State.Revision, clusterText(&s.Cluster), s.ShortSum(), utc(s.Time), o.ShortSum(), utc(o.Time))
}
