package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
)

// SeedLen is the length of the private half of a cluster key or of an invite.
const SeedLen = ed25519.SeedSize

// What is signed by cluster keys and invites begins with one of these (section 7).
const (
	createContext = "xlreg create 2.0\x00"
	orderContext  = "xlreg order 2.0\x00"
	admitContext  = "xlreg admit 2.0\x00"
	inviteContext = "xlreg invite 2.0\x00"
)

// secret returns the private half of an Ed25519 key. It is a function because package fmt
// reaches unexported fields by reflection, where no method of ours is asked, and prints
// what pointers point to; of a function it prints an address.
type secret func() ed25519.PrivateKey

func newSecret(seed []byte) (secret, error) {
	if len(seed) != SeedLen {
		return nil, fmt.Errorf("seed of %d bytes, want %d", len(seed), SeedLen)
	}
	key := ed25519.NewKeyFromSeed(seed)
	return func() ed25519.PrivateKey { return key }, nil
}

// randomSecret makes a new key.
func randomSecret() secret {
	seed := make([]byte, SeedLen)
	rand.Read(seed) // never fails, by its contract
	key := ed25519.NewKeyFromSeed(seed)
	return func() ed25519.PrivateKey { return key }
}

func (s secret) seed() []byte { return s().Seed() }

func (s secret) public() xlreg.ClusterKey {
	return xlreg.ClusterKey(s().Public().(ed25519.PublicKey))
}

func (s secret) sign(message []byte) []byte { return ed25519.Sign(s(), message) }

// FormatClusterKey returns a cluster key as people see it, in base64url.
func FormatClusterKey(k xlreg.ClusterKey) string {
	return base64.RawURLEncoding.EncodeToString([]byte(k))
}

// Owner is the private half of a cluster key. Whoever has it creates the cluster,
// admits members and gives orders. However it is printed, the private half is not
// shown: only Seed returns it.
type Owner struct {
	secret secret
}

// NewOwner makes a new cluster key.
func NewOwner() *Owner { return &Owner{randomSecret()} }

// OwnerFromSeed returns the cluster key with this private half, of SeedLen bytes.
func OwnerFromSeed(seed []byte) (*Owner, error) {
	s, err := newSecret(seed)
	if err != nil {
		return nil, fmt.Errorf("cluster key: %w", err)
	}
	return &Owner{s}, nil
}

// Public returns the public half, which names the cluster together with its name.
func (o *Owner) Public() xlreg.ClusterKey { return o.secret.public() }

// Seed returns the private half. It is the owner's secret.
func (o *Owner) Seed() []byte { return o.secret.seed() }

// String names the public half.
func (o Owner) String() string {
	if o.secret == nil {
		return "no owner"
	}
	return "owner of " + FormatClusterKey(o.secret.public())
}

// Format writes what String returns, whatever the verb.
func (o Owner) Format(f fmt.State, _ rune) { fmt.Fprint(f, o.String()) }

// MarshalText returns what String does, so that no log and no JSON shows more.
func (o Owner) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// SignCreate puts the owner's key and signature into spec, whose other fields have to
// be there already.
func (o *Owner) SignCreate(spec *xlreg.ClusterSpec) {
	spec.Key = o.Public()
	spec.OwnerSig = o.secret.sign(createMessage(spec))
}

// VerifyCreate holds the owner's signature against the key in spec; where there is no
// key there is nothing to verify. What is wrong is of kind xlreg.ErrBadSignature.
func VerifyCreate(spec *xlreg.ClusterSpec) error {
	if spec.Key == "" || verifyEd25519(spec.Key, createMessage(spec), spec.OwnerSig) {
		return nil
	}
	return xlreg.Errorf(xlreg.ErrBadSignature, "signature of the owner of cluster %q", spec.Name)
}

func createMessage(spec *xlreg.ClusterSpec) []byte {
	b := startCluster(createContext, spec.Name, spec.Key)
	b = binary.BigEndian.AppendUint32(b, spec.MaxSize)
	b = binary.BigEndian.AppendUint32(b, spec.EndpointCount)
	return binary.BigEndian.AppendUint64(b, uint64(spec.Attrs))
}

// startCluster begins what is signed about the cluster with this name and key.
func startCluster[N ~string](context string, name N, key xlreg.ClusterKey) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, context...)
	b = appendField(b, name)
	return appendField(b, key)
}

// SignOrder signs an order of the owner, in the bytes that travel.
func (o *Owner) SignOrder(order []byte) xlreg.SignedOrder {
	return xlreg.SignedOrder{Bytes: order, Sig: o.secret.sign(orderMessage(order))}
}

// VerifyOrder holds the signature of an order against the key of its cluster. What is
// wrong is of kind xlreg.ErrBadSignature.
func VerifyOrder(key xlreg.ClusterKey, order xlreg.SignedOrder) error {
	if verifyEd25519(key, orderMessage(order.Bytes), order.Sig) {
		return nil
	}
	return xlreg.Errorf(xlreg.ErrBadSignature, "signature of the owner's order")
}

func orderMessage(order []byte) []byte {
	return appendField([]byte(orderContext), order)
}

// Admit lets the node with the sig key become a member of the cluster with this name.
func (o *Owner) Admit(name xlreg.Name, key xlreg.SigKey) (xlreg.Admission, error) {
	if err := checkAdmitted(name, key); err != nil {
		return xlreg.Admission{}, fmt.Errorf("admit: %w", err)
	}
	return xlreg.Admission{Sig: o.secret.sign(admitMessage(name, o.Public(), key, ""))}, nil
}

// checkAdmitted reports what no cluster would take.
func checkAdmitted(name xlreg.Name, key xlreg.SigKey) error {
	if err := name.Validate(); err != nil {
		return err
	}
	_, err := ParseFor(key, xlreg.Protocol20)
	return err
}

// Invite makes an invite to the cluster with this name. It ends at notAfter, which is
// taken in whole milliseconds, or never if that is zero; and it admits as many keys as
// uses says, at most xlreg.MaxInviteUses, or any number if that is 0.
func (o *Owner) Invite(name xlreg.Name, notAfter time.Time, uses int) (*Inviter, error) {
	if err := name.Validate(); err != nil {
		return nil, fmt.Errorf("invite: %w", err)
	}
	if uses < 0 || uses > xlreg.MaxInviteUses {
		return nil, fmt.Errorf("invite: %d uses, want 0 to %d", uses, xlreg.MaxInviteUses)
	}
	if !notAfter.IsZero() && notAfter.UnixMilli() <= 0 {
		return nil, errors.New("invite: it ends before the year 1970 does")
	}
	i := &Inviter{secret: randomSecret(), name: name, cluster: o.Public()}
	i.invite = xlreg.Invite{Key: i.secret.public(), NotAfter: TimeOfMillis(MillisOfTime(notAfter)), Uses: uint32(uses)}
	i.invite.Sig = o.secret.sign(inviteMessage(name, i.cluster, &i.invite))
	return i, nil
}

// KeySum returns what stands for a sig key in an order.
func KeySum(key xlreg.SigKey) xlreg.KeySum { return xlreg.KeySum(sumOf(string(key))) }
