package records

import (
	"testing"

	"github.com/xlattice/xlreg/internal/records/recordspb"
)

// What one record of each kind costs to write and to read.
func BenchmarkRecords(b *testing.B) {
	token, seat, cluster := sampleToken(), sampleSeat(63), sampleCluster()
	token.CommsKey, token.SigKey = longKey, longKey
	token.DigSig2, token.Certificate = make([]byte, 256), make([]byte, 950)
	seat.Token = token
	b.Run("encode seat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := current.encode("k", seatToPB(&seat)); err != nil {
				b.Fatal(err)
			}
		}
	})
	record, err := current.encode("k", seatToPB(&seat))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode seat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var pb recordspb.Seat
			if err := current.decode("k", record, &pb); err != nil {
				b.Fatal(err)
			}
			_ = seatFromPB(&pb)
		}
	})
	head, err := current.encode("k", clusterToPB(&cluster))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode cluster", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var pb recordspb.Cluster
			if err := current.decode("k", head, &pb); err != nil {
				b.Fatal(err)
			}
			if _, err := clusterFromPB(&pb); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// longKey is as long as the DER of an RSA key of 2048 bits.
const longKey = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
