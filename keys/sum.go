package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
)

// What is hashed for a roster, and what a registry signs of one, begins with one of
// these (section 7).
const (
	rosterContext = "xlreg roster 2.0\x00"
	seatContext   = "xlreg seat 2.0\x00"
	signedContext = "xlreg signed 2.0\x00"
)

// Sum is a SHA-256 that stands for a roster, or for one seat of it.
type Sum = [sha256.Size]byte

func sumOf(b string) []byte {
	sum := sha256.Sum256([]byte(b))
	return sum[:]
}

// SeatSum returns what stands for a member in the sum of a roster: all that the member
// and the owner say, and the run. It takes microseconds, and whoever has many rosters of
// one cluster keeps it with the member.
func SeatSum(t *xlreg.Token) Sum {
	b := make([]byte, 0, 4096)
	b = append(b, seatContext...)
	b = appendField(b, t.ID)
	b = appendField(b, t.Name)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Attrs))
	b = appendField(b, t.CommsKey)
	b = appendField(b, t.SigKey)
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.Endpoints)))
	for _, e := range t.Endpoints {
		b = appendField(b, e)
	}
	b = appendField(b, t.DigSig2)
	b = appendField(b, t.Certificate)
	b = appendField(b, t.CommsSig)
	b = appendField(b, t.Labels)
	b = appendField(b, t.Seat.Admission)
	b = appendField(b, t.Seat.Run)
	return sha256.Sum256(b)
}

// Seat is a member in the sum of a roster.
type Seat struct {
	Index int
	Sum   Sum // of SeatSum
}

// RosterSum returns what stands for a whole roster: two that have the same sum agree in
// all but times.
func RosterSum(r *xlreg.Roster) Sum {
	seats := make([]Seat, len(r.Members))
	for i := range r.Members {
		seats[i] = Seat{r.Members[i].Index, SeatSum(&r.Members[i].Token)}
	}
	return SumSeats(&r.Cluster, &r.State, seats)
}

// SumSeats is RosterSum of a roster whose members' sums are known. They are in the order
// of their indexes.
func SumSeats(c *xlreg.Cluster, s *xlreg.ClusterState, seats []Seat) Sum {
	b := make([]byte, 0, 512+len(seats)*(4+sha256.Size))
	b = append(b, rosterContext...)
	b = appendField(b, c.ID)
	b = appendField(b, c.Name)
	b = appendField(b, c.Key)
	b = binary.BigEndian.AppendUint32(b, uint32(c.MaxSize))
	b = binary.BigEndian.AppendUint32(b, uint32(c.EndpointCount))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Attrs))
	b = binary.BigEndian.AppendUint64(b, s.Epoch)
	b = binary.BigEndian.AppendUint64(b, s.Revision)
	b = binary.BigEndian.AppendUint32(b, uint32(len(seats)))
	for i := range seats {
		b = binary.BigEndian.AppendUint32(b, uint32(seats[i].Index))
		b = append(b, seats[i].Sum[:]...)
	}
	return sha256.Sum256(b)
}

const (
	shortSumLen   = 20 // bytes of a sum that people compare
	shortSumGroup = 4  // characters
)

// ShortSum returns the part of a sum that people compare: 160 bits, as eight groups of
// four characters with a hyphen between them. Programs compare all of it.
func ShortSum(sum Sum) string {
	digits := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:shortSumLen]))
	var text strings.Builder
	for i := range digits {
		if i > 0 && i%shortSumGroup == 0 {
			text.WriteByte('-')
		}
		text.WriteByte(digits[i])
	}
	return text.String()
}

// SignedDigest returns the digest of what a registry signs: the sum of a roster, and
// when it was the present one, in milliseconds.
func SignedDigest(sum Sum, millis uint64) Sum {
	b := make([]byte, 0, 64)
	b = append(b, signedContext...)
	b = append(b, sum[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, millis))
}

// SignRoster signs the sum of a roster with the key of a registry's leaf certificate.
func SignRoster(leaf crypto.Signer, sum Sum, millis uint64) ([]byte, error) {
	digest := SignedDigest(sum, millis)
	sig, err := leaf.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign roster: %w", err)
	}
	return sig, nil
}

// VerifyRoster holds what SignRoster returned against the key of a registry's leaf
// certificate, which VerifyChain returns.
func VerifyRoster(leaf crypto.PublicKey, sum Sum, millis uint64, sig []byte) error {
	key, ok := leaf.(*ecdsa.PublicKey)
	if !ok {
		return errors.New("signed roster: the key of the leaf certificate is not an ECDSA key")
	}
	digest := SignedDigest(sum, millis)
	if !ecdsa.VerifyASN1(key, digest[:], sig) {
		return errors.New("signed roster: the signature is not that of the leaf certificate's key")
	}
	return nil
}
