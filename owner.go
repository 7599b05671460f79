package xlreg

import "time"

// Invite is an owner's leave to admit others, bound to an Ed25519 key that the owner
// makes for it. Whoever holds the private half can become a member.
type Invite struct {
	Key      ClusterKey // the public half
	NotAfter time.Time  // when it ends for those who are new, in milliseconds; zero: never
	Uses     uint32     // how many keys it admits, at most MaxInviteUses; 0: any number
	Sig      []byte     // by the cluster key
}

// IsZero reports whether there is no invite.
func (i *Invite) IsZero() bool { return i.Key == "" }

// Admission is the leave to become a member of a cluster with a key: for one sig key,
// by the cluster's key or, where there is an Invite, by the invite's.
type Admission struct {
	Invite Invite // zero: the owner admits this key directly
	Sig    []byte
}

// OrderKind is what an Order does.
type OrderKind uint32

// The kinds of order.
const (
	OrderEvict  OrderKind = 1 // frees the seat of a key
	OrderBan    OrderKind = 2 // the same, and the key may not come back, whether it has a seat or not
	OrderRevoke OrderKind = 3 // an invite admits nobody any more
	OrderReopen OrderKind = 4 // a new epoch, with all seats free
	OrderDelete OrderKind = 5 // the cluster is gone, and its name and key make no other
)

var orderTexts = map[OrderKind]string{
	OrderEvict: "evict", OrderBan: "ban", OrderRevoke: "revoke", OrderReopen: "reopen", OrderDelete: "delete",
}

// String returns what the order does, in one word.
func (k OrderKind) String() string {
	if text, ok := orderTexts[k]; ok {
		return text
	}
	return "unknown order"
}

// KeySum stands for a sig key: its SHA-256. Package keys makes it.
type KeySum string

// Order is what a cluster's owner orders. Its Serial is the number of orders done in
// the cluster before it, and one.
type Order struct {
	Cluster ClusterID
	Serial  uint64
	Kind    OrderKind
	KeySum  KeySum     // of an evict or a ban: whose
	Invite  ClusterKey // of a revoke: which
}

// SignedOrder is an Order as it travels, with the owner's signature over those bytes.
type SignedOrder struct {
	Bytes []byte
	Sig   []byte
}

// Label is something that a member tells the others besides its addresses.
type Label struct {
	Key   Name
	Value []byte
}
