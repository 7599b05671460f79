package registry

import (
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
	known map[proof]proven // guarded by mu
}

// proof is the SHA-256 of a token with its signature.
type proof [sha256.Size]byte

// proven is what came of verifying one.
type proven struct {
	handOut bool // the certificate that was shown may be handed out
}

func (v *verified) get(p proof) (proven, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	result, ok := v.known[p]
	return result, ok
}

// put forgets any one of the others if there are too many: it costs its owner a second
// look.
func (v *verified) put(p proof, result proven) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = make(map[proof]proven)
	}
	for old := range v.known {
		if len(v.known) < maxVerified {
			break
		}
		delete(v.known, old)
	}
	v.known[p] = result
}

// proofOf covers all that verifying t looks at, each part behind its length: also over
// a classic carrier, where the signature itself runs them together.
func proofOf(cred *Credential, t *xlreg.Token) proof {
	h := sha256.New()
	add := func(part string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	signature, certificate := t.DigSig, ""
	if !cred.Protocol.Classic() {
		signature, certificate = t.DigSig2, string(cred.Certificate)
	}
	add(cred.Protocol.String())
	add(string(t.Name))
	add(string(binary.BigEndian.AppendUint64(nil, uint64(t.Attrs))))
	add(string(t.CommsKey))
	add(string(t.SigKey))
	add(certificate)
	add(string(signature))
	for _, e := range t.Endpoints {
		add(string(e))
	}
	return proof(h.Sum(nil))
}
