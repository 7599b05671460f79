package vectorgen

import (
	"bytes"
	"crypto/ed25519"
	"math/big"
	"slices"
	"strconv"
)

// edKey is the key of a cluster or of an invite, by its seed.
type edKey struct{ seed []byte }

func newEdKey(label string) edKey { return edKey{random("ed25519 "+label, ed25519.SeedSize)} }

func (k edKey) public() []byte { return ed25519.NewKeyFromSeed(k.seed).Public().(ed25519.PublicKey) }

func (k edKey) sign(input []byte) []byte {
	return ed25519.Sign(ed25519.NewKeyFromSeed(k.seed), input)
}

// The keys of clusters and invites that the vectors use.
func ownerKey() edKey   { return newEdKey("owner") }
func otherOwner() edKey { return newEdKey("other owner") }
func inviteKey() edKey  { return newEdKey("invite") }

// keyedName is the name of the cluster that ownerKey made.
const keyedName = "vectors"

// creation is what OwnerSig covers in a Create.
type creation struct {
	context    string
	name       string
	key        []byte
	size, ends uint32
	attrs      uint64
}

func goodCreation() creation {
	return creation{name: keyedName, key: ownerKey().public(), size: 5, ends: 2, context: "xlreg create 2.0\x00"}
}

func (c creation) input() []byte {
	return join([]byte(c.context), lp([]byte(c.name)), lp(c.key), u32be(c.size), u32be(c.ends), u64be(c.attrs))
}

// leave is what Admission.Sig covers.
type leave struct {
	context         string
	name            string
	key, sig, admit []byte // admit is the key of the invite
}

func goodLeave() leave {
	return leave{context: "xlreg admit 2.0\x00", name: keyedName, key: ownerKey().public()}
}

func (l leave) input() []byte {
	return join([]byte(l.context), lp([]byte(l.name)), lp(l.key), lp(l.sig), lp(l.admit))
}

// invite is what InviteSig covers.
type invite struct {
	context     string
	name        string
	key, invite []byte
	until       uint64
	uses        uint32
}

func goodInvite() invite {
	return invite{"xlreg invite 2.0\x00", keyedName, ownerKey().public(), inviteKey().public(), inviteEnd, 10}
}

// inviteEnd is when invites end, in milliseconds since 1970.
const inviteEnd = 1767441600000

func (i invite) input() []byte {
	return join([]byte(i.context), lp([]byte(i.name)), lp(i.key), lp(i.invite), u64be(i.until), u32be(i.uses))
}

// order is an OwnerOrder in the making.
type order struct {
	id           []byte
	serial, kind uint64
	sum, invite  []byte
}

// The kinds of order.
const (
	orderEvict = 1 + iota
	orderBan
	orderRevoke
	orderReopen
	orderDelete
)

func (o order) encode() []byte {
	m := &msg{fields: fields{}}
	m.rawIf(1, o.id)
	m.varintIf(2, o.serial)
	m.varintIf(3, o.kind)
	m.rawIf(4, o.sum)
	m.rawIf(5, o.invite)
	return m.b
}

func orderInput(order []byte) []byte { return join([]byte("xlreg order 2.0\x00"), lp(order)) }

func (m *maker) owners() {
	m.creations()
	m.leaves()
	m.invites()
	m.orders()
	m.badOrders()
	m.forgeries()
}

// ownerCase is one file of the class owner: what is signed, by whom, and where
// it ends.
type ownerCase struct {
	name, layer, about string
	input              fields
	signed, signature  []byte
	refusal            fields
}

func (m *maker) owned(c ownerCase) {
	c.input["signature"] = h(c.signature)
	want := c.refusal
	if c.layer == success {
		want = fields{"signed": h(c.signed)}
	}
	m.add("owner/"+c.name, c.layer, c.about, c.input, want)
}

// edDamages are the ways in which a signature of Ed25519 can be spoilt.
func edDamages(signature []byte) map[string][]byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	le := slices.Clone(signature[32:])
	slices.Reverse(le)
	s := new(big.Int).Add(new(big.Int).SetBytes(le), order).FillBytes(make([]byte, 32))
	slices.Reverse(s)
	return map[string][]byte{
		"flipped":       flip(signature),
		"cut":           signature[:63],
		"missing":       {},
		"trailing-byte": append(bytes.Clone(signature), 0),
		"plus-order":    join(signature[:32], s),
		"zeros":         make([]byte, 64),
	}
}

func refusedAdmission() fields { return refused(21, "admission refused") }

func (m *maker) creations() {
	add := func(name, layer, about string, c creation, signed []byte, signature []byte) {
		m.owned(ownerCase{"create-" + name, layer, about, fields{
			"kind": "create", "seed": h(ownerKey().seed), "cluster_name": c.name, "cluster_key": h(c.key),
			"max_size": c.size, "endpoint_count": c.ends, "cluster_attrs": strconv.FormatUint(c.attrs, 10),
		}, signed, signature, badSignature()})
	}
	ok := func(name, about string, change func(*creation)) {
		c := goodCreation()
		change(&c)
		add(name, success, about, c, c.input(), ownerKey().sign(c.input()))
	}
	ok("good", "Create of a keyed cluster", func(*creation) {})
	ok("attrs", "with an attribute", func(c *creation) { c.attrs = 1 })
	ok("unclamped", "the numbers as they are sent, before they are brought into range",
		func(c *creation) { c.size, c.ends, c.attrs = 1<<32-1, 0, 1<<64-5 })
	good := ownerKey().sign(goodCreation().input())
	bad := func(name, about string, change func(*creation)) {
		c := goodCreation()
		change(&c)
		add(name, auth, about, c, nil, good)
	}
	bad("other-name", "another name than was signed", func(c *creation) { c.name = "vector" })
	bad("other-key", "another cluster key than signed", func(c *creation) { c.key = otherOwner().public() })
	bad("other-size", "another size than was signed", func(c *creation) { c.size = 6 })
	bad("other-count", "another number of endpoints than was signed", func(c *creation) { c.ends = 1 })
	bad("other-attrs", "other attributes than were signed", func(c *creation) { c.attrs = 1 })
	for name, signature := range edDamages(good) {
		add(name, auth, "the signature is spoilt: "+name, goodCreation(), nil, signature)
	}
	c := goodCreation()
	add("other-signer", auth, "signed by another key", c, nil, otherOwner().sign(c.input()))
	add("no-context", auth, "signed without the context", c, nil, ownerKey().sign(c.input()[17:]))
	c.context = "xlreg admit 2.0\x00"
	add("other-context", auth, "signed with the context of an admission", goodCreation(), nil, ownerKey().sign(c.input()))
}

func (m *maker) leaves() {
	direct := goodLeave()
	direct.sig = m.public("p256-sig")
	byInvite := direct
	byInvite.admit = inviteKey().public()
	add := func(name, layer, about string, l leave, signer edKey, signature []byte) {
		m.owned(ownerCase{"admit-" + name, layer, about, fields{
			"kind": "admit", "seed": h(signer.seed), "cluster_name": l.name, "cluster_key": h(l.key),
			"sig_key": h(l.sig), "invite_key": h(l.admit),
		}, l.input(), signature, refusedAdmission()})
	}
	for _, k := range []struct {
		name, about string
		l           leave
		signer      edKey
	}{
		{"direct", "an admission by the owner", direct, ownerKey()},
		{"invited", "an admission by an invite", byInvite, inviteKey()},
	} {
		good := k.signer.sign(k.l.input())
		add(k.name, success, k.about, k.l, k.signer, good)
		bad := func(name, about string, change func(*leave)) {
			l := k.l
			change(&l)
			add(k.name+"-"+name, auth, about, l, k.signer, good)
		}
		bad("other-name", "another name than was signed", func(l *leave) { l.name = "vector" })
		bad("other-cluster-key", "another cluster key than was signed", func(l *leave) { l.key = otherOwner().public() })
		bad("other-sig-key", "another sig key than was signed", func(l *leave) { l.sig = m.public("other-p256-sig") })
		bad("other-invite-key", "another invite key than was signed", func(l *leave) { l.admit = newEdKey("other invite").public() })
		for name, signature := range edDamages(good) {
			add(k.name+"-"+name, auth, "the signature is spoilt: "+name, k.l, k.signer, signature)
		}
		add(k.name+"-other-signer", auth, "signed by another key", k.l, k.signer, otherOwner().sign(k.l.input()))
		add(k.name+"-no-context", auth, "signed without the context", k.l, k.signer, k.signer.sign(k.l.input()[16:]))
	}
	rsa := direct
	rsa.sig = m.public("node-sig")
	add("rsa", success, "an admission of an RSA key", rsa, ownerKey(), ownerKey().sign(rsa.input()))
	add("invited-by-owner", auth, "an admission by an invite, signed by the cluster key", byInvite, inviteKey(), ownerKey().sign(byInvite.input()))
	add("direct-by-invite", auth, "an admission by the owner, signed by an invite", direct, ownerKey(), inviteKey().sign(direct.input()))
}

func (m *maker) invites() {
	add := func(name, layer, about string, i invite, signature []byte) {
		m.owned(ownerCase{"invite-" + name, layer, about, fields{
			"kind": "invite", "seed": h(ownerKey().seed), "cluster_name": i.name, "cluster_key": h(i.key), "invite_key": h(i.invite),
			"not_after_millis": strconv.FormatUint(i.until, 10), "uses": i.uses,
		}, i.input(), signature, refusedAdmission()})
	}
	ok := func(name, about string, change func(*invite)) {
		i := goodInvite()
		change(&i)
		add(name, success, about, i, ownerKey().sign(i.input()))
	}
	ok("good", "an invite with end and uses", func(*invite) {})
	ok("endless", "an invite without end, for any number", func(i *invite) { i.until, i.uses = 0, 0 })
	ok("1000", "as many uses as there may be", func(i *invite) { i.uses = 1000 })
	ok("latest", "the latest end there is", func(i *invite) { i.until = 1<<64 - 1 })
	good := ownerKey().sign(goodInvite().input())
	bad := func(name, about string, change func(*invite)) {
		i := goodInvite()
		change(&i)
		add(name, auth, about, i, good)
	}
	bad("other-name", "another name than was signed", func(i *invite) { i.name = "vector" })
	bad("other-cluster-key", "another cluster key than signed", func(i *invite) { i.key = otherOwner().public() })
	bad("other-invite-key", "another invite key than was signed", func(i *invite) { i.invite = newEdKey("other invite").public() })
	bad("other-end", "a later end than was signed", func(i *invite) { i.until++ })
	bad("no-end", "the end that was signed is missing", func(i *invite) { i.until = 0 })
	bad("other-uses", "more uses than were signed", func(i *invite) { i.uses++ })
	bad("no-uses", "the uses that were signed are missing", func(i *invite) { i.uses = 0 })
	for name, signature := range edDamages(good) {
		add(name, auth, "the signature is spoilt: "+name, goodInvite(), signature)
	}
	add("by-itself", auth, "signed by the invite key", goodInvite(), inviteKey().sign(goodInvite().input()))
	add("no-context", auth, "signed without the context", goodInvite(), ownerKey().sign(goodInvite().input()[17:]))
	many := goodInvite()
	many.uses = 1001
	add("1001", auth, "more uses than an invite may have", many, ownerKey().sign(many.input()))
}

// sigKeySum is what orders say of a member.
func (m *maker) sigKeySum(key string) []byte { return sha256Sum(m.public(key)) }

func (m *maker) goodOrders() map[string]order {
	id, sum := random("cluster id", 20), m.sigKeySum("p256-sig")
	return map[string]order{
		"evict":  {id, 1, orderEvict, sum, nil},
		"ban":    {id, 2, orderBan, sum, nil},
		"revoke": {id, 3, orderRevoke, nil, inviteKey().public()},
		"reopen": {id, 4, orderReopen, nil, nil},
		"delete": {id, 1 << 40, orderDelete, nil, nil},
	}
}

// order adds a vector about the bytes of an OwnerOrder.
func (m *maker) order(name, layer, about string, key, bytes, signature []byte, want fields) {
	m.add("owner/order-"+name, layer, about, fields{
		"kind": "order", "seed": h(ownerKey().seed), "cluster_key": h(key), "order": h(bytes), "signature": h(signature),
	}, want)
}

func (m *maker) orders() {
	owner := ownerKey()
	for name, o := range m.goodOrders() {
		b := o.encode()
		good := owner.sign(orderInput(b))
		m.order(name, success, "an order: "+name, owner.public(), b, good, o.describe(b))
		bad := func(what, about string, b []byte) {
			m.order(name+"-"+what, auth, about, owner.public(), b, good, badSignature())
		}
		changed := func(what, about string, change func(*order)) {
			other := o
			change(&other)
			bad(what, about, other.encode())
		}
		changed("other-id", "another cluster than was signed", func(o *order) { o.id = random("other cluster id", 20) })
		changed("other-serial", "another serial than was signed", func(o *order) { o.serial++ })
		changed("other-kind", "another kind than was signed", func(o *order) { o.kind = o.kind%5 + 1 })
		changed("other-sum", "another member than was signed", func(o *order) { o.sum = m.sigKeySum("other-p256-sig") })
		changed("other-invite", "another invite than was signed", func(o *order) { o.invite = newEdKey("other invite").public() })
	}
	o := m.goodOrders()["evict"]
	b := o.encode()
	good := owner.sign(orderInput(b))
	for name, signature := range edDamages(good) {
		m.order(name, auth, "the signature is spoilt: "+name, owner.public(), b, signature, badSignature())
	}
	m.order("other-key", auth, "the key of another cluster", otherOwner().public(), b, good, badSignature())
	m.order("other-signer", auth, "signed by another key", owner.public(), b, otherOwner().sign(orderInput(b)), badSignature())
	m.order("no-context", auth, "signed without the context", owner.public(), b, owner.sign(lp(b)), badSignature())
	m.order("no-length", auth, "signed without the length", owner.public(), b, owner.sign(join([]byte("xlreg order 2.0\x00"), b)), badSignature())
}

// describe is what an order says.
func (o order) describe(b []byte) fields {
	return fields{
		"signed": h(orderInput(b)), "cluster_id": h(o.id), "serial": strconv.FormatUint(o.serial, 10), "order_kind": o.kind,
		"sig_key_sum": h(o.sum), "invite_key": h(o.invite),
	}
}

// badOrders are signed well.
func (m *maker) badOrders() {
	owner := ownerKey()
	add := func(name, layer, about string, b []byte, want fields) {
		m.order(name, layer, about, owner.public(), b, owner.sign(orderInput(b)), want)
	}
	broken := func(name, about string, b []byte) { add(name, auth, about, b, badSignature()) }
	good := m.goodOrders()
	with := func(o order, change func(*order)) order { change(&o); return o }
	broken("evict-nobody", "whom to evict is missing", with(good["evict"], func(o *order) { o.sum = nil }).encode())
	broken("evict-short", "whom to evict has 31 bytes", with(good["evict"], func(o *order) { o.sum = o.sum[:31] }).encode())
	broken("ban-nobody", "whom to ban is missing", with(good["ban"], func(o *order) { o.sum = nil }).encode())
	broken("revoke-nothing", "what to revoke is missing", with(good["revoke"], func(o *order) { o.invite = nil }).encode())
	broken("revoke-short", "what to revoke has 31 bytes", with(good["revoke"], func(o *order) { o.invite = o.invite[:31] }).encode())
	broken("broken", "no protobuf", []byte{0x0a})
	unknown := good["evict"]
	b := append(unknown.encode(), 0x48, 1)
	add("unknown-field", success, "a field that nobody knows is ignored, and signed", b, unknown.describe(b))
	more := with(good["reopen"], func(o *order) { o.sum = m.sigKeySum("p256-sig") })
	add("more-than-needed", success, "what the kind does not need is not looked at", more.encode(), more.describe(more.encode()))
}
