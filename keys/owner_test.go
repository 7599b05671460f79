package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

func testOwner(t testing.TB) *Owner {
	t.Helper()
	o, err := OwnerFromSeed(bytes.Repeat([]byte{0xa5}, SeedLen))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func testInviter(t testing.TB) *Inviter {
	t.Helper()
	i, err := testOwner(t).Invite("c0", testTime, 3)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func testSpec(t testing.TB) *xlreg.ClusterSpec {
	t.Helper()
	spec := &xlreg.ClusterSpec{Name: "c0", MaxSize: 5, EndpointCount: 2, Attrs: xlreg.ClusterEphemeral}
	testOwner(t).SignCreate(spec)
	return spec
}

// signedBy25519 reports whether sig is good for what is covered, to the standard library.
func signedBy25519(key xlreg.ClusterKey, covered string, sig []byte) bool {
	return ed25519.Verify(ed25519.PublicKey(key), []byte(covered), sig)
}

func TestOwnerKeys(t *testing.T) {
	a, b := NewOwner(), NewOwner()
	if a.Public() == b.Public() || len(a.Public()) != xlreg.ClusterKeyLen {
		t.Error("new keys are not new")
	}
	again, err := OwnerFromSeed(a.Seed())
	if err != nil || again.Public() != a.Public() || !bytes.Equal(again.Seed(), a.Seed()) {
		t.Errorf("from its seed: %v", err)
	}
	for _, n := range []int{0, 31, 33, 64} {
		if o, err := OwnerFromSeed(make([]byte, n)); err == nil || o != nil {
			t.Errorf("seed of %d bytes taken", n)
		}
	}
}

func TestCreateSignature(t *testing.T) {
	spec := testSpec(t)
	covered := "xlreg create 2.0\x00" + lp("c0") + lp(string(spec.Key)) + "\x00\x00\x00\x05\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01"
	if !signedBy25519(spec.Key, covered, spec.OwnerSig) {
		t.Error("covers something else")
	}
	if err := VerifyCreate(spec); err != nil {
		t.Error(err)
	}
	if err := VerifyCreate(&xlreg.ClusterSpec{Name: "open"}); err != nil {
		t.Errorf("an open cluster: %v", err)
	}
	for what, change := range map[string]func(*xlreg.ClusterSpec){
		"name":      func(s *xlreg.ClusterSpec) { s.Name = "c1" },
		"size":      func(s *xlreg.ClusterSpec) { s.MaxSize++ },
		"endpoints": func(s *xlreg.ClusterSpec) { s.EndpointCount++ },
		"attrs":     func(s *xlreg.ClusterSpec) { s.Attrs = 0 },
		"key":       func(s *xlreg.ClusterSpec) { s.Key = NewOwner().Public() },
		"short key": func(s *xlreg.ClusterSpec) { s.Key = s.Key[1:] },
		"signature": func(s *xlreg.ClusterSpec) { s.OwnerSig[0] ^= 1 },
		"none":      func(s *xlreg.ClusterSpec) { s.OwnerSig = nil },
	} {
		spec := testSpec(t)
		change(spec)
		t.Run(what, func(t *testing.T) { wantBadSignature(t, VerifyCreate(spec)) })
	}
}

func TestOrderSignature(t *testing.T) {
	o := testOwner(t)
	order := o.SignOrder([]byte("order"))
	if !signedBy25519(o.Public(), "xlreg order 2.0\x00"+lp("order"), order.Sig) || string(order.Bytes) != "order" {
		t.Error("covers something else")
	}
	if err := VerifyOrder(o.Public(), order); err != nil {
		t.Error(err)
	}
	wantBadSignature(t, VerifyOrder(NewOwner().Public(), order))
	wantBadSignature(t, VerifyOrder("", order))
	wantBadSignature(t, VerifyOrder(o.Public(), xlreg.SignedOrder{Bytes: []byte("Order"), Sig: order.Sig}))
	wantBadSignature(t, VerifyOrder(o.Public(), xlreg.SignedOrder{Bytes: order.Bytes}))
}

func TestAdmissions(t *testing.T) {
	o, key := testOwner(t), curveKeys().SigKey
	direct, err := o.Admit("c0", key)
	if err != nil {
		t.Fatal(err)
	}
	covered := "xlreg admit 2.0\x00" + lp("c0") + lp(string(o.Public())) + lp(string(key))
	if !direct.Invite.IsZero() || !signedBy25519(o.Public(), covered+lp(""), direct.Sig) {
		t.Error("the owner's leave covers something else")
	}
	i := testInviter(t)
	invited, err := i.Admit(key)
	if err != nil {
		t.Fatal(err)
	}
	public := i.Invite().Key
	if !signedBy25519(public, covered+lp(string(public)), invited.Sig) {
		t.Error("the leave of one who is invited covers something else")
	}
	for _, a := range []xlreg.Admission{direct, invited} {
		if err := VerifyAdmission("c0", o.Public(), key, a); err != nil {
			t.Error(err)
		}
		wantNotAdmitted(t, "another name", VerifyAdmission("c1", o.Public(), key, a))
		wantNotAdmitted(t, "another cluster key", VerifyAdmission("c0", NewOwner().Public(), key, a))
		wantNotAdmitted(t, "no cluster key", VerifyAdmission("c0", "", key, a))
		wantNotAdmitted(t, "another node", VerifyAdmission("c0", o.Public(), testKeys().SigKey, a))
	}
	wantNotAdmitted(t, "none", VerifyAdmission("c0", o.Public(), key, xlreg.Admission{}))
}

func wantNotAdmitted(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, xlreg.ErrNotAdmitted) {
		t.Errorf("%s: got %v, want an error of kind %v", what, err, xlreg.ErrNotAdmitted)
	}
}

// Whoever changes anything in an admission has none.
func TestAdmissionsCoverTheInvite(t *testing.T) {
	o, key := testOwner(t), curveKeys().SigKey
	for what, change := range map[string]func(*xlreg.Admission){
		"later end":       func(a *xlreg.Admission) { a.Invite.NotAfter = a.Invite.NotAfter.Add(time.Millisecond) },
		"no end":          func(a *xlreg.Admission) { a.Invite.NotAfter = time.Time{} },
		"more uses":       func(a *xlreg.Admission) { a.Invite.Uses++ },
		"any uses":        func(a *xlreg.Admission) { a.Invite.Uses = 0 },
		"invite's sig":    func(a *xlreg.Admission) { a.Invite.Sig[0] ^= 1 },
		"no invite's sig": func(a *xlreg.Admission) { a.Invite.Sig = nil },
		"no invite":       func(a *xlreg.Admission) { a.Invite = xlreg.Invite{} },
		"another invite":  func(a *xlreg.Admission) { a.Invite = testInviter(t).Invite() },
		"short key":       func(a *xlreg.Admission) { a.Invite.Key = a.Invite.Key[1:] },
		"sig":             func(a *xlreg.Admission) { a.Sig[0] ^= 1 },
		"no sig":          func(a *xlreg.Admission) { a.Sig = nil },
	} {
		a, err := testInviter(t).Admit(key)
		if err != nil {
			t.Fatal(err)
		}
		change(&a)
		wantNotAdmitted(t, what, VerifyAdmission("c0", o.Public(), key, a))
	}
	// No owner of ours makes such an invite, but one of another program could.
	i := &Inviter{secret: randomSecret(), name: "c0", cluster: o.Public()}
	i.invite = xlreg.Invite{Key: i.secret.public(), Uses: xlreg.MaxInviteUses + 1}
	i.invite.Sig = o.secret.sign(inviteMessage("c0", o.Public(), &i.invite))
	a := xlreg.Admission{Invite: i.invite, Sig: i.secret.sign(admitMessage("c0", o.Public(), key, i.invite.Key))}
	wantNotAdmitted(t, "too many uses", VerifyAdmission("c0", o.Public(), key, a))
}

func TestInvites(t *testing.T) {
	o := testOwner(t)
	end := testTime.Add(1234567 * time.Nanosecond)
	i, err := o.Invite("c0", end, 3)
	if err != nil {
		t.Fatal(err)
	}
	invite := i.Invite()
	covered := "xlreg invite 2.0\x00" + lp("c0") + lp(string(o.Public())) + lp(string(invite.Key))
	millis := fmt.Sprintf("%016x", testTime.UnixMilli()+1)
	ends, err := hex.DecodeString(millis + "00000003")
	if err != nil {
		t.Fatal(err)
	}
	if !signedBy25519(o.Public(), covered+string(ends), invite.Sig) {
		t.Error("covers something else")
	}
	if !invite.NotAfter.Equal(testTime.Add(time.Millisecond)) || i.Name() != "c0" || i.Cluster() != o.Public() {
		t.Errorf("got %+v", invite)
	}
	unbounded, err := o.Invite("c0", time.Time{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	covered = "xlreg invite 2.0\x00" + lp("c0") + lp(string(o.Public())) + lp(string(unbounded.Invite().Key)) + string(make([]byte, 12))
	if !signedBy25519(o.Public(), covered, unbounded.Invite().Sig) {
		t.Error("without an end: covers something else")
	}
	for what, made := range map[string]func() (*Inviter, error){
		"no name":       func() (*Inviter, error) { return o.Invite("", testTime, 1) },
		"negative uses": func() (*Inviter, error) { return o.Invite("c0", testTime, -1) },
		"1001 uses":     func() (*Inviter, error) { return o.Invite("c0", testTime, 1001) },
		"before 1970":   func() (*Inviter, error) { return o.Invite("c0", time.Unix(0, 0), 1) },
	} {
		if i, err := made(); err == nil || i != nil {
			t.Errorf("%s: made", what)
		}
	}
}

func TestNewInviter(t *testing.T) {
	i := testInviter(t)
	got, err := NewInviter("c0", i.Cluster(), i.Seed(), i.Invite())
	if err != nil || !bytes.Equal(got.Seed(), i.Seed()) || got.Invite().Key != i.Invite().Key {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := NewInviter("c0", i.Cluster(), i.Seed()[1:], i.Invite()); err == nil {
		t.Error("a short seed is taken")
	}
	less := i.Invite()
	less.Uses = 2
	for what, made := range map[string]func() (*Inviter, error){
		"another name":    func() (*Inviter, error) { return NewInviter("c1", i.Cluster(), i.Seed(), i.Invite()) },
		"another cluster": func() (*Inviter, error) { return NewInviter("c0", NewOwner().Public(), i.Seed(), i.Invite()) },
		"another seed":    func() (*Inviter, error) { return NewInviter("c0", i.Cluster(), testInviter(t).Seed(), i.Invite()) },
		"other uses":      func() (*Inviter, error) { return NewInviter("c0", i.Cluster(), i.Seed(), less) },
	} {
		got, err := made()
		if err != nil {
			t.Fatal(err)
		}
		if a, err := got.Admit(curveKeys().SigKey); err == nil {
			t.Errorf("%s: admits: %v", what, a)
		}
	}
}

func TestMillis(t *testing.T) {
	for _, millis := range []uint64{0, 1, 999, 1000, 1767441600000, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		if got := MillisOfTime(TimeOfMillis(millis)); got != millis {
			t.Errorf("%d becomes %d", millis, got)
		}
	}
	if !TimeOfMillis(0).IsZero() || !TimeOfMillis(1<<64-1).After(testTime) {
		t.Error("no end, or the last one, is another time")
	}
	if at := TimeOfMillis(1767441600123); at.UnixMilli() != 1767441600123 {
		t.Errorf("got %v", at)
	}
}

func TestAdmitRefuses(t *testing.T) {
	o := testOwner(t)
	for what, key := range map[string]xlreg.SigKey{"no key": "", "a small key": smallKeys().SigKey, "no key at all": "key"} {
		if _, err := o.Admit("c0", key); err == nil {
			t.Errorf("the owner admits %s", what)
		}
		if _, err := testInviter(t).Admit(key); err == nil {
			t.Errorf("the invite admits %s", what)
		}
	}
	if _, err := o.Admit("no name", curveKeys().SigKey); err == nil {
		t.Error("admitted to a cluster without a name")
	}
}

// holder has keys where printing finds them by reflection alone.
type holder struct {
	owner   Owner
	inviter Inviter
	at      *Owner
}

// Seeds are not shown, however what holds them is printed or logged.
func TestSeedsAreNotShown(t *testing.T) {
	o := testOwner(t)
	i := testInviter(t)
	values := []any{o, *o, i, *i, []any{o, *i}, map[string]any{"o": *o, "i": i}, holder{*o, *i, o}, &holder{*o, *i, o}, [1]Owner{*o}}
	var out strings.Builder
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%T", "%c", "%U", "%e", "%p", "%z"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value)
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(data)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("message", "key", value)
		}
		fmt.Fprintln(&out, fmt.Errorf("wrapped: %v", value))
	}
	for what, seed := range map[string][]byte{"owner": o.Seed(), "invite": i.Seed()} {
		for _, form := range seedForms(seed) {
			if strings.Contains(out.String(), form) {
				t.Errorf("the seed of the %s is shown as %.12q", what, form)
			}
		}
	}
	if got := fmt.Sprint(Owner{}, Inviter{}); got != "no owner invite " {
		t.Errorf("of nobody: %q", got)
	}
	if !strings.Contains(out.String(), FormatClusterKey(o.Public())) || !strings.Contains(out.String(), FormatClusterKey(i.Invite().Key)) {
		t.Error("not even the public halves are shown")
	}
}

// seedForms are all ways in which a program would print some bytes, or the beginning of
// them.
func seedForms(seed []byte) []string {
	forms := []string{
		string(seed), hex.EncodeToString(seed), base64.RawURLEncoding.EncodeToString(seed), base64.StdEncoding.EncodeToString(seed)[:40],
	}
	for _, verb := range []string{"%v", "%d", "%#v", "%x", "%X", "%o", "%b", "%U", "%q", "%s"} {
		text := strings.Trim(fmt.Sprintf(verb, seed[:8]), "[]\"")
		forms = append(forms, strings.TrimSuffix(strings.TrimPrefix(text, "[]byte{"), "}"))
	}
	return forms
}
