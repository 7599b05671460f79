package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // the classic signatures are made with it; sections 4 and 5
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/xlattice/xlreg"
)

// tokenContext separates the signature of a 2.0 token from everything else that
// the same key may sign (section 7).
const tokenContext = "xlreg token 2.0\x00"

// tokenPSS are the parameters of that signature. Another length of salt does not
// verify.
var tokenPSS = rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256}

// SignClassic returns the classic signature of t, its DigSig (section 4).
func SignClassic(key *rsa.PrivateKey, t *xlreg.Token) ([]byte, error) {
	digest := classicDigest(t)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA1, digest[:])
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
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA1, digest[:], t.DigSig); err != nil {
		return xlreg.Errorf(xlreg.ErrBadSignature, "classic signature of %q", t.Name)
	}
	return nil
}

// SignLogin returns what proves, over a classic carrier, that the client holds
// the sig key of id: a signature over this session's salt2 and the ID (section 5).
func SignLogin(key *rsa.PrivateKey, salt2 []byte, id xlreg.NodeID) ([]byte, error) {
	digest := loginDigest(salt2, id)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA1, digest[:])
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
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA1, digest[:], sig); err != nil {
		return xlreg.Errorf(xlreg.ErrBadSignature, "log-in of %v", id)
	}
	return nil
}

// SignToken returns the 2.0 signature of t, its DigSig2 (section 7). It binds t to
// certificate, the one that the client shows in its TLS handshake, in DER.
func SignToken(key *rsa.PrivateKey, t *xlreg.Token, certificate []byte) ([]byte, error) {
	digest := tokenDigest(t, certificate)
	sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &tokenPSS)
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	return sig, nil
}

// VerifyToken holds t's DigSig2 against its SigKey, which has to be long enough
// for 2.0, and certificate. It looks at nothing else in t: the comms key is for
// Token.Validate, the certificate for CheckCertificate. A signature or a key that
// is no good is an error of kind xlreg.ErrBadSignature.
func VerifyToken(t *xlreg.Token, certificate []byte) error {
	key, err := signingKey(t.SigKey, xlreg.Protocol20)
	if err != nil {
		return err
	}
	digest := tokenDigest(t, certificate)
	if err := rsa.VerifyPSS(key, crypto.SHA256, digest[:], t.DigSig2, &tokenPSS); err != nil {
		return xlreg.Errorf(xlreg.ErrBadSignature, "2.0 signature of %q", t.Name)
	}
	return nil
}

func signingKey(k xlreg.SigKey, p xlreg.Protocol) (*rsa.PublicKey, error) {
	key, err := k.Public()
	if err != nil {
		return nil, xlreg.Errorf(xlreg.ErrBadSignature, "sig key: %v", err)
	}
	if bits := key.N.BitLen(); bits < p.MinKeyBits() {
		return nil, xlreg.Errorf(xlreg.ErrBadSignature, "sig key of %d bits, want at least %d", bits, p.MinKeyBits())
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
	return sha256.Sum256(b)
}

// appendField appends one field of a 2.0 signature: its length in four bytes, the
// highest first, and the field. Fields of a token are far below 4 GiB.
func appendField[T ~string | ~[]byte](b []byte, field T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
	return append(b, field...)
}
