package keys

import (
	"crypto/sha256"
	"fmt"

	"github.com/xlattice/xlreg"
)

// SavedContext is how every saved roster begins (section 11.4). It separates its signature
// from everything else that the same key may sign.
const SavedContext = "xlreg saved 2.0\x00"

// SignSaved signs a saved roster, which begins with SavedContext, for the node that is to
// read it again.
func SignSaved(key Private, saved []byte) ([]byte, error) {
	digest := sha256.Sum256(saved)
	sig, err := key.Sign(SchemeToken, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign saved roster: %w", err)
	}
	return sig, nil
}

// VerifySaved holds what SignSaved returned against the key of the node that is to read
// it. A signature that is no good is an error of kind xlreg.ErrBadSignature.
func VerifySaved(key xlreg.SigKey, saved, sig []byte) error {
	public, err := signingKey(key, xlreg.Protocol20)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(saved)
	if !public.Verify(SchemeToken, digest[:], sig) {
		return xlreg.Errorf(xlreg.ErrBadSignature, "saved roster")
	}
	return nil
}
