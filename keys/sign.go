package keys

import (
	"crypto/sha1" // what the classic signatures are made with; sections 4 and 5
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xlattice/xlreg"
)

// tokenContext separates the signature of a 2.0 token from everything else that
// the same key may sign (section 7).
const tokenContext = "xlreg token 2.0\x00"

// commsContext does the same for a signature by a comms key.
const commsContext = "xlreg comms 2.0\x00"

// SignClassic returns the classic signature of t, its DigSig (section 4).
func SignClassic(key Private, t *xlreg.Token) ([]byte, error) {
	digest := classicDigest(t)
	sig, err := key.Sign(SchemeClassic, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	return sig, nil
}

// VerifyClassic holds t's DigSig against its SigKey. A signature or a key that is
// no good is an error of kind xlreg.ErrBadSignature.
func VerifyClassic(t *xlreg.Token) error {
	key, err := signingKey(t.SigKey, xlreg.Protocol19)
	if err != nil {
		return err
	}
	digest := classicDigest(t)
	if !key.Verify(SchemeClassic, digest[:], t.DigSig) {
		return xlreg.Errorf(xlreg.ErrBadSignature, "classic signature of %q", t.Name)
	}
	return nil
}

// SignLogin returns what proves, over a classic carrier, that the client holds
// the sig key of id: a signature over this session's salt2 and the ID (section 5).
func SignLogin(key Private, salt2 []byte, id xlreg.NodeID) ([]byte, error) {
	digest := loginDigest(salt2, id)
	sig, err := key.Sign(SchemeClassic, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign log-in: %w", err)
	}
	return sig, nil
}

// VerifyLogin holds what SignLogin returned against key. A signature or a key
// that is no good is an error of kind xlreg.ErrBadSignature.
func VerifyLogin(key xlreg.SigKey, salt2 []byte, id xlreg.NodeID, sig []byte) error {
	public, err := signingKey(key, xlreg.Protocol19)
	if err != nil {
		return err
	}
	digest := loginDigest(salt2, id)
	if !public.Verify(SchemeClassic, digest[:], sig) {
		return xlreg.Errorf(xlreg.ErrBadSignature, "log-in of %v", id)
	}
	return nil
}

// SignToken returns the 2.0 signature of t, its DigSig2 (section 7). It covers all that
// the node says of itself, and so needs t.Certificate and t.Labels to be there already.
func SignToken(key Private, t *xlreg.Token) ([]byte, error) {
	der, err := BuildCertificate(t)
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	digest := tokenDigest(t, der)
	sig, err := key.Sign(SchemeToken, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	return sig, nil
}

// VerifyToken holds t's DigSig2 against its SigKey, which 2.0 has to accept. A signature
// or a key that is no good is an error of kind xlreg.ErrBadSignature, and a token from
// which no certificate follows one of kind xlreg.ErrIllFormedToken.
func VerifyToken(t *xlreg.Token) error {
	key, err := signingKey(t.SigKey, xlreg.Protocol20)
	if err != nil {
		return err
	}
	return verifyToken(key, t)
}

func verifyToken(key Public, t *xlreg.Token) error {
	der, err := BuildCertificate(t)
	if err != nil {
		return err
	}
	digest := tokenDigest(t, der)
	if !key.Verify(SchemeToken, digest[:], t.DigSig2) {
		return xlreg.Errorf(xlreg.ErrBadSignature, "2.0 signature of %q", t.Name)
	}
	return nil
}

// SignComms returns what proves that t's node has its comms key: a signature by that
// key over both of the node's keys (section 7). It stays the same as long as they do.
func SignComms(comms Private, t *xlreg.Token) ([]byte, error) {
	digest := commsDigest(t)
	sig, err := comms.Sign(SchemeToken, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign comms key: %w", err)
	}
	return sig, nil
}

// VerifyComms holds t's CommsSig against its CommsKey, which 2.0 has to accept. A
// signature or a key that is no good is an error of kind xlreg.ErrBadSignature.
func VerifyComms(t *xlreg.Token) error {
	key, err := ParseFor(t.CommsKey, xlreg.Protocol20)
	if err != nil {
		return xlreg.Errorf(xlreg.ErrBadSignature, "comms key: %v", err)
	}
	return verifyComms(key, t)
}

func verifyComms(key Public, t *xlreg.Token) error {
	digest := commsDigest(t)
	if !key.Verify(SchemeToken, digest[:], t.CommsSig) {
		return xlreg.Errorf(xlreg.ErrBadSignature, "signature by the comms key of %q", t.Name)
	}
	return nil
}

// HasProofs reports whether t has any of what proves over 2.0 what a node says. A node
// that registered over a classic carrier has none of it, and every other has all of it:
// where a part is missing somebody took it away, and VerifyMember says so.
func HasProofs(t *xlreg.Token) bool {
	return len(t.DigSig2) > 0 || len(t.Certificate) > 0 || len(t.CommsSig) > 0
}

// VerifyMember verifies all the proofs of a member that has them: that both keys are ones
// that 2.0 accepts, that a certificate follows from the token, and both signatures. It
// does not look at the names and addresses, which Token.Validate does, nor at the owner's
// leave, which VerifyAdmission does. A key that is no good is an error of kind
// xlreg.ErrIllFormedToken, and whatever else is wrong one of kind xlreg.ErrBadSignature.
func VerifyMember(t *xlreg.Token) error {
	sig, err := ParseFor(t.SigKey, xlreg.Protocol20)
	if err != nil {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "sig key: %v", err)
	}
	comms, err := ParseFor(t.CommsKey, xlreg.Protocol20)
	if err != nil {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "comms key: %v", err)
	}
	err = verifyToken(sig, t)
	if errors.Is(err, xlreg.ErrIllFormedToken) {
		return xlreg.Errorf(xlreg.ErrBadSignature, "%v", err)
	}
	if err != nil {
		return err
	}
	return verifyComms(comms, t)
}

func signingKey(k xlreg.SigKey, p xlreg.Protocol) (Public, error) {
	key, err := Parse(k)
	if err != nil {
		return nil, xlreg.Errorf(xlreg.ErrBadSignature, "sig key: %v", err)
	}
	if err := key.Check(p); err != nil {
		return nil, xlreg.Errorf(xlreg.ErrBadSignature, "sig key of %v", err)
	}
	return key, nil
}

// classicDigest runs the fields together without lengths, as deployed peers do.
func classicDigest(t *xlreg.Token) [sha1.Size]byte {
	b := make([]byte, 0, 1024)
	b = append(b, t.Name...)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Attrs))
	b = append(b, t.CommsKey...)
	b = append(b, t.SigKey...)
	for _, e := range t.Endpoints {
		b = append(b, e...)
	}
	return sha1.Sum(b)
}

func loginDigest(salt2 []byte, id xlreg.NodeID) [sha1.Size]byte {
	b := make([]byte, 0, 64)
	b = append(b, salt2...)
	return sha1.Sum(append(b, id...))
}

func tokenDigest(t *xlreg.Token, certificate []byte) [sha256.Size]byte {
	shown := sha256.Sum256(certificate)
	var attrs [8]byte
	binary.LittleEndian.PutUint64(attrs[:], uint64(t.Attrs))

	b := make([]byte, 0, 2048)
	b = append(b, tokenContext...)
	b = appendField(b, t.Name)
	b = appendField(b, attrs[:])
	b = appendField(b, t.CommsKey)
	b = appendField(b, t.SigKey)
	b = appendField(b, shown[:])
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.Endpoints)))
	for _, e := range t.Endpoints {
		b = appendField(b, e)
	}
	// Labels came later. Without them the signature is what it was.
	if len(t.Labels) > 0 {
		b = appendField(b, t.Labels)
	}
	return sha256.Sum256(b)
}

func commsDigest(t *xlreg.Token) [sha256.Size]byte {
	b := make([]byte, 0, 2048)
	b = append(b, commsContext...)
	b = appendField(b, t.CommsKey)
	b = appendField(b, t.SigKey)
	return sha256.Sum256(b)
}

// appendField appends one field of a 2.0 signature: its length in four bytes, the
// highest first, and the field. Fields of a token are far below 4 GiB.
func appendField[T ~string | ~[]byte](b []byte, field T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
	return append(b, field...)
}
