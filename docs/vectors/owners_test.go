package vectors_test

import (
	"crypto/ed25519"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/ticket"
)

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ownerInput is what is signed, of whatever kind that is.
type ownerInput struct {
	Kind          string
	ClusterName   string      `json:"cluster_name"`
	ClusterKey    vectors.Hex `json:"cluster_key"`
	MaxSize       uint32      `json:"max_size"`
	EndpointCount uint32      `json:"endpoint_count"`
	ClusterAttrs  string      `json:"cluster_attrs"`
	SigKey        vectors.Hex `json:"sig_key"`
	InviteKey     vectors.Hex `json:"invite_key"`
	NotAfter      string      `json:"not_after_millis"`
	Uses          uint32
	Order         vectors.Hex
	Seed          vectors.Hex
	Signature     vectors.Hex
}

type ownerWant struct {
	Signed    vectors.Hex
	ClusterID vectors.Hex `json:"cluster_id"`
	Serial    string
	OrderKind uint32      `json:"order_kind"`
	KeySum    vectors.Hex `json:"sig_key_sum"`
	InviteKey vectors.Hex `json:"invite_key"`
	vectors.Refusal
}

func runOwner(t *testing.T, v vectors.Vector) {
	var input ownerInput
	var want ownerWant
	decode(t, v, &input, &want)
	checkers := map[string]func(*testing.T, *ownerInput, *ownerWant) (again []byte, err error){
		"create": checkCreate, "admit": checkAdmit, "invite": checkInvite, "order": checkOrder,
	}
	checker := checkers[input.Kind]
	if checker == nil {
		t.Fatalf("kind %q", input.Kind)
	}
	again, err := checker(t, &input, &want)
	if v.Layer != vectors.Success {
		checkRefusal(t, err, want.Refusal)
	}
	if !check(t, v, err) {
		return
	}
	if string(again) != string(input.Signature) {
		t.Errorf("signed %x, want %x", again, input.Signature)
	}
	// What is signed is not to be had from the code: that it is this, the standard library
	// says.
	signer := ed25519.NewKeyFromSeed(input.Seed)
	if !ed25519.Verify(signer.Public().(ed25519.PublicKey), want.Signed, input.Signature) {
		t.Error("the signature is of other bytes")
	}
}

func checkCreate(t *testing.T, input *ownerInput, _ *ownerWant) ([]byte, error) {
	spec := &xlreg.ClusterSpec{
		Name: input.ClusterName, Key: xlreg.ClusterKey(input.ClusterKey), MaxSize: input.MaxSize,
		EndpointCount: input.EndpointCount, Attrs: xlreg.ClusterAttrs(number(t, input.ClusterAttrs)), OwnerSig: input.Signature,
	}
	err := keys.VerifyCreate(spec)
	ownerOf(t, input).SignCreate(spec)
	return spec.OwnerSig, err
}

func ownerOf(t *testing.T, input *ownerInput) *keys.Owner {
	t.Helper()
	owner, err := keys.OwnerFromSeed(input.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return owner
}

// checkAdmit takes any invite there may be: its own signature is for checkInvite.
func checkAdmit(t *testing.T, input *ownerInput, want *ownerWant) ([]byte, error) {
	name, cluster, key := xlreg.Name(input.ClusterName), xlreg.ClusterKey(input.ClusterKey), xlreg.SigKey(input.SigKey)
	a := xlreg.Admission{Invite: xlreg.Invite{Key: xlreg.ClusterKey(input.InviteKey)}, Sig: input.Signature}
	err := keys.VerifyLeave(name, cluster, key, a)
	if len(input.InviteKey) > 0 {
		return signAsIs(input, want), err
	}
	again, signErr := ownerOf(t, input).Admit(name, key)
	if signErr != nil {
		t.Error(signErr)
	}
	return again.Sig, err
}

// signAsIs stands in where our own code signs nothing without a whole invite.
func signAsIs(input *ownerInput, want *ownerWant) []byte {
	return ed25519.Sign(ed25519.NewKeyFromSeed(input.Seed), want.Signed)
}

func checkInvite(t *testing.T, input *ownerInput, want *ownerWant) ([]byte, error) {
	invite := xlreg.Invite{
		Key: xlreg.ClusterKey(input.InviteKey), NotAfter: keys.TimeOfMillis(number(t, input.NotAfter)),
		Uses: input.Uses, Sig: input.Signature,
	}
	err := keys.VerifyInvite(xlreg.Name(input.ClusterName), xlreg.ClusterKey(input.ClusterKey), &invite)
	return signAsIs(input, want), err
}

func checkOrder(t *testing.T, input *ownerInput, want *ownerWant) ([]byte, error) {
	signed := xlreg.SignedOrder{Bytes: input.Order, Sig: input.Signature}
	if err := keys.VerifyOrder(xlreg.ClusterKey(input.ClusterKey), signed); err != nil {
		return nil, err
	}
	order, err := wire.DecodeOrder(input.Order)
	if err != nil {
		return nil, err
	}
	if order.Kind < xlreg.OrderEvict || order.Kind > xlreg.OrderDelete {
		return nil, xlreg.Errorf(xlreg.ErrIllFormedToken, "%v", order.Kind) // as the rules do
	}
	got := fmt.Sprintf("%x %d %d %x %x", string(order.Cluster), order.Serial, order.Kind, string(order.KeySum), string(order.Invite))
	wanted := fmt.Sprintf("%x %s %d %x %x", []byte(want.ClusterID), want.Serial, want.OrderKind, []byte(want.KeySum), []byte(want.InviteKey))
	if got != wanted && want.Serial != "" {
		t.Errorf("got %s, want %s", got, wanted)
	}
	return ownerOf(t, input).SignOrder(input.Order).Sig, nil
}

type admissionWant struct {
	InviteKey vectors.Hex `json:"invite_key"`
	NotAfter  string      `json:"not_after_millis"`
	Uses      uint32
	InviteSig vectors.Hex `json:"invite_sig"`
	Sig       vectors.Hex
	Canonical bool
	vectors.Refusal
}

func runAdmission(t *testing.T, v vectors.Vector) {
	var input struct {
		Bytes       vectors.Hex
		ClusterName xlreg.Name  `json:"cluster_name"`
		ClusterKey  vectors.Hex `json:"cluster_key"`
		SigKey      vectors.Hex `json:"sig_key"`
	}
	var want admissionWant
	decode(t, v, &input, &want)
	a, err := wire.DecodeAdmission(input.Bytes)
	if err == nil {
		err = keys.VerifyAdmission(input.ClusterName, xlreg.ClusterKey(input.ClusterKey), xlreg.SigKey(input.SigKey), a)
	}
	if v.Layer != vectors.Success {
		checkRefusal(t, err, want.Refusal)
	}
	if !check(t, v, err) {
		return
	}
	got := fmt.Sprintf("%x %d %d %x %x", string(a.Invite.Key), keys.MillisOfTime(a.Invite.NotAfter), a.Invite.Uses, a.Invite.Sig, a.Sig)
	wanted := fmt.Sprintf("%x %s %d %x %x", []byte(want.InviteKey), want.NotAfter, want.Uses, []byte(want.InviteSig), []byte(want.Sig))
	if got != wanted {
		t.Errorf("got %s, want %s", got, wanted)
	}
	if again := wire.EncodeAdmission(a); (string(again) == string(input.Bytes)) != want.Canonical {
		t.Errorf("encoded %x, want canonical %t", again, want.Canonical)
	}
}

type ticketWant struct {
	Kind        string
	Endpoints   []xlreg.Endpoint `json:"registry_endpoints"`
	Fingerprint string
	Cluster     xlreg.Name `json:"cluster_name"`
	Size        int
	Count       int         `json:"endpoint_count"`
	ClusterKey  vectors.Hex `json:"cluster_key"`
	Seed        vectors.Hex
	InviteKey   vectors.Hex `json:"invite_key"`
	NotAfter    string      `json:"not_after_millis"`
	Uses        uint32
	InviteSig   vectors.Hex `json:"invite_sig"`
	Sig         vectors.Hex
	Canonical   bool
}

func runTicket(t *testing.T, v vectors.Vector) {
	var input struct{ Text string }
	var want ticketWant
	decode(t, v, &input, &want)
	tk, err := ticket.Parse(input.Text)
	if !check(t, v, err) {
		return
	}
	if tk.Kind().String() != want.Kind || !slices.Equal(tk.Registry.Endpoints, want.Endpoints) || tk.Registry.Fingerprint != want.Fingerprint {
		t.Errorf("got %v at %v, %s", tk, tk.Registry.Endpoints, tk.Registry.Fingerprint)
	}
	if tk.Cluster != want.Cluster || tk.Size != want.Size || tk.EndpointCount != want.Count || string(tk.Key) != string(want.ClusterKey) {
		t.Errorf("got %v of %d endpoints each", tk, tk.EndpointCount)
	}
	compareInvite(t, tk.Invite(), &want)
	if owner := tk.Owner(); owner != nil && string(owner.Seed()) != string(want.Seed) {
		t.Error("another seed")
	}
	// What else is secret shows in the text alone.
	text := tk.Text()
	if (text == input.Text) != want.Canonical {
		t.Errorf("written as %s, want canonical %t", text, want.Canonical)
	}
	again, err := ticket.Parse(text)
	if err != nil || again.Text() != text || again.Kind() != tk.Kind() {
		t.Errorf("written and read again: %v", err)
	}
}

func compareInvite(t *testing.T, invite xlreg.Invite, want *ticketWant) {
	t.Helper()
	if want.NotAfter == "" {
		if !invite.IsZero() {
			t.Error("there is an invite")
		}
		return
	}
	got := fmt.Sprintf("%x %d %d %x", string(invite.Key), keys.MillisOfTime(invite.NotAfter), invite.Uses, invite.Sig)
	wanted := fmt.Sprintf("%x %s %d %x", []byte(want.InviteKey), want.NotAfter, want.Uses, []byte(want.InviteSig))
	if got != wanted {
		t.Errorf("got %s, want %s", got, wanted)
	}
}

func runLabel(t *testing.T, v vectors.Vector) {
	type label struct {
		Key   xlreg.Name
		Value vectors.Hex
	}
	var input struct{ Bytes vectors.Hex }
	var want struct {
		Labels    []label
		Canonical bool
		vectors.Refusal
	}
	decode(t, v, &input, &want)
	labels, err := wire.DecodeLabels(input.Bytes)
	if v.Layer != vectors.Success {
		checkRefusal(t, err, want.Refusal)
	}
	if !check(t, v, err) {
		return
	}
	got := make([]label, 0, len(labels))
	for _, l := range labels {
		got = append(got, label{l.Key, append(vectors.Hex{}, l.Value...)})
	}
	if len(got)+len(want.Labels) > 0 && !reflect.DeepEqual(got, want.Labels) {
		t.Errorf("got %v, want %v", got, want.Labels)
	}
	again, err := wire.EncodeLabels(labels)
	if err != nil || (string(again) == string(input.Bytes)) != want.Canonical {
		t.Errorf("encoded %x, %v, want canonical %t", again, err, want.Canonical)
	}
}

// runSet reads a set as a request has it, where a field that is not there asks for all.
func runSet(t *testing.T, v vectors.Vector) {
	var input struct{ Bytes *vectors.Hex }
	var want struct {
		Indexes   []int
		All       bool
		Canonical bool
		vectors.Refusal
	}
	decode(t, v, &input, &want)
	if input.Bytes == nil {
		if !want.All {
			t.Error("a set that is missing is not all there is")
		}
		return
	}
	set, ok := xlreg.SeatsFromBytes(*input.Bytes)
	var err error
	if !ok {
		err = xlreg.ErrProtocol
	}
	if v.Layer != vectors.Success {
		checkRefusal(t, err, want.Refusal)
	}
	if !check(t, v, err) {
		return
	}
	if got := slices.Collect(set.All()); !slices.Equal(got, want.Indexes) {
		t.Errorf("got %v, want %v", got, want.Indexes)
	}
	if (string(set.Bytes()) == string(*input.Bytes)) != want.Canonical {
		t.Errorf("encoded %x, want canonical %t", set.Bytes(), want.Canonical)
	}
}
