package registry

import (
	"context"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

// Register makes a node known by what it says of itself, or replaces what it said
// before, and returns what is kept and whether the node is new. The token is within
// the limits of the peer's protocol. Over a classic carrier its ID is the one it
// proposes, or empty, and an ID once issued or taken never passes to another sig key;
// over 2.0 a node is its sig key, and what it proposes is not looked at. A node that
// says the same as before changes nothing.
func (r *Registry) Register(ctx context.Context, s *Session, token *xlreg.Token, allow Allowance) (kept xlreg.Token, did Effect, err error) {
	node, err := r.verify(ctx, s, token)
	if err != nil {
		return xlreg.Token{}, Unchanged, err
	}
	if r.admit != nil && !r.admit(node.SigKey) {
		return xlreg.Token{}, Unchanged, xlreg.ErrKeyNotAdmitted
	}
	today := records.Day(r.clock.Now())
	err = r.update(ctx, func(tx records.Writer) error {
		kept = node
		if did, err = r.register(tx, &records.Node{Token: node, Seen: today}, &kept, s.Protocol.Classic()); err != nil {
			return err
		}
		return allow.check(did)
	})
	if err != nil {
		return xlreg.Token{}, Unchanged, err
	}
	s.is(&kept, true)
	return kept, did, nil
}

// register settles who a node is and keeps what it says, unless that is known. It puts
// into kept what is kept in the end.
func (r *Registry) register(tx records.Writer, node *records.Node, kept *xlreg.Token, classic bool) (did Effect, err error) {
	var known *records.Node
	if classic {
		known, err = r.bindID(tx.Reader, &node.Token)
	} else {
		known, err = r.bindKey(tx, &node.Token)
	}
	switch {
	case err != nil:
		return Unchanged, err
	case known != nil && sameRegistration(&known.Token, &node.Token):
		*kept = known.Token
		return seenAgain(tx, known, node)
	case known == nil:
		if err := r.totals.roomForNode(); err != nil {
			return Unchanged, err
		}
		did = MadeNew
	default:
		did = Changed
	}
	*kept = node.Token
	return did, tx.PutNode(node)
}

// seenAgain notes once a day that a node is still there. Nobody is charged for that.
func seenAgain(tx records.Writer, known, now *records.Node) (Effect, error) {
	if !now.Seen.After(known.Seen) {
		return Unchanged, nil
	}
	known.Seen = now.Seen
	return Unchanged, tx.PutNode(known)
}

// verify verifies the signatures of a token and returns what is to be kept of it.
func (r *Registry) verify(ctx context.Context, s *Session, t *xlreg.Token) (xlreg.Token, error) {
	kept := xlreg.Token{
		Name: t.Name, Attrs: t.Attrs, ID: t.ID,
		CommsKey: t.CommsKey, SigKey: t.SigKey, Endpoints: t.Endpoints,
	}
	if err := checkClaims(s, t); err != nil {
		return kept, err
	}
	err := r.prove(ctx, s, proofOfToken(s, t), func() error { return verifyToken(s, t) })
	if s.Protocol.Classic() {
		kept.Attrs &= xlreg.KnownNodeAttrs
		return kept, err
	}
	kept.Labels, kept.Certificate, kept.CommsSig, kept.DigSig2 = t.Labels, t.Certificate, t.CommsSig, t.DigSig2
	return kept, err
}

// verifyToken verifies what a node proves when it registers. Over 2.0 the certificate
// that the token gives rise to must be the one that was shown, before any signature
// counts.
func verifyToken(s *Session, t *xlreg.Token) error {
	if s.Protocol.Classic() {
		return keys.VerifyClassic(t)
	}
	if err := keys.VerifyCertificate(t, s.Certificate); err != nil {
		return err
	}
	if err := keys.VerifyToken(t); err != nil {
		return err
	}
	return keys.VerifyComms(t)
}

// checkClaims looks at what a token must be like before its signature matters.
func checkClaims(s *Session, t *xlreg.Token) error {
	switch {
	case s.Protocol.Classic():
		return nil
	case s.SigKey == "":
		return xlreg.ErrIdentityRequired
	case t.Attrs&^xlreg.KnownNodeAttrs != 0:
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "attrs %#x", uint64(t.Attrs))
	}
	return nil
}

// bindKey gives a node over 2.0 the ID that its sig key has, or a new one. It returns
// what is known of the node, nil if it is new.
func (r *Registry) bindKey(tx records.Writer, node *xlreg.Token) (known *records.Node, err error) {
	sum := keys.KeySum(node.SigKey)
	node.ID, err = tx.NodeOfKey(sum)
	if err == nil {
		n, err := tx.Node(node.ID)
		if found, err := exists(err); !found {
			return nil, err
		}
		return &n, err
	}
	if !records.IsNotFound(err) {
		return nil, err
	}
	id, err := r.freeID(tx.Reader)
	if err != nil {
		return nil, err
	}
	node.ID = xlreg.NodeID(id)
	return nil, tx.BindKey(sum, node.ID)
}

// bindID settles the ID of a node over a classic carrier, and returns what is known of
// the node, nil if it is new.
func (r *Registry) bindID(tx records.Reader, node *xlreg.Token) (known *records.Node, err error) {
	if node.ID == "" {
		id, err := r.freeID(tx)
		node.ID = xlreg.NodeID(id)
		return nil, err
	}
	before, err := tx.Node(node.ID)
	if err == nil && before.Token.SigKey == node.SigKey {
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
func (r *Registry) LogIn(ctx context.Context, s *Session, id, digSig []byte) (xlreg.Token, error) {
	if !s.Protocol.Classic() && s.SigKey == "" {
		return xlreg.Token{}, xlreg.ErrIdentityRequired
	}
	node, err := r.node(ctx, xlreg.NodeID(id))
	if err != nil {
		return xlreg.Token{}, orKind(err, xlreg.ErrBadSignature)
	}
	if s.Protocol.Classic() {
		err = s.inTurn(ctx, func() error { return keys.VerifyLogin(node.Token.SigKey, s.Salt, node.Token.ID, digSig) })
	} else if node.Token.SigKey != s.SigKey {
		err = xlreg.ErrBadSignature
	}
	if err == nil {
		err = r.seen(ctx, &node)
	}
	if err != nil {
		return xlreg.Token{}, err
	}
	s.is(&node.Token, false)
	return node.Token, nil
}

func (r *Registry) node(ctx context.Context, id xlreg.NodeID) (n records.Node, err error) {
	err = r.view(ctx, func(tx records.Reader) (err error) {
		n, err = tx.Node(id)
		return orKind(err, xlreg.ErrBadSignature)
	})
	return n, err
}

// seen notes, once a day, that a node has logged in.
func (r *Registry) seen(ctx context.Context, n *records.Node) error {
	today := records.Day(r.clock.Now())
	if !today.After(n.Seen) {
		return nil
	}
	return r.update(ctx, func(tx records.Writer) error {
		known, err := tx.Node(n.Token.ID)
		if err != nil {
			return orKind(err, xlreg.ErrBadSignature) // forgotten in between
		}
		_, err = seenAgain(tx, &known, &records.Node{Seen: today})
		return err
	})
}
