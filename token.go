package xlreg

import "time"

// NodeAttrs are the attribute bits of a node.
type NodeAttrs uint64

// The bits of NodeAttrs.
const (
	AttrEphemeral NodeAttrs = 1
	AttrAdmin     NodeAttrs = 2
	AttrSolo      NodeAttrs = 4

	KnownNodeAttrs = AttrEphemeral | AttrAdmin | AttrSolo
)

// CommsKey is a node's public key for encryption: PKIX SubjectPublicKeyInfo in
// DER, kept as it came because signatures cover these very bytes.
type CommsKey string

// SigKey is a node's public key for signatures, in the form of a CommsKey.
type SigKey string

// Token is what a node says of itself, with the proof, and the ID that the
// registry gave it. A Token is never changed once it is shared.
type Token struct {
	Name      Name
	Attrs     NodeAttrs
	ID        NodeID // empty in a token that has not been registered
	CommsKey  CommsKey
	SigKey    SigKey
	Endpoints []Endpoint // the first is for the other members, the second for their clients

	DigSig      []byte    // classic signature; verified by the registry, never kept or handed on
	DigSig2     []byte    // 2.0 signature; absent in a node that registered over a classic carrier
	Certificate []byte    // X.509 DER; absent as DigSig2 is, or if its form was not the agreed one
	Joined      time.Time // when the node last joined the cluster, in milliseconds; zero outside a roster
}

// Validate holds t's name and endpoints against their limits, and returns an
// error of kind ErrIllFormedToken that names the fault. Keys are costly to parse
// and are for package keys.
func (t *Token) Validate() error {
	if err := t.Name.Validate(); err != nil {
		return Errorf(ErrIllFormedToken, "%v", err)
	}
	if err := ValidateEndpoints(t.Endpoints); err != nil {
		return Errorf(ErrIllFormedToken, "%v", err)
	}
	return nil
}
