package wire_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

func member(t tester, specs *xlregpb.XLRegMsg_Token, p xlreg.Protocol) (wire.MemberRequest, error) {
	t.Helper()
	return raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpMember), MemberSpecs: specs}).Member(p)
}

func goodSpecs() *xlregpb.XLRegMsg_Token {
	return &xlregpb.XLRegMsg_Token{
		Name:     proto.String("m0"),
		Attrs:    proto.Uint64(0),
		CommsKey: key2048(),
		SigKey:   key2048(),
		MyEnds:   []string{"h:1"},
	}
}

// ofSize returns specs whose encoding has size bytes.
func ofSize(size int) *xlregpb.XLRegMsg_Token {
	specs := goodSpecs()
	specs.DigSig2 = make([]byte, size/2)
	specs.DigSig2 = make([]byte, size/2+size-proto.Size(specs))
	return specs
}

func ecKey(t tester, curve elliptic.Curve) []byte {
	t.Helper()
	return publicDER(&must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(curve, rand.Reader)).PublicKey)
}

func rsaKey(bits, exponent int) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return publicDER(&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: exponent})
}

func TestMemberRefuses(t *testing.T) {
	key := key2048()
	for name, change := range map[string]func(*xlregpb.XLRegMsg_Token){
		"no name":                func(s *xlregpb.XLRegMsg_Token) { s.Name = nil },
		"name of 129 characters": func(s *xlregpb.XLRegMsg_Token) { s.Name = proto.String(strings.Repeat("a", 129)) },
		"name not of UTF-8":      func(s *xlregpb.XLRegMsg_Token) { s.Name = proto.String("a\xff") },
		"17 endpoints":           func(s *xlregpb.XLRegMsg_Token) { s.MyEnds = strings.Split(strings.Repeat("h:1,", 16)+"h:1", ",") },
		"no port":                func(s *xlregpb.XLRegMsg_Token) { s.MyEnds = []string{"h"} },
		"ID of 19 bytes":         func(s *xlregpb.XLRegMsg_Token) { s.ID = make([]byte, 19) },
		"ID of 33 bytes":         func(s *xlregpb.XLRegMsg_Token) { s.ID = make([]byte, 33) },
		"no comms key":           func(s *xlregpb.XLRegMsg_Token) { s.CommsKey = nil },
		"no sig key":             func(s *xlregpb.XLRegMsg_Token) { s.SigKey = nil },
		"EC key":                 func(s *xlregpb.XLRegMsg_Token) { s.SigKey = ecKey(t, elliptic.P384()) },
		"200-bit key":            func(s *xlregpb.XLRegMsg_Token) { s.CommsKey = rsaKey(200, 65537) },
		"1023-bit key":           func(s *xlregpb.XLRegMsg_Token) { s.CommsKey = rsaKey(1023, 65537) },
		"8193-bit key":           func(s *xlregpb.XLRegMsg_Token) { s.SigKey = rsaKey(8193, 65537) },
		"exponent 1":             func(s *xlregpb.XLRegMsg_Token) { s.SigKey = rsaKey(2048, 1) },
		"exponent 65536":         func(s *xlregpb.XLRegMsg_Token) { s.SigKey = rsaKey(2048, 65536) },
		"bytes after a key":      func(s *xlregpb.XLRegMsg_Token) { s.SigKey = slices.Concat(key, []byte{0}) },
		"half a key":             func(s *xlregpb.XLRegMsg_Token) { s.CommsKey = key[:len(key)/2] },
		"large certificate":      func(s *xlregpb.XLRegMsg_Token) { s.Certificate = make([]byte, xlreg.MaxCertificateLen+1) },
		"unknown fields of 12 KiB": func(s *xlregpb.XLRegMsg_Token) {
			b := protowire.AppendTag(nil, 99, protowire.BytesType)
			s.ProtoReflect().SetUnknown(protowire.AppendBytes(b, make([]byte, xlreg.MaxTokenLen)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range protocols {
				specs := goodSpecs()
				change(specs)
				_, err := member(t, specs, p)
				wantKind(t, err, xlreg.ErrIllFormedToken)
			}
		})
	}
	_, err := raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpMember)}).Member(xlreg.Protocol20)
	wantKind(t, err, xlreg.ErrIllFormedToken)
}

func TestKeySizesOfCarriers(t *testing.T) {
	for name, change := range map[string]func(*xlregpb.XLRegMsg_Token){
		"comms": func(s *xlregpb.XLRegMsg_Token) { s.CommsKey = key1024() },
		"sig":   func(s *xlregpb.XLRegMsg_Token) { s.SigKey = key1024() },
	} {
		t.Run(name, func(t *testing.T) {
			specs := goodSpecs()
			change(specs)
			must[wire.MemberRequest](t)(member(t, specs, xlreg.Protocol18))
			must[wire.MemberRequest](t)(member(t, specs, xlreg.Protocol19))
			_, err := member(t, specs, xlreg.Protocol20)
			wantKind(t, err, xlreg.ErrIllFormedToken)
		})
	}
}

func TestKeyKindsOfCarriers(t *testing.T) {
	for name, change := range map[string]func(*xlregpb.XLRegMsg_Token){
		"comms": func(s *xlregpb.XLRegMsg_Token) { s.CommsKey = ecKey(t, elliptic.P256()) },
		"sig":   func(s *xlregpb.XLRegMsg_Token) { s.SigKey = ecKey(t, elliptic.P256()) },
	} {
		t.Run(name, func(t *testing.T) {
			specs := goodSpecs()
			change(specs)
			must[wire.MemberRequest](t)(member(t, specs, xlreg.Protocol20))
			for _, p := range classics {
				_, err := member(t, specs, p)
				wantKind(t, err, xlreg.ErrIllFormedToken)
			}
		})
	}
}

func TestTokenSizes(t *testing.T) {
	for p, limit := range map[xlreg.Protocol]int{xlreg.Protocol18: 8 << 10, xlreg.Protocol19: 8 << 10, xlreg.Protocol20: 12 << 10} {
		largest := ofSize(limit)
		equal(t, proto.Size(largest), limit)
		must[wire.MemberRequest](t)(member(t, largest, p))
		largest.Certificate = make([]byte, xlreg.MaxCertificateLen)
		must[wire.MemberRequest](t)(member(t, largest, p))
		_, err := member(t, ofSize(limit+1), p)
		wantKind(t, err, xlreg.ErrIllFormedToken)
	}
}

// Over a classic carrier nothing is taken for more than deployed peers can say.
func TestClassicTokenHasNoProofs(t *testing.T) {
	sent := newToken(t)
	for _, p := range classics {
		got := must[wire.MemberRequest](t)(travel(t, wire.NewMember(&sent)).Member(p)).Token
		want := sent
		want.DigSig2, want.Certificate, want.CommsSig, want.Labels, want.Seat = nil, nil, nil, nil, xlreg.SeatState{}
		equal(t, *got, want)
	}
}

func TestLabelsOfToken(t *testing.T) {
	one := must[[]byte](t)(wire.EncodeLabels([]xlreg.Label{{Key: "a"}}))
	for name, c := range map[string]struct {
		labels, want []byte
	}{
		"none":       {nil, nil},
		"one":        {one, one},
		"empty":      {[]byte{}, []byte{}},
		"ill-formed": {[]byte("no"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			specs := goodSpecs()
			specs.Labels = c.labels
			must[wire.MemberRequest](t)(member(t, specs, xlreg.Protocol19))
			r, err := member(t, specs, xlreg.Protocol20)
			if name == "ill-formed" {
				wantKind(t, err, xlreg.ErrIllFormedToken)
				return
			}
			equal(t, err, nil)
			equal(t, r.Token.Labels, c.want)
		})
	}
}

// A token as large as a registry takes must not make rosters unreadable when
// the registry has added what it adds.
func TestLargestTokenInRoster(t *testing.T) {
	specs := ofSize(xlreg.MaxTokenLen)
	specs.Attrs = nil
	specs.DigSig2 = append(specs.DigSig2, 0, 0)
	equal(t, proto.Size(specs), xlreg.MaxTokenLen)
	token := *must[wire.MemberRequest](t)(member(t, specs, xlreg.Protocol20)).Token
	token.ID, token.Seat = newToken(t).ID, newToken(t).Seat
	token.Attrs = 1<<64 - 1
	token.Seat.Admission = make([]byte, wire.MaxAdmissionLen)
	token.Seat.Run = xlreg.Run(make([]byte, xlreg.MaxRunLen))
	token.Seat.Lease = (1<<32 - 1) * time.Millisecond
	roster := &xlreg.Roster{Cluster: newCluster(), Members: []xlreg.Member{{Index: 0, Token: token}}}
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20))
	got := must[*wire.RosterReply](t)(travel(t, encoded.Message(xlreg.AllSeats(), xlreg.MaxReplyFrame)).Roster(xlreg.Protocol20))
	equal(t, got.Members, roster.Members)
}
