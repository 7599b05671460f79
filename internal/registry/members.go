package registry

import (
	"context"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

// Credential is what a session's handshake says of the peer that speaks in it.
type Credential struct {
	Protocol xlreg.Protocol

	// Salt is what a classic log-in signs.
	Salt []byte

	// SigKey is the key that the peer proved to hold over 2.0, and Certificate
	// the one it showed, in DER. Both are empty if it showed none.
	SigKey      xlreg.SigKey
	Certificate []byte

	// Turn waits until one of the peer's signatures may be verified, which ends with
	// release; that is told whether the signature was good. Nil is no bound.
	Turn func(ctx context.Context) (release func(good bool), err error)
}

// inTurn verifies in a turn.
func (c *Credential) inTurn(ctx context.Context, verify func() error) error {
	if c.Turn == nil {
		return verify()
	}
	release, err := c.Turn(ctx)
	if err != nil {
		return err
	}
	good := false
	defer func() { release(good) }()
	err = verify()
	good = err == nil
	return err
}

// Register makes a node known by what it says of itself, or replaces what it said
// before, and returns what is kept and whether the node is new. The token is within
// the limits of the peer's protocol; its ID is the one it proposes, or empty. An ID
// once issued or taken never passes to another sig key. A node that says the same as
// before changes nothing.
func (r *Registry) Register(ctx context.Context, cred Credential, token *xlreg.Token, allow Allowance) (kept xlreg.Token, did Effect, err error) {
	node, err := r.verify(ctx, &cred, token)
	if err != nil {
		return xlreg.Token{}, Unchanged, err
	}
	if r.admit != nil && !r.admit(node.SigKey) {
		return xlreg.Token{}, Unchanged, xlreg.Errorf(xlreg.ErrIdentityRequired, "this registry admits only the keys it was started with")
	}
	err = r.update(ctx, func(tx records.Writer) error {
		kept = node
		if did, err = r.register(tx, &kept); err != nil {
			return err
		}
		return allow.check(did)
	})
	if err != nil {
		return xlreg.Token{}, Unchanged, err
	}
	return kept, did, nil
}

func (r *Registry) register(tx records.Writer, node *xlreg.Token) (Effect, error) {
	known, err := r.bind(tx.Reader, node)
	switch {
	case err != nil:
		return Unchanged, err
	case known != nil && sameRegistration(known, node):
		*node = *known
		return Unchanged, nil
	case known != nil:
		return Changed, tx.PutNode(node, known)
	}
	if err := r.totals.roomForNode(); err != nil {
		return Unchanged, err
	}
	return MadeNew, tx.PutNode(node, nil)
}

// verify verifies the signature of a token and returns what is to be kept of it.
func (r *Registry) verify(ctx context.Context, cred *Credential, t *xlreg.Token) (xlreg.Token, error) {
	kept := xlreg.Token{
		Name: t.Name, Attrs: t.Attrs, ID: t.ID,
		CommsKey: t.CommsKey, SigKey: t.SigKey, Endpoints: t.Endpoints,
	}
	if err := checkClaims(cred, t); err != nil {
		return kept, err
	}
	result, err := r.prove(ctx, cred, t)
	if cred.Protocol.Classic() {
		kept.Attrs &= xlreg.KnownNodeAttrs
		return kept, err
	}
	kept.DigSig2 = t.DigSig2
	if result.handOut {
		kept.Certificate = cred.Certificate
	}
	return kept, err
}

// checkClaims looks at what a token must be like before its signature matters.
func checkClaims(cred *Credential, t *xlreg.Token) error {
	switch {
	case cred.Protocol.Classic():
		return nil
	case cred.SigKey == "":
		return xlreg.ErrIdentityRequired
	case t.Attrs&^xlreg.KnownNodeAttrs != 0:
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "attrs %#x", uint64(t.Attrs))
	case t.SigKey != cred.SigKey:
		return xlreg.Errorf(xlreg.ErrBadSignature, "sig key is not the certificate's")
	}
	return nil
}

// prove verifies the signature of a token, in a turn, unless it is one of those that
// have been verified.
func (r *Registry) prove(ctx context.Context, cred *Credential, t *xlreg.Token) (proven, error) {
	p := proofOf(cred, t)
	if result, ok := r.verified.get(p); ok {
		return result, nil
	}
	var result proven
	err := cred.inTurn(ctx, func() error {
		if cred.Protocol.Classic() {
			return keys.VerifyClassic(t)
		}
		if err := keys.VerifyToken(t, cred.Certificate); err != nil {
			return err
		}
		result.handOut = keys.CheckCertificate(cred.Certificate, t) == nil
		return nil
	})
	if err == nil {
		r.verified.put(p, result)
	}
	return result, err
}

// bind settles the node's ID, and returns what is known of the node, nil if it is new.
func (r *Registry) bind(tx records.Reader, node *xlreg.Token) (known *xlreg.Token, err error) {
	if node.ID == "" {
		id, err := r.freeID(tx)
		node.ID = xlreg.NodeID(id)
		return nil, err
	}
	before, err := tx.Node(node.ID)
	if err == nil && before.SigKey == node.SigKey {
		return &before, nil
	}
	if err == nil {
		return nil, xlreg.ErrIDInUse
	}
	if !records.IsNotFound(err) {
		return nil, err
	}
	used, err := r.idInUse(tx, string(node.ID))
	if used {
		err = xlreg.ErrIDInUse
	}
	return nil, err
}

// LogIn returns the node with the ID, if the peer proves to hold its key.
func (r *Registry) LogIn(ctx context.Context, cred Credential, id, digSig []byte) (xlreg.Token, error) {
	if !cred.Protocol.Classic() && cred.SigKey == "" {
		return xlreg.Token{}, xlreg.ErrIdentityRequired
	}
	var node xlreg.Token
	err := r.view(ctx, func(tx records.Reader) (err error) {
		node, err = tx.Node(xlreg.NodeID(id))
		return orKind(err, xlreg.ErrBadSignature)
	})
	if err != nil {
		return xlreg.Token{}, err
	}
	if cred.Protocol.Classic() {
		err := cred.inTurn(ctx, func() error { return keys.VerifyLogin(node.SigKey, cred.Salt, node.ID, digSig) })
		return node, err
	}
	if node.SigKey != cred.SigKey {
		return xlreg.Token{}, xlreg.ErrBadSignature
	}
	return node, nil
}
