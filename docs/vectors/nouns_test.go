package vectors_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// textCase is one line of a table; each table uses some of it.
type textCase struct {
	Text    string
	OK      bool
	Hex     vectors.Hex
	Host    string
	Port    int
	Wire    vectors.Hex
	Written string
	Code    int
}

func runText(t *testing.T, v vectors.Vector) {
	checkers := map[string]func(*testing.T, textCase) error{
		"ids": checkID, "names": checkName, "endpoints": checkEndpoint, "versions": checkVersion, "errors": checkErrorText,
	}
	var input struct{ Cases []textCase }
	decode(t, v, &input, nil)
	checker := checkers[v.Scenario()]
	if checker == nil || len(input.Cases) == 0 {
		t.Fatal("no such table")
	}
	for _, c := range input.Cases {
		if err := checker(t, c); (err == nil) != c.OK {
			t.Errorf("%q: got %v, want ok %t", c.Text, err, c.OK)
		}
	}
}

func checkID(t *testing.T, c textCase) error {
	node, err := xlreg.ParseNodeID(c.Text)
	cluster, clusterErr := xlreg.ParseClusterID(c.Text)
	if (err == nil) != (clusterErr == nil) {
		t.Errorf("%q: %v as a node's, %v as a cluster's", c.Text, err, clusterErr)
	}
	if err == nil && (string(node) != string(c.Hex) || string(cluster) != string(c.Hex) || node.String() != hex.EncodeToString(c.Hex)) {
		t.Errorf("%q: got %v and %v", c.Text, node, cluster)
	}
	return err
}

func checkName(t *testing.T, c textCase) error {
	name, err := xlreg.ParseName(c.Text)
	if err == nil && string(name) != c.Text {
		t.Errorf("%q: got %q", c.Text, name)
	}
	return err
}

func checkEndpoint(t *testing.T, c textCase) error {
	e, err := xlreg.ParseEndpoint(c.Text)
	if err == nil && (string(e) != c.Text || e.Host() != c.Host || e.Port() != c.Port) {
		t.Errorf("%q: got %q, host %q, port %d", c.Text, e, e.Host(), e.Port())
	}
	return err
}

func checkVersion(t *testing.T, c textCase) error {
	version, err := xlreg.ParseVersion(c.Text)
	if err != nil {
		return err
	}
	wire := binary.LittleEndian.AppendUint32(nil, uint32(version))
	if !bytes.Equal(wire, c.Wire) || version.String() != c.Written {
		t.Errorf("%q: got %x, written %q", c.Text, wire, version)
	}
	return nil
}

func checkErrorText(t *testing.T, c textCase) error {
	kind := xlreg.Kind(c.Code)
	if !kind.Valid() || kind.Error() != c.Text {
		return fmt.Errorf("code %d is %q", c.Code, kind)
	}
	if next := xlreg.Kind(c.Code + 1); next.Valid() && c.Code == len(xlreg.Kinds()) {
		t.Errorf("code %d is not in the table", next)
	}
	return nil
}

func runKey(t *testing.T, v vectors.Vector) {
	var input struct{ DER vectors.Hex }
	var want struct {
		Kind           keys.Kind
		Bits, Exponent int
		Modern         bool
	}
	decode(t, v, &input, &want)
	key, err := keys.Parse(input.DER)
	if !check(t, v, err) {
		return
	}
	if key.Kind() != want.Kind || key.Bits() != want.Bits || string(key.DER()) != string(input.DER) {
		t.Errorf("got %s of %d bits, encoded %x", key.Kind(), key.Bits(), key.DER())
	}
	standard, err := x509.ParsePKIXPublicKey(key.DER())
	if err != nil {
		t.Error(err)
	}
	if public, ok := standard.(*rsa.PublicKey); ok != (want.Kind == keys.RSA) || ok && public.E != want.Exponent {
		t.Errorf("got %v, want exponent %d", standard, want.Exponent)
	}
	// A token with this key for both is within the limits of the protocols that
	// take it.
	token := &xlreg.Token{Name: "m0", CommsKey: xlreg.CommsKey(input.DER), SigKey: xlreg.SigKey(input.DER)}
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20} {
		err := keys.CheckTokenFor(token, p)
		wantOK := want.Modern
		if p.Classic() {
			wantOK = want.Kind == keys.RSA
		}
		if (err == nil) != wantOK {
			t.Errorf("over %v: got %v, want ok %t", p, err, wantOK)
		}
	}
}

func runFingerprint(t *testing.T, v vectors.Vector) {
	var input struct {
		SigKey vectors.Hex `json:"sig_key"`
	}
	var want struct{ SSH, Fingerprint string }
	decode(t, v, &input, &want)
	got, err := keys.Fingerprint(xlreg.SigKey(input.SigKey))
	if !check(t, v, err) {
		return
	}
	if got != want.Fingerprint {
		t.Errorf("got %s, want %s", got, want.Fingerprint)
	}
	cred := &xlreg.Credentials{
		Name: "xlReg", ID: xlreg.NodeID(strings.Repeat("i", xlreg.ShortIDLen)), Version: xlreg.Version20,
		CommsKey: xlreg.CommsKey(input.SigKey), SigKey: xlreg.SigKey(input.SigKey), Endpoints: []xlreg.Endpoint{"a:1"},
	}
	text, err := regcred.Marshal(cred)
	if err != nil || !strings.Contains(string(text), "SigPubKey: "+want.SSH+"\r\n") {
		t.Errorf("SSH form: got %s, %v, want %s", text, err, want.SSH)
	}
}

func runURL(t *testing.T, v vectors.Vector) {
	var input struct{ Text string }
	var want struct {
		Endpoints   []xlreg.Endpoint
		Fingerprint string
		Canonical   bool
	}
	decode(t, v, &input, &want)
	target, err := regcred.ParseURL(input.Text)
	if !check(t, v, err) {
		return
	}
	if !slices.Equal(target.Endpoints, want.Endpoints) || target.Fingerprint != want.Fingerprint {
		t.Errorf("got %v, %s", target.Endpoints, target.Fingerprint)
	}
	again, err := target.URL()
	if err != nil || (again == input.Text) != want.Canonical {
		t.Errorf("written: %s, %v", again, err)
	}
}

func runRegCred(t *testing.T, v vectors.Vector) {
	var input struct{ Text string }
	var want struct {
		Name, ID, Version, Fingerprint, URL string
		CommsKey                            vectors.Hex `json:"comms_key"`
		SigKey                              vectors.Hex `json:"sig_key"`
		Endpoints                           []xlreg.Endpoint
		Canonical                           bool
		Line                                int
	}
	decode(t, v, &input, &want)
	cred, err := regcred.Parse([]byte(input.Text))
	if line := fmt.Sprintf("line %d:", want.Line); want.Line > 0 && err != nil && !strings.Contains(err.Error(), line) {
		t.Errorf("error %q does not name %s", err, line)
	}
	if !check(t, v, err) {
		return
	}
	print, printErr := keys.Fingerprint(cred.SigKey)
	url, urlErr := regcred.URL(cred)
	again, againErr := regcred.Marshal(cred)
	if printErr != nil || urlErr != nil || againErr != nil {
		t.Fatal(printErr, urlErr, againErr)
	}
	got := []string{string(cred.Name), cred.ID.String(), cred.Version.String(), print, url, string(cred.CommsKey), string(cred.SigKey)}
	wanted := []string{want.Name, want.ID, want.Version, want.Fingerprint, want.URL, string(want.CommsKey), string(want.SigKey)}
	if !slices.Equal(got, wanted) || !slices.Equal(cred.Endpoints, want.Endpoints) {
		t.Errorf("got %q %v, want %q %v", got, cred.Endpoints, wanted, want.Endpoints)
	}
	if (string(again) == input.Text) != want.Canonical {
		t.Errorf("written:\n%q\nread:\n%q", again, input.Text)
	}
}
