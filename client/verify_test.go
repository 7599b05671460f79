package client

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
)

func generated(t *testing.T, bits int) keys.Private {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	private, err := keys.NewPrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// signedRoster is a roster of n members that share a key.
func signedRoster(t *testing.T, n int) *xlreg.Roster {
	t.Helper()
	key := generated(t, 2048)
	set, err := keys.NewSet(key, key)
	if err != nil {
		t.Fatal(err)
	}
	r := &xlreg.Roster{Cluster: xlreg.Cluster{Name: "c", MaxSize: n}}
	for i := range n {
		node, err := identity.NewNode(identity.Options{Name: xlreg.Name(fmt.Sprintf("m%d", i)), Keys: set})
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := node.Token(xlreg.Protocol20, xlreg.NodeID(fmt.Sprintf("%-20d", i)), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r.Members = append(r.Members, xlreg.Member{Index: i, Token: *token})
	}
	return r
}

func TestVerifyNamesTheFirstThatFails(t *testing.T) {
	r := signedRoster(t, 20)
	for _, i := range []int{17, 5, 11} {
		r.Members[i].Token.Attrs = 1
	}
	v := verifier{protocol: xlreg.Protocol20}
	if _, err := v.verify(&received{Roster: *r}, false); !errors.Is(err, xlreg.ErrBadSignature) || !strings.Contains(err.Error(), `"m5"`) {
		t.Fatalf("got %v", err)
	}
}

// What was verified is not verified again, which shows when it is made to look
// verified; and whatever differs in any part is.
func TestVerifyRemembersByContent(t *testing.T) {
	r := signedRoster(t, 1)
	good := r.Members[0].Token
	forged := good
	forged.DigSig2 = append([]byte(nil), good.DigSig2...)
	forged.DigSig2[0] ^= 1
	v := verifier{protocol: xlreg.Protocol20}
	v.last = map[xlreg.NodeID]*Member{good.ID: {Member: xlreg.Member{Token: forged}, Verified: true}}
	r.Members[0].Token = forged
	if _, err := v.verify(&received{Roster: *r}, false); err != nil {
		t.Fatalf("verified again: %v", err)
	}
	for name, change := range map[string]func(*xlreg.Token){
		"ID":          func(t *xlreg.Token) { t.ID = xlreg.NodeID(fmt.Sprintf("%-20s", "other")) },
		"name":        func(t *xlreg.Token) { t.Name = "m1" },
		"attrs":       func(t *xlreg.Token) { t.Attrs = 2 },
		"comms key":   func(t *xlreg.Token) { t.CommsKey += "x" },
		"sig key":     func(t *xlreg.Token) { t.SigKey += "x" },
		"endpoints":   func(t *xlreg.Token) { t.Endpoints = []xlreg.Endpoint{"127.0.0.1:1"} },
		"signature":   func(t *xlreg.Token) { t.DigSig2 = append([]byte{t.DigSig2[0] ^ 2}, t.DigSig2[1:]...) },
		"certificate": func(t *xlreg.Token) { t.Certificate = t.Certificate[1:] },
	} {
		changed := forged
		change(&changed)
		r.Members[0].Token = changed
		_, err := v.verify(&received{Roster: *r}, false)
		if !errors.Is(err, xlreg.ErrBadSignature) && !(strings.HasSuffix(name, "key") && errors.Is(err, xlreg.ErrIllFormedToken)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A roster that fails does not replace what is remembered.
func TestVerifyForgetsNothingOnFailure(t *testing.T) {
	r := signedRoster(t, 2)
	v := verifier{protocol: xlreg.Protocol20}
	if _, err := v.verify(&received{Roster: *r}, false); err != nil {
		t.Fatal(err)
	}
	before := v.last
	bad := &xlreg.Roster{Cluster: r.Cluster, Members: append([]xlreg.Member(nil), r.Members...)}
	bad.Members[1].Token.Attrs = 1
	if _, err := v.verify(&received{Roster: *bad}, false); err == nil {
		t.Fatal("no error")
	}
	if len(v.last) != 2 || v.last[r.Members[1].Token.ID] != before[r.Members[1].Token.ID] {
		t.Fatal("forgot")
	}
}

// What is signed may still be a key that 2.0 does not accept.
func TestVerifyLooksAtTheCommsKey(t *testing.T) {
	comms, sig := generated(t, 1024), generated(t, 2048)
	set, err := keys.NewSet(comms, sig)
	if err != nil {
		t.Fatal(err)
	}
	token := &xlreg.Token{Name: "m0", CommsKey: set.CommsKey, SigKey: set.SigKey}
	if token.Certificate, err = keys.NewCertificate(sig, token, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if token.CommsSig, err = keys.SignComms(comms, token); err != nil {
		t.Fatal(err)
	}
	for _, key := range []xlreg.CommsKey{set.CommsKey, "none"} {
		token.CommsKey = key
		if token.DigSig2, err = keys.SignToken(sig, token); err != nil {
			t.Fatal(err)
		}
		if err := keys.VerifyMember(token); !errors.Is(err, xlreg.ErrIllFormedToken) {
			t.Errorf("got %v", err)
		}
	}
}
