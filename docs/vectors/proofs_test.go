package vectors_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"

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

func verifyModern(token *xlreg.Token) error {
	if err := keys.VerifyToken(token, token.Certificate); err != nil {
		return err
	}
	if err := keys.CheckCertificate(token.Certificate, token); err != nil {
		return fmt.Errorf("%w: %w", xlreg.ErrBadSignature, err)
	}
	return nil
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

func runCertificate(t *testing.T, v vectors.Vector) {
	var input struct {
		Certificate vectors.Hex
		Name        xlreg.Name
		SigKey      vectors.Hex `json:"sig_key"`
		Endpoints   []xlreg.Endpoint
	}
	decode(t, v, &input, nil)
	token := &xlreg.Token{Name: input.Name, SigKey: xlreg.SigKey(input.SigKey), Endpoints: input.Endpoints}
	_, err := keys.CheckSelfSigned(input.Certificate)
	if (err != nil) != (v.Layer == vectors.Handshake) {
		t.Errorf("in the handshake: %v, want layer %s", err, v.Layer)
	}
	check(t, v, keys.CheckCertificate(input.Certificate, token))
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
	Signer      string
	HandedOut   *bool `json:"handed_out"`
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
	compareKept(t, &kept, &want)
	resign(t, p, request.Token, &want)
	again, err := wire.NewMember(request.Token).Append(nil)
	if err != nil || string(again) != string(input.Message) {
		t.Errorf("encoded %x, %v", again, err)
	}
}

func register(t *testing.T, p xlreg.Protocol, token *xlreg.Token, certificate []byte) (xlreg.Token, error) {
	t.Helper()
	credential := registry.Credential{Protocol: p}
	if !p.Classic() {
		key, err := keys.CheckSelfSigned(certificate)
		if err != nil {
			t.Fatal(err)
		}
		credential.SigKey, credential.Certificate = key, certificate
	}
	db := memory.New()
	t.Cleanup(func() { _ = db.Close() })
	r, err := registry.New(registry.Config{Store: db})
	if err != nil {
		t.Fatal(err)
	}
	kept, _, err := r.Register(context.Background(), credential, token, registry.AllowAll)
	return kept, err
}

func compareKept(t *testing.T, kept *xlreg.Token, want *tokenWant) {
	t.Helper()
	got := []string{string(kept.Name), strconv.FormatUint(uint64(kept.Attrs), 10), string(kept.CommsKey), string(kept.SigKey)}
	wanted := []string{want.Name, want.Attrs, string(want.CommsKey), string(want.SigKey)}
	if !slices.Equal(got, wanted) || !slices.Equal(kept.Endpoints, want.Endpoints) {
		t.Errorf("kept %q %v, want %q %v", got, kept.Endpoints, wanted, want.Endpoints)
	}
	if want.ID != nil && string(kept.ID) != string(want.ID) {
		t.Errorf("kept ID %v, want %x", kept.ID, want.ID)
	}
	if out := kept.Certificate != nil; want.HandedOut != nil && out != *want.HandedOut {
		t.Errorf("certificate kept for readers: %t, want %t", out, *want.HandedOut)
	}
	if kept.DigSig != nil {
		t.Error("the classic signature is kept")
	}
}

// resign makes the classic signature again, which takes no randomness.
func resign(t *testing.T, p xlreg.Protocol, token *xlreg.Token, want *tokenWant) {
	t.Helper()
	if !p.Classic() {
		return
	}
	sig, err := keys.SignClassic(key(t, want.Signer), token)
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
