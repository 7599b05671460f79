package registry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/xlattice/xlreg"
)

// maxVerified bounds how many proofs are remembered, each in some 50 bytes.
const maxVerified = 4096

// verified remembers the proofs that have been verified lately, so that a node which
// says the same again costs no computation.
//
// That is as safe as verifying again. A signature says that the holder of a key once
// signed some text, which stays as true as it was: over a classic carrier whoever has
// seen a token can send it again in any case, and over 2.0 the handshake has proven the
// key before. What is remembered is the digest of all that was verified, of the key and
// of the signature, so that nothing else passes, and the signature itself is kept
// nowhere: a classic one would let its reader log in.
type verified struct {
	mu    sync.Mutex
	known map[proof]struct{} // guarded by mu
}

// proof is the SHA-256 of a text, the key that signed it and the signature.
type proof [sha256.Size]byte

func (v *verified) has(p proof) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.known[p]
	return ok
}

// add forgets any one of the others if there are too many: it costs its owner a second
// look.
func (v *verified) add(p proof) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = make(map[proof]struct{})
	}
	for old := range v.known {
		if len(v.known) < maxVerified {
			break
		}
		delete(v.known, old)
	}
	v.known[p] = struct{}{}
}

// prove verifies something in a turn, unless it is one of those that have been verified.
func (r *Registry) prove(ctx context.Context, s *Session, p proof, verify func() error) error {
	if r.verified.has(p) {
		return nil
	}
	err := s.inTurn(ctx, verify)
	if err == nil {
		r.verified.add(p)
	}
	return err
}

// proofOf covers each part of what is verified behind its length. The first says what
// kind of proof it is.
func proofOf(parts ...string) proof {
	h := sha256.New()
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return proof(h.Sum(nil))
}

// proofOfToken covers all that verifying t looks at, also over a classic carrier, where
// the signature itself runs the parts together.
func proofOfToken(s *Session, t *xlreg.Token) proof {
	parts := []string{
		s.Protocol.String(), string(t.Name), string(binary.BigEndian.AppendUint64(nil, uint64(t.Attrs))),
		string(t.CommsKey), string(t.SigKey),
	}
	if s.Protocol.Classic() {
		parts = append(parts, string(t.DigSig))
	} else {
		parts = append(parts, string(s.Certificate), string(t.Certificate), string(t.DigSig2), string(t.CommsSig), string(t.Labels))
	}
	for _, e := range t.Endpoints {
		parts = append(parts, string(e))
	}
	return proofOf(parts...)
}
