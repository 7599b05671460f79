package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// issued makes a certificate of one key that another signs, as a registry has them.
func issued(t *testing.T, key crypto.PublicKey, signer crypto.Signer, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "xlreg"},
		NotBefore: testTime.Add(-24 * time.Hour), NotAfter: testTime.Add(24 * time.Hour), BasicConstraintsValid: true,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: template.Subject}, key, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func leafOf(t *testing.T, signer *Set, change func(*x509.Certificate)) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issued(t, key.Public(), signer.Sig.Signer(), func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		change(c)
	})
}

// caOf makes a certificate by which signer says that key is a CA.
func caOf(t *testing.T, key, signer *Set, change func(*x509.Certificate)) []byte {
	t.Helper()
	return issued(t, key.Sig.Signer().Public(), signer.Sig.Signer(), func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
		change(c)
	})
}

func same(*x509.Certificate) {}

func pinOf(keys *Set) Pin { return Pin{SigKey: keys.SigKey} }

func printOf(t *testing.T, keys *Set) Pin {
	t.Helper()
	print, err := Fingerprint(keys.SigKey)
	if err != nil {
		t.Fatal(err)
	}
	return Pin{Fingerprint: print}
}

func TestVerifyChain(t *testing.T) {
	old, next := testKeys(), otherKeys()
	leaf, oldRoot, nextRoot := leafOf(t, next, same), caOf(t, old, old, same), caOf(t, next, next, same)
	cross := caOf(t, next, old, same)
	whole := [][]byte{leaf, nextRoot, cross, oldRoot}
	for name, c := range map[string]struct {
		chain  [][]byte
		pin    Pin
		pinned *Set
		signer *Set
	}{
		"one key":                 {[][]byte{leaf, nextRoot}, pinOf(next), next, next},
		"one key, by fingerprint": {[][]byte{leaf, nextRoot}, printOf(t, next), next, next},
		"the leaf alone":          {[][]byte{leaf}, pinOf(next), next, next},
		"next":                    {whole, pinOf(next), next, next},
		"next, by fingerprint":    {whole, printOf(t, next), next, next},
		"old":                     {whole, pinOf(old), old, next},
		"old, by fingerprint":     {whole, printOf(t, old), old, next},
		"old, without roots":      {[][]byte{leaf, cross}, pinOf(old), old, next},
	} {
		got, err := VerifyChain(c.chain, c.pin, testTime)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Pinned != c.pinned.SigKey || got.Signer != c.signer.SigKey || string(got.Leaf.Raw) != string(leaf) {
			t.Errorf("%s: another key", name)
		}
		if crossed := c.pinned != c.signer; crossed == got.Until.IsZero() || crossed && !got.Until.Equal(testTime.Add(24*time.Hour)) {
			t.Errorf("%s: until %v", name, got.Until)
		}
	}
}

func TestVerifyChainRefuses(t *testing.T) {
	old, next := testKeys(), otherKeys()
	leaf, oldRoot, nextRoot := leafOf(t, next, same), caOf(t, old, old, same), caOf(t, next, next, same)
	third, err := Generate(RSA, 2048)
	if err != nil {
		t.Fatal(err)
	}
	withCross := func(change func(*x509.Certificate)) [][]byte {
		return [][]byte{leaf, nextRoot, caOf(t, next, old, change), oldRoot}
	}
	withLeaf := func(change func(*x509.Certificate)) [][]byte { return [][]byte{leafOf(t, next, change), nextRoot} }
	notCA := issued(t, next.Sig.Signer().Public(), old.Sig.Signer(), same)
	for name, c := range map[string]struct {
		chain [][]byte
		pin   Pin
		dates bool
	}{
		"nothing":                   {nil, pinOf(next), false},
		"no certificate":            {[][]byte{[]byte("leaf")}, pinOf(next), false},
		"nothing pinned":            {[][]byte{leaf, nextRoot}, Pin{}, false},
		"another key":               {[][]byte{leaf, nextRoot}, pinOf(old), false},
		"another fingerprint":       {[][]byte{leaf, nextRoot}, printOf(t, old), false},
		"fingerprint without root":  {[][]byte{leaf}, printOf(t, next), false},
		"the right root borrowed":   {[][]byte{leaf, oldRoot}, printOf(t, old), false},
		"no CA in between":          {[][]byte{leaf, nextRoot, notCA, oldRoot}, pinOf(old), false},
		"cross of another key":      {[][]byte{leaf, nextRoot, caOf(t, third, old, same), oldRoot}, pinOf(old), false},
		"cross by another key":      {[][]byte{leaf, nextRoot, caOf(t, next, third, same), oldRoot}, pinOf(old), false},
		"two steps":                 {[][]byte{leaf, caOf(t, third, old, same), caOf(t, next, third, same)}, pinOf(old), false},
		"cross over":                {withCross(func(c *x509.Certificate) { c.NotAfter = testTime.Add(-61 * time.Minute) }), pinOf(old), true},
		"cross not begun":           {withCross(func(c *x509.Certificate) { c.NotBefore = testTime.Add(61 * time.Minute) }), pinOf(old), true},
		"leaf over":                 {withLeaf(func(c *x509.Certificate) { c.NotAfter = testTime.Add(-61 * time.Minute) }), pinOf(next), true},
		"leaf not begun":            {withLeaf(func(c *x509.Certificate) { c.NotBefore = testTime.Add(61 * time.Minute) }), pinOf(next), true},
		"leaf is a CA":              {withLeaf(func(c *x509.Certificate) { c.IsCA = true }), pinOf(next), false},
		"leaf for clients":          {withLeaf(func(c *x509.Certificate) { c.ExtKeyUsage[0] = x509.ExtKeyUsageClientAuth }), pinOf(next), false},
		"a small key":               {[][]byte{leafOf(t, smallKeys(), same)}, pinOf(smallKeys()), false},
		"a key on P-256":            {[][]byte{leafOf(t, curveKeys(), same)}, pinOf(curveKeys()), false},
		"cross of a key on P-256":   {[][]byte{leafOf(t, curveKeys(), same), caOf(t, curveKeys(), old, same)}, pinOf(old), false},
		"cross shown without leaf":  {[][]byte{caOf(t, next, old, same), oldRoot}, pinOf(old), false},
		"what is no key is pinned":  {[][]byte{leaf}, Pin{SigKey: "key"}, false},
		"a certificate after it":    {[][]byte{append(leaf[:len(leaf):len(leaf)], 0), nextRoot}, pinOf(next), false},
		"no fingerprint that known": {[][]byte{leaf, nextRoot}, Pin{Fingerprint: "SHA256:"}, false},
	} {
		got, err := VerifyChain(c.chain, c.pin, testTime)
		var dates *DatesError
		if err == nil || got != nil || errors.As(err, &dates) != c.dates {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

// An hour is given to clocks that differ.
func TestVerifyChainToleratesClocks(t *testing.T) {
	old, next := testKeys(), otherKeys()
	late := func(c *x509.Certificate) { c.NotAfter = testTime.Add(-59 * time.Minute) }
	early := func(c *x509.Certificate) { c.NotBefore = testTime.Add(59 * time.Minute) }
	for _, change := range []func(*x509.Certificate){late, early} {
		chain := [][]byte{leafOf(t, next, change), caOf(t, next, old, change)}
		for _, pin := range []xlreg.SigKey{old.SigKey, next.SigKey} {
			if _, err := VerifyChain(chain, Pin{SigKey: pin}, testTime); err != nil {
				t.Error(err)
			}
		}
	}
}
