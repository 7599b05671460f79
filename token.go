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

	DigSig []byte // classic signature; verified by the registry, never kept or handed on

	// What follows is absent in a node that registered over a classic carrier.
	Labels      []byte // as they travel and are signed: package keys knows the signature, client the form
	Certificate []byte // serial number, dates and signature of the node's certificate: keys.BuildCertificate makes the rest
	CommsSig    []byte // by the comms key, over both keys
	DigSig2     []byte // by the sig key, over all but the ID

	Seat SeatState // what the registry says of the member's seat; zero outside a roster
}

// SeatState is what a registry knows of a member beyond what the member says itself.
// Times are in milliseconds, by the registry's clock.
type SeatState struct {
	Joined    time.Time     // when the node last joined the cluster
	Admission []byte        // the owner's leave, as it travels; empty in an open cluster
	Lease     time.Duration // how long the seat lasts without a sign of life; 0: for ever
	Seen      time.Time     // of the last such sign, in seconds; zero without a lease
	Run       Run           // the start of the program that last took or confirmed the seat
}

// Run names one start of a program: 1 to MaxRunLen random bytes, or none.
type Run string

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
