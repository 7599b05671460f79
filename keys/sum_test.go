package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

func testRoster(t testing.TB) *xlreg.Roster {
	t.Helper()
	r := &xlreg.Roster{
		Cluster: xlreg.Cluster{
			ID: "0123456789abcdef0123", Name: "c0", Key: testOwner(t).Public(), Attrs: 1, MaxSize: 1000, EndpointCount: 2,
		},
		State: xlreg.ClusterState{Epoch: 2, Revision: 258, Orders: 7},
	}
	for i, keys := range []*Set{curveKeys(), testKeys()} {
		token := *proven(t, keys)
		token.ID = xlreg.NodeID(strings.Repeat(string(rune('a'+i)), 32))
		token.Seat = xlreg.SeatState{Admission: []byte("leave"), Run: "run"}
		r.Members = append(r.Members, xlreg.Member{Index: 300 * i, Token: token})
	}
	return r
}

// seatInput is what section 7 says, word by word.
func seatInput(t *xlreg.Token) string {
	return "xlreg seat 2.0\x00" + lp(string(t.ID)) + lp(string(t.Name)) + "\x00\x00\x00\x00\x00\x00\x00\x05" +
		lp(string(t.CommsKey)) + lp(string(t.SigKey)) + "\x00\x00\x00\x02" + lp(string(t.Endpoints[0])) + lp(string(t.Endpoints[1])) +
		lp(string(t.DigSig2)) + lp(string(t.Certificate)) + lp(string(t.CommsSig)) + lp(string(t.Labels)) +
		lp(string(t.Seat.Admission)) + lp(string(t.Seat.Run))
}

func TestSums(t *testing.T) {
	r := testRoster(t)
	var seats []string
	for i := range r.Members {
		sum := sha256.Sum256([]byte(seatInput(&r.Members[i].Token)))
		if SeatSum(&r.Members[i].Token) != sum {
			t.Errorf("seat %d has another sum", i)
		}
		seats = append(seats, string(sum[:]))
	}
	want := sha256.Sum256([]byte("xlreg roster 2.0\x00" + lp("0123456789abcdef0123") + lp("c0") + lp(string(r.Cluster.Key)) +
		"\x00\x00\x03\xe8\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x01\x02" +
		"\x00\x00\x00\x02\x00\x00\x00\x00" + seats[0] + "\x00\x00\x01\x2c" + seats[1]))
	if RosterSum(r) != want {
		t.Error("the roster has another sum")
	}
}

// All that a member and the owner say is in the sum, and no time.
func TestSumsCoverTheRoster(t *testing.T) {
	before := RosterSum(testRosterOnce(t))
	for what, change := range map[string]func(*xlreg.Roster){
		"cluster's ID":    func(r *xlreg.Roster) { r.Cluster.ID = "1123456789abcdef0123" },
		"cluster's name":  func(r *xlreg.Roster) { r.Cluster.Name = "c1" },
		"cluster's key":   func(r *xlreg.Roster) { r.Cluster.Key = "" },
		"cluster's attrs": func(r *xlreg.Roster) { r.Cluster.Attrs = 0 },
		"size":            func(r *xlreg.Roster) { r.Cluster.MaxSize++ },
		"endpoints each":  func(r *xlreg.Roster) { r.Cluster.EndpointCount++ },
		"epoch":           func(r *xlreg.Roster) { r.State.Epoch++ },
		"revision":        func(r *xlreg.Roster) { r.State.Revision++ },
		"a member less":   func(r *xlreg.Roster) { r.Members = r.Members[:1] },
		"index":           func(r *xlreg.Roster) { r.Members[1].Index++ },
		"ID":              func(r *xlreg.Roster) { r.Members[1].Token.ID = "" },
		"name":            func(r *xlreg.Roster) { r.Members[1].Token.Name = "m1" },
		"attrs":           func(r *xlreg.Roster) { r.Members[1].Token.Attrs++ },
		"comms key":       func(r *xlreg.Roster) { r.Members[1].Token.CommsKey = "" },
		"sig key":         func(r *xlreg.Roster) { r.Members[1].Token.SigKey = "" },
		"an endpoint":     func(r *xlreg.Roster) { r.Members[1].Token.Endpoints = nil },
		"signature":       func(r *xlreg.Roster) { r.Members[1].Token.DigSig2 = nil },
		"certificate":     func(r *xlreg.Roster) { r.Members[1].Token.Certificate = nil },
		"comms signature": func(r *xlreg.Roster) { r.Members[1].Token.CommsSig = nil },
		"labels":          func(r *xlreg.Roster) { r.Members[1].Token.Labels = nil },
		"admission":       func(r *xlreg.Roster) { r.Members[1].Token.Seat.Admission = nil },
		"run":             func(r *xlreg.Roster) { r.Members[1].Token.Seat.Run = "another" },
	} {
		r := testRosterOnce(t)
		change(r)
		if RosterSum(r) == before {
			t.Errorf("%s: the sum stays the same", what)
		}
	}
	r := testRosterOnce(t)
	r.State.Orders++
	seat := &r.Members[0].Token.Seat
	seat.Joined, seat.Seen, seat.Lease = testTime, testTime, 1
	if RosterSum(r) != before {
		t.Error("times are in the sum")
	}
}

// testRosterOnce has the same tokens each time, as signatures are random.
func testRosterOnce(t testing.TB) *xlreg.Roster {
	t.Helper()
	r := testRoster(t)
	for i := range r.Members {
		token := &r.Members[i].Token
		token.DigSig2, token.Certificate, token.CommsSig = []byte("sig"), []byte("cert"), []byte("comms")
	}
	return r
}

func TestShortSum(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	text := ShortSum(sum)
	digits, err := base32.StdEncoding.DecodeString(strings.ToUpper(strings.ReplaceAll(text, "-", "")))
	if err != nil || hex.EncodeToString(digits) != hex.EncodeToString(sum[:20]) {
		t.Errorf("%s: %v", text, err)
	}
	if groups := strings.Split(text, "-"); len(groups) != 8 || len(groups[0]) != 4 || text != strings.ToLower(text) {
		t.Errorf("got %s", text)
	}
}

func TestSignedRosters(t *testing.T) {
	leaf, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("roster"))
	sig, err := SignRoster(leaf, sum, 258)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("xlreg signed 2.0\x00" + string(sum[:]) + "\x00\x00\x00\x00\x00\x00\x01\x02"))
	if !ecdsa.VerifyASN1(&leaf.PublicKey, digest[:], sig) {
		t.Error("covers something else")
	}
	if err := VerifyRoster(leaf.Public(), sum, 258, sig); err != nil {
		t.Error(err)
	}
	if VerifyRoster(leaf.Public(), sum, 259, sig) == nil || VerifyRoster(leaf.Public(), digest, 258, sig) == nil {
		t.Error("another time or sum is taken")
	}
	if VerifyRoster(curveKeys().Sig.Signer().Public(), sum, 258, sig) == nil || VerifyRoster(rsaOf(testKeys()).Public(), sum, 258, sig) == nil {
		t.Error("another key is taken")
	}
}

func TestKeySum(t *testing.T) {
	want := sha256.Sum256([]byte(curveKeys().SigKey))
	if got := KeySum(curveKeys().SigKey); string(got) != string(want[:]) || len(got) != xlreg.KeySumLen {
		t.Errorf("got %x", string(got))
	}
}

func BenchmarkSums(b *testing.B) {
	r := testRoster(b)
	for len(r.Members) < 64 {
		r.Members = append(r.Members, r.Members[0])
	}
	for b.Loop() {
		RosterSum(r)
	}
}
