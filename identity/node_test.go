package identity

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

func testOptions() Options {
	return Options{Name: "m0", Attrs: xlreg.AttrSolo, Endpoints: []xlreg.Endpoint{"127.0.0.1:4001"}, Keys: testKeys()}
}

func memoryNode(t *testing.T) *Node {
	t.Helper()
	n, err := NewNode(testOptions())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var testID = xlreg.NodeID(strings.Repeat("\x01\xef", 16))

func testRegistry(i byte) KnownRegistry {
	return KnownRegistry{
		Sig:       keys.FormatFingerprint([32]byte{i, 0xff, 0xfe}),
		Name:      "xlReg",
		Endpoints: []xlreg.Endpoint{"203.0.113.7:56789"},
		ID:        testID,
	}
}

func mustToken(t *testing.T, n *Node, p xlreg.Protocol, now time.Time) (*xlreg.Token, []byte) {
	t.Helper()
	token, certificate, err := n.Token(p, testID, now)
	if err != nil {
		t.Fatal(err)
	}
	return token, certificate
}

func mustCertificate(t *testing.T, n *Node, now time.Time) []byte {
	t.Helper()
	der, err := n.Certificate(now)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestNewNode(t *testing.T) {
	o := testOptions()
	n, err := NewNode(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Endpoints[0] = "changed.example:1"
	if n.Name() != "m0" || n.Attrs() != xlreg.AttrSolo || n.Keys() != testKeys() || n.Dir() != "" ||
		!slices.Equal(n.Endpoints(), []xlreg.Endpoint{"127.0.0.1:4001"}) {
		t.Errorf("got %v, %v, %v, %q", n.Name(), n.Attrs(), n.Endpoints(), n.Dir())
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNewNodeRefuses(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"name":         func(o *Options) { o.Name = "a b" },
		"no name":      func(o *Options) { o.Name = "" },
		"attrs":        func(o *Options) { o.Attrs = 8 },
		"endpoint":     func(o *Options) { o.Endpoints = []xlreg.Endpoint{"a:0"} },
		"17 endpoints": func(o *Options) { o.Endpoints = slices.Repeat(o.Endpoints, 17) },
		"bits":         func(o *Options) { o.Keys, o.Bits = nil, 1024 },
		"life":         func(o *Options) { o.CertificateLife = time.Hour },
		"life below 0": func(o *Options) { o.CertificateLife = -1 },
	} {
		o := testOptions()
		change(&o)
		if _, err := NewNode(o); err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

func TestTokenOfEachProtocol(t *testing.T) {
	n := memoryNode(t)
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
		token, certificate := mustToken(t, n, p, testTime)
		if certificate != nil || token.DigSig2 != nil || token.ID != testID {
			t.Errorf("%v: got %+v and %d bytes of certificate", p, token, len(certificate))
		}
		if err := keys.VerifyClassic(token); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	token, certificate := mustToken(t, n, xlreg.Protocol20, testTime)
	if token.DigSig != nil || token.ID != testID {
		t.Errorf("got %+v", token)
	}
	wantProven(t, token, certificate)
}

// wantProven holds a token against all that a registry and a reader verify.
func wantProven(t *testing.T, token *xlreg.Token, certificate []byte) {
	t.Helper()
	if err := keys.VerifyMember(token); err != nil || !keys.HasProofs(token) {
		t.Error(err)
	}
	if err := keys.VerifyCertificate(token, certificate); err != nil {
		t.Error(err)
	}
}

func TestNodesOfEitherKind(t *testing.T) {
	for name, o := range map[string]Options{
		"default": {Name: "m0"}, "P-256": {Name: "m0", Kind: keys.P256}, "P-256 with its size": {Name: "m0", Kind: keys.P256, Bits: 256},
	} {
		n, err := NewNode(o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := o.kind()
		if got := n.Keys().Sig.Public().Kind(); got != want || n.Keys().Comms.Public().Kind() != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		token, certificate := mustToken(t, n, xlreg.Protocol20, testTime)
		wantProven(t, token, certificate)
		_, _, err = n.Token(xlreg.Protocol19, testID, testTime)
		if classic := err == nil; classic != (want == keys.RSA) {
			t.Errorf("%s: over a classic carrier: %v", name, err)
		}
	}
	if n, err := NewNode(Options{Name: "m0", Kind: keys.P256, Bits: 2048}); err == nil {
		t.Errorf("made %v", n.Keys().Sig.Public().Bits())
	}
	if _, err := NewNode(Options{Name: "m0", Kind: "DSA"}); err == nil {
		t.Error("made a node of no kind")
	}
}

// regCred.dat, by which a registry is known, has no other kind than RSA.
func TestRegistriesAreRSA(t *testing.T) {
	for name, o := range map[string]Options{
		"kind": {Name: "r", Registry: true, Kind: keys.P256}, "keys": {Name: "r", Registry: true, Keys: curveKeys()},
	} {
		if _, err := Init(t.TempDir(), o); err == nil || !strings.Contains(err.Error(), "a registry's keys are of kind RSA") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLabels(t *testing.T) {
	n := memoryNode(t)
	bare, _ := mustToken(t, n, xlreg.Protocol20, testTime)
	labels := []byte("labels")
	n.SetLabels(labels)
	labels[0] = 'L'
	token, certificate := mustToken(t, n, xlreg.Protocol20, testTime)
	if string(token.Labels) != "labels" || !bytes.Equal(token.Certificate, bare.Certificate) || !bytes.Equal(token.CommsSig, bare.CommsSig) {
		t.Errorf("got %q, or another certificate or comms signature", token.Labels)
	}
	wantProven(t, token, certificate)
	if classic, _ := mustToken(t, n, xlreg.Protocol19, testTime); classic.Labels != nil || classic.CommsSig != nil {
		t.Error("labels over a classic carrier")
	}
	for _, labels := range [][]byte{{}, nil} {
		n.SetLabels(labels)
		token, certificate := mustToken(t, n, xlreg.Protocol20, testTime)
		if token.Labels != nil {
			t.Errorf("%v became %v", labels, token.Labels)
		}
		wantProven(t, token, certificate)
	}
}

// TestTokenIsSignedOnce counts on a PSS signature being random: the same one twice
// was made once.
func TestTokenIsSignedOnce(t *testing.T) {
	n := memoryNode(t)
	first, certificate := mustToken(t, n, xlreg.Protocol20, testTime)
	second, again := mustToken(t, n, xlreg.Protocol20, testTime.Add(time.Hour))
	if !bytes.Equal(first.DigSig2, second.DigSig2) || !bytes.Equal(certificate, again) {
		t.Error("signed anew though nothing changed")
	}
	if err := n.SetRegistry(testRegistry(1)); err != nil {
		t.Fatal(err)
	}
	if err := n.SetEndpoints([]xlreg.Endpoint{"127.0.0.1:4001"}); err != nil {
		t.Fatal(err)
	}
	if same, _ := mustToken(t, n, xlreg.Protocol20, testTime); !bytes.Equal(first.DigSig2, same.DigSig2) {
		t.Error("signed anew though nothing that is signed changed")
	}
}

func TestSetEndpoints(t *testing.T) {
	n := memoryNode(t)
	_, certificate := mustToken(t, n, xlreg.Protocol20, testTime)
	mustToken(t, n, xlreg.Protocol19, testTime)

	for _, c := range []struct {
		endpoints      []xlreg.Endpoint
		newCertificate bool
	}{
		{[]xlreg.Endpoint{"127.0.0.1:4002", "127.0.0.1:4003"}, false},
		{[]xlreg.Endpoint{"127.0.0.1:4002", "b.example:1"}, true},
		{[]xlreg.Endpoint{"127.0.0.1:1", "b.example:1"}, false},
		{[]xlreg.Endpoint{"b.example:2", "127.0.0.1:1"}, true},
		{[]xlreg.Endpoint{"c.example:2", "127.0.0.1:1"}, true},
		{[]xlreg.Endpoint{"c.example:2"}, true},
		{nil, true},
	} {
		if err := n.SetEndpoints(c.endpoints); err != nil {
			t.Fatal(err)
		}
		classic, _ := mustToken(t, n, xlreg.Protocol19, testTime)
		if err := keys.VerifyClassic(classic); err != nil {
			t.Errorf("%v: %v", c.endpoints, err)
		}
		token, next := mustToken(t, n, xlreg.Protocol20, testTime)
		if err := keys.VerifyCertificate(token, next); err != nil {
			t.Errorf("%v: %v", c.endpoints, err)
		}
		if !slices.Equal(token.Endpoints, c.endpoints) || bytes.Equal(next, certificate) == c.newCertificate {
			t.Errorf("%v: endpoints %v, want a new certificate: %v", c.endpoints, token.Endpoints, c.newCertificate)
		}
		certificate = next
	}
	if err := n.SetEndpoints([]xlreg.Endpoint{"a:0"}); err == nil {
		t.Error("a bad endpoint is taken")
	}
	if got := n.Endpoints(); len(got) != 0 {
		t.Errorf("after an error the endpoints are %v", got)
	}
}

func TestCertificateIsRenewedInItsLastThird(t *testing.T) {
	o := testOptions()
	o.CertificateLife = 3 * time.Hour
	n, err := NewNode(o)
	if err != nil {
		t.Fatal(err)
	}
	first := mustCertificate(t, n, testTime)
	cert, err := x509.ParseCertificate(first)
	if err != nil {
		t.Fatal(err)
	}
	if !cert.NotBefore.Equal(testTime.Add(-time.Hour)) || !cert.NotAfter.Equal(testTime.Add(2*time.Hour)) {
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
	token, _ := mustToken(t, n, xlreg.Protocol20, testTime)
	if !bytes.Equal(first, mustCertificate(t, n, testTime.Add(time.Hour-time.Second))) {
		t.Error("renewed with more than a third to go")
	}
	second := mustCertificate(t, n, testTime.Add(time.Hour))
	if bytes.Equal(first, second) {
		t.Error("not renewed with a third to go")
	}
	renewed, _ := mustToken(t, n, xlreg.Protocol20, testTime.Add(time.Hour))
	if bytes.Equal(token.DigSig2, renewed.DigSig2) {
		t.Error("the signature is still over the old certificate")
	}
	wantProven(t, renewed, second)
	if bytes.Equal(second, mustCertificate(t, n, testTime.Add(-time.Minute))) {
		t.Error("kept though it is not valid yet")
	}
}

func TestSmallKeysAreForClassicCarriersOnly(t *testing.T) {
	o := testOptions()
	o.Keys = smallKeys()
	n, err := NewNode(o)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := mustToken(t, n, xlreg.Protocol19, testTime)
	if err := keys.VerifyClassic(token); err != nil {
		t.Error(err)
	}
	if _, _, err := n.Token(xlreg.Protocol20, "", testTime); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("got %v, want an error that says why", err)
	}
}

func TestRegistries(t *testing.T) {
	n := memoryNode(t)
	if _, ok := n.Registry(testRegistry(1).Sig); ok || len(n.Registries()) != 0 {
		t.Error("a new node knows a registry")
	}
	for i := range byte(3) {
		if err := n.SetRegistry(testRegistry(i)); err != nil {
			t.Fatal(err)
		}
	}
	changed := testRegistry(1)
	changed.Name = "another"
	changed.Sig = strings.NewReplacer("+", "-", "/", "_", "SHA256:", "").Replace(changed.Sig)
	if err := n.SetRegistry(changed); err != nil {
		t.Fatal(err)
	}
	got, ok := n.Registry(testRegistry(1).Sig)
	if !ok || got.Name != "another" || got.Sig != testRegistry(1).Sig || got.ID != testID {
		t.Errorf("got %+v", got)
	}
	got.Endpoints[0] = "changed.example:1"
	if all := n.Registries(); len(all) != 3 || all[1].Endpoints[0] != "203.0.113.7:56789" {
		t.Errorf("got %+v", all)
	}
}

func TestSetRegistryRefuses(t *testing.T) {
	n := memoryNode(t)
	for name, change := range map[string]func(*KnownRegistry){
		"sig":      func(r *KnownRegistry) { r.Sig = "SHA256:short" },
		"no sig":   func(r *KnownRegistry) { r.Sig = "" },
		"id":       func(r *KnownRegistry) { r.ID = "short" },
		"no id":    func(r *KnownRegistry) { r.ID = "" },
		"name":     func(r *KnownRegistry) { r.Name = "a b" },
		"endpoint": func(r *KnownRegistry) { r.Endpoints = []xlreg.Endpoint{"a:0"} },
	} {
		r := testRegistry(1)
		change(&r)
		if err := n.SetRegistry(r); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if len(n.Registries()) != 0 {
		t.Error("something refused is kept")
	}
	bare := KnownRegistry{Sig: testRegistry(1).Sig, ID: testID}
	if err := n.SetRegistry(bare); err != nil {
		t.Errorf("without name and endpoints: %v", err)
	}
}

func TestNodeIsSafeForConcurrentUse(t *testing.T) {
	n := memoryNode(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			endpoints := []xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("host%d.example:1", i%2))}
			err := n.SetEndpoints(endpoints)
			token, certificate, tokenErr := n.Token(xlreg.Protocol20, testID, testTime)
			err = errors.Join(err, tokenErr, n.SetRegistry(testRegistry(byte(i))))
			if err != nil {
				t.Error(err)
				return
			}
			wantProven(t, token, certificate)
			if c, err := parseCertificate(certificate); err != nil || !c.fits(token) {
				t.Errorf("certificate of other hosts than %v: %v", token.Endpoints, err)
			}
		})
	}
	wg.Wait()
	if got := len(n.Registries()); got != 8 {
		t.Errorf("%d registrations", got)
	}
}
