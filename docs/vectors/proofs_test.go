package vectors_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

func key(t *testing.T, name string) keys.Private {
	t.Helper()
	pem, err := vectors.Key(name)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.ParsePrivate(pem)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func runLogin(t *testing.T, v vectors.Vector) {
	var input struct {
		Key             string
		SigKey          vectors.Hex `json:"sig_key"`
		Salt2, ID, Sign vectors.Hex
		DigSig          vectors.Hex
	}
	var want vectors.Refusal
	decode(t, v, &input, &want)
	id := xlreg.NodeID(input.ID)
	err := keys.VerifyLogin(xlreg.SigKey(input.SigKey), input.Salt2, id, input.DigSig)
	if v.Layer != vectors.Success {
		checkRefusal(t, err, want)
	}
	if !check(t, v, err) {
		return
	}
	again, err := keys.SignLogin(key(t, input.Key), input.Salt2, id)
	if err != nil || string(again) != string(input.DigSig) {
		t.Errorf("signed %x, %v", again, err)
	}
}

// runCertificate shows a certificate as a node does when it connects and then registers.
func runCertificate(t *testing.T, v vectors.Vector) {
	var input struct {
		Certificate vectors.Hex
		Field9      vectors.Hex
		Name        xlreg.Name
		SigKey      vectors.Hex `json:"sig_key"`
		Endpoints   []xlreg.Endpoint
	}
	var want vectors.Refusal
	decode(t, v, &input, &want)
	token := &xlreg.Token{
		Name: input.Name, SigKey: xlreg.SigKey(input.SigKey), Endpoints: input.Endpoints, Certificate: input.Field9,
	}
	err := keys.VerifyCertificate(token, input.Certificate)
	if err != nil {
		checkRefusal(t, err, vectors.Refusal{Error: vectors.WireError{Code: int(xlreg.ErrIllFormedToken), Text: xlreg.ErrIllFormedToken.Error()}})
	}
	if v.Layer == vectors.Auth {
		checkRefusal(t, err, want)
	}
	// What is let through the handshake may be refused when the node registers, and nothing
	// that is well is refused in either.
	key, shown := keys.CertificateKey(input.Certificate)
	if shown != nil {
		err = shown
	}
	if !check(t, v, err) {
		return
	}
	if key != token.SigKey {
		t.Error("the handshake finds another key")
	}
	read, err := keys.ReadCertificate(input.Certificate)
	if err != nil || string(read.Field) != string(input.Field9) || read.Name != input.Name {
		t.Errorf("read as %+v, %v", read, err)
	}
}

// runServerChain holds what a server shows against what a client knows; session does so
// within a handshake.
func runServerChain(t *testing.T, v vectors.Vector) {
	var input struct {
		Chain       []vectors.Hex
		Now         time.Time
		SigKey      vectors.Hex `json:"sig_key"`
		Fingerprint string
	}
	var want struct {
		SigKey          vectors.Hex `json:"sig_key"`
		NextKey         vectors.Hex `json:"next_key"`
		NextFingerprint string      `json:"next_fingerprint"`
		NextUntil       time.Time   `json:"next_until"`
	}
	decode(t, v, &input, &want)
	chain := make([][]byte, len(input.Chain))
	for i, der := range input.Chain {
		chain[i] = der
	}
	pin := keys.Pin{SigKey: xlreg.SigKey(input.SigKey), Fingerprint: input.Fingerprint}
	got, err := keys.VerifyChain(chain, pin, input.Now)
	if !check(t, v, err) {
		return
	}
	signer, print := want.SigKey, ""
	if want.NextKey != nil {
		signer = want.NextKey
		if print, err = keys.Fingerprint(got.Signer); err != nil {
			t.Error(err)
		}
	}
	if string(got.Pinned) != string(want.SigKey) || string(got.Signer) != string(signer) || !got.Until.Equal(want.NextUntil) || print != want.NextFingerprint {
		t.Errorf("signed by %s, until %v", print, got.Until)
	}
}

type tokenInput struct {
	Protocol    string
	Message     vectors.Hex
	Certificate vectors.Hex
}

type tokenWant struct {
	Name, Attrs string
	ID          vectors.Hex
	Endpoints   []xlreg.Endpoint
	CommsKey    vectors.Hex `json:"comms_key"`
	SigKey      vectors.Hex `json:"sig_key"`
	Labels      vectors.Hex
	Signer      string
	vectors.Refusal
}

// runToken registers with a real registry, as a server does it.
func runToken(t *testing.T, v vectors.Vector) {
	var input tokenInput
	var want tokenWant
	decode(t, v, &input, &want)
	p, err := xlreg.ParseProtocol(input.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Unmarshal(input.Message)
	if err != nil {
		t.Fatal(err)
	}
	request, err := m.Member(p)
	if (err != nil) != (v.Layer == vectors.Message) {
		t.Fatalf("reading it: %v, want layer %s", err, v.Layer)
	}
	var kept xlreg.Token
	if err == nil {
		kept, err = register(t, p, request.Token, input.Certificate)
	}
	if v.Layer != vectors.Success {
		checkRefusal(t, err, want.Refusal)
	}
	if !check(t, v, err) {
		return
	}
	compareKept(t, p, &kept, &want)
	resign(t, p, request.Token, &want)
	again, err := wire.NewMember(request.Token).Append(nil)
	if filled := strings.Contains(v.Name, "filled-in"); err != nil || (string(again) == string(input.Message)) == filled {
		t.Errorf("encoded %x, %v", again, err)
	}
}

func register(t *testing.T, p xlreg.Protocol, token *xlreg.Token, certificate []byte) (xlreg.Token, error) {
	t.Helper()
	session := &registry.Session{Protocol: p}
	if !p.Classic() {
		key, err := keys.CertificateKey(certificate)
		if err != nil {
			t.Fatal(err)
		}
		session.SigKey, session.Certificate = key, certificate
	}
	db := memory.New()
	t.Cleanup(func() { _ = db.Close() })
	r, err := registry.New(registry.Config{Store: db})
	if err != nil {
		t.Fatal(err)
	}
	kept, _, err := r.Register(context.Background(), session, token, registry.AllowAll)
	return kept, err
}

func compareKept(t *testing.T, p xlreg.Protocol, kept *xlreg.Token, want *tokenWant) {
	t.Helper()
	got := []string{
		string(kept.Name), strconv.FormatUint(uint64(kept.Attrs), 10), string(kept.CommsKey), string(kept.SigKey), string(kept.Labels),
	}
	wanted := []string{want.Name, want.Attrs, string(want.CommsKey), string(want.SigKey), string(want.Labels)}
	if !slices.Equal(got, wanted) || !slices.Equal(kept.Endpoints, want.Endpoints) {
		t.Errorf("kept %q %v, want %q %v", got, kept.Endpoints, wanted, want.Endpoints)
	}
	if want.ID != nil && string(kept.ID) != string(want.ID) {
		t.Errorf("kept ID %v, want %x", kept.ID, want.ID)
	}
	if keys.HasProofs(kept) == p.Classic() {
		t.Error("proofs of 2.0 kept from a classic carrier, or not kept")
	}
	if kept.DigSig != nil {
		t.Error("the classic signature is kept")
	}
}

// resign makes the classic signature again, which takes no randomness. Over 2.0 the
// signer is whose key the token has.
func resign(t *testing.T, p xlreg.Protocol, token *xlreg.Token, want *tokenWant) {
	t.Helper()
	signer := key(t, want.Signer)
	if !p.Classic() {
		if string(signer.Public().DER()) != string(token.SigKey) {
			t.Errorf("signed by another key than %s", want.Signer)
		}
		return
	}
	sig, err := keys.SignClassic(signer, token)
	if err != nil || string(sig) != string(token.DigSig) {
		t.Errorf("signed %x, %v", sig, err)
	}
}

type step struct {
	From  string
	Wire  vectors.Hex
	Kind  string
	Plain vectors.Hex
}

// runRecorded looks at what original programs said; session looks at how.
func runRecorded(t *testing.T, v vectors.Vector) {
	var input struct {
		Generation, Key string
		Steps           []step
	}
	var want struct{ Steps []step }
	decode(t, v, &input, &want)
	if len(input.Steps) == 0 || len(input.Steps) != len(want.Steps) {
		t.Fatalf("%d steps, %d expected", len(input.Steps), len(want.Steps))
	}
	for i, s := range want.Steps[2:] {
		m, err := wire.Unmarshal(s.Plain)
		if err != nil || m.Op().String() != s.Kind {
			t.Fatalf("step %d: %v, want %s", i+2, err, s.Kind)
		}
		if m.Op() == wire.OpMember {
			verifyRecorded(t, m)
		}
	}
}

func verifyRecorded(t *testing.T, m *wire.Message) {
	t.Helper()
	r, err := m.Member(xlreg.Protocol18)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.VerifyClassic(r.Token); err != nil {
		t.Error(err)
	}
}
