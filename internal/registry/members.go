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
}

// Register makes a node known by what it says of itself, or replaces what it said
// before, and returns what is kept and whether the node is new. The token is within
// the limits of the peer's protocol; its ID is the one it proposes, or empty. An ID
// once issued or taken never passes to another sig key. With allowNew false, a
// registration that would make a node known is refused as xlreg.ErrTooManyRequests.
func (r *Registry) Register(ctx context.Context, cred Credential, token *xlreg.Token, allowNew bool) (kept xlreg.Token, isNew bool, err error) {
	node, err := verify(&cred, token)
	if err != nil {
		return xlreg.Token{}, false, err
	}
	if r.admit != nil && !r.admit(node.SigKey) {
		return xlreg.Token{}, false, xlreg.Errorf(xlreg.ErrIdentityRequired, "this registry admits only the keys it was started with")
	}
	err = r.update(ctx, func(tx records.Writer) error {
		kept = node
		isNew, err = r.bind(tx.Reader, &kept)
		if err != nil {
			return err
		}
		if isNew && !allowNew {
			return xlreg.ErrTooManyRequests
		}
		return tx.PutNode(&kept)
	})
	if err != nil {
		return xlreg.Token{}, false, err
	}
	return kept, isNew, nil
}

// verify verifies the signature of a token and returns what is to be kept of it.
func verify(cred *Credential, t *xlreg.Token) (xlreg.Token, error) {
	kept := xlreg.Token{
		Name: t.Name, Attrs: t.Attrs, ID: t.ID,
		CommsKey: t.CommsKey, SigKey: t.SigKey, Endpoints: t.Endpoints,
	}
	if cred.Protocol.Classic() {
		kept.Attrs &= xlreg.KnownNodeAttrs
		return kept, keys.VerifyClassic(t)
	}
	if cred.SigKey == "" {
		return kept, xlreg.ErrIdentityRequired
	}
	if t.Attrs&^xlreg.KnownNodeAttrs != 0 {
		return kept, xlreg.Errorf(xlreg.ErrIllFormedToken, "attrs %#x", uint64(t.Attrs))
	}
	if t.SigKey != cred.SigKey {
		return kept, xlreg.Errorf(xlreg.ErrBadSignature, "sig key is not the certificate's")
	}
	if err := keys.VerifyToken(t, cred.Certificate); err != nil {
		return kept, err
	}
	kept.DigSig2 = t.DigSig2
	if keys.CheckCertificate(cred.Certificate, t) == nil {
		kept.Certificate = cred.Certificate
	}
	return kept, nil
}

// bind settles the node's ID, and tells whether it is new to the registry.
func (r *Registry) bind(tx records.Reader, node *xlreg.Token) (isNew bool, err error) {
	if node.ID == "" {
		id, err := r.freeID(tx)
		node.ID = xlreg.NodeID(id)
		return true, err
	}
	known, err := tx.Node(node.ID)
	if err == nil && known.SigKey == node.SigKey {
		return false, nil
	}
	if err == nil {
		return false, xlreg.ErrIDInUse
	}
	if !records.IsNotFound(err) {
		return false, err
	}
	used, err := r.idInUse(tx, string(node.ID))
	if used {
		err = xlreg.ErrIDInUse
	}
	return true, err
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
		return node, keys.VerifyLogin(node.SigKey, cred.Salt, node.ID, digSig)
	}
	if node.SigKey != cred.SigKey {
		return xlreg.Token{}, xlreg.ErrBadSignature
	}
	return node, nil
}
