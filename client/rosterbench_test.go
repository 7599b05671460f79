package client_test

import (
	"crypto/ed25519"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// The kinds of key that members are measured with.
var benchKinds = []keys.Kind{keys.RSA, keys.P256}

// BenchmarkVerifyKeyed measures on one processor what it takes a member to verify the
// roster of a keyed cluster of 64, each of whom came with an invite of their own, which is
// the dearest way. It is held against as many times one signature check of the members'
// kind of key and two of Ed25519, for the invite and for its use. A member has two keys and
// proves both, so that there are two checks of the kind. The goals for verify/checks are
// 1.5 with RSA keys and 2.5 with keys on P-256.
func BenchmarkVerifyKeyed(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, kind := range benchKinds {
		nodes := benchNodes(b, kind)
		roster := invited(b, benchRoster(b, nodes))
		b.Run(string(kind), func(b *testing.B) { verifyKeyed(b, roster, nodes) })
	}
}

func verifyKeyed(b *testing.B, roster *xlreg.Roster, nodes []*identity.Node) {
	b.Helper()
	var verified, checks, ratios []float64
	for range max(9, b.N) {
		began := time.Now()
		if _, err := client.Verify(roster); err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		check := timeSignatures(b, nodes)
		verified, checks = append(verified, took.Seconds()*1000), append(checks, check.Seconds()*1000)
		ratios = append(ratios, took.Seconds()/check.Seconds())
	}
	b.ReportMetric(middle(verified), "ms/roster")
	b.ReportMetric(middle(checks), "ms/checks")
	b.ReportMetric(middle(ratios), "verify/checks")
	b.ReportMetric(0, "ns/op")
}

// invited makes a roster one of a keyed cluster to which everybody came with an invite of
// their own.
func invited(b *testing.B, r *xlreg.Roster) *xlreg.Roster {
	b.Helper()
	owner := keys.NewOwner()
	r.Cluster.Key = owner.Public()
	for i := range r.Members {
		t := &r.Members[i].Token
		invite := must[*keys.Inviter](b)(owner.Invite(r.Cluster.Name, time.Now().Add(time.Hour), 1))
		t.Seat.Admission = wire.EncodeAdmission(must[xlreg.Admission](b)(invite.Admit(t.SigKey)))
	}
	return r
}

// timeSignatures checks for each node one signature of its sig key and two of Ed25519, with
// keys that have been read.
func timeSignatures(b *testing.B, nodes []*identity.Node) time.Duration {
	b.Helper()
	text := make([]byte, 32)
	sigs := make([][]byte, len(nodes))
	for i, n := range nodes {
		sigs[i] = must[[]byte](b)(n.Keys().Sig.Sign(keys.SchemeToken, text))
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	sig := ed25519.Sign(private, text)
	began := time.Now()
	for i, n := range nodes {
		ok := n.Keys().Sig.Public().Verify(keys.SchemeToken, text, sigs[i])
		if !ok || !ed25519.Verify(public, text, sig) || !ed25519.Verify(public, text, sig) {
			b.Fatal("refused")
		}
	}
	return time.Since(began)
}

// BenchmarkRosterBytes measures how long the answer with all of 64 members is, for each of
// them. The goals are 1.6 KB with RSA keys and 0.7 KB with keys on P-256, in open clusters.
func BenchmarkRosterBytes(b *testing.B) {
	for _, kind := range benchKinds {
		open := benchRoster(b, benchNodes(b, kind))
		for i := range open.Members {
			open.Members[i].Token.Seat.Joined = time.Now()
		}
		size := sizeOf(b, open)
		keyed := sizeOf(b, invited(b, open))
		b.Run(string(kind), func(b *testing.B) {
			b.ReportMetric(size, "bytes/member")
			b.ReportMetric(keyed, "bytes/member-invited")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func sizeOf(b *testing.B, r *xlreg.Roster) float64 {
	b.Helper()
	encoded := must[*wire.EncodedRoster](b)(wire.EncodeRoster(r, xlreg.Protocol20))
	m := encoded.Message(xlreg.AllSeats(), math.MaxInt)
	return float64(m.Size()) / float64(len(r.Members))
}

// middle returns the median.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
