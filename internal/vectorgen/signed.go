package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"slices"
	"strconv"
	"time"
)

// part is a signed ClusterMembers in the making.
type part struct {
	op     uint64
	c      cluster
	seated []seat // who is in SeatSet
	which  []seat // who is in WhichSet
	tokens []seat // whose tokens are there
	since  uint64
	millis uint64
	sum    []byte
	signed []byte // what RosterSig covers
	leaf   *ecdsa.PrivateKey
	chain  [][]byte
	spoil  func(signature []byte) []byte
}

// part returns a good one, which holds some of the members.
func (m *maker) part(c cluster, seats, some []seat) *part {
	sum := c.sum(seats)
	millis := uint64(now.UnixMilli())
	root, leaf := m.registryChain()
	return &part{
		op: opClusterMembers, c: c, seated: seats, which: some, tokens: some, millis: millis, sum: sum,
		signed: signedInput(sum, millis), leaf: m.leaf, chain: [][]byte{leaf, root},
	}
}

func (m *maker) registryChain() (root, leaf []byte) {
	sig := m.rsa["registry-sig"]
	return m.der(rootCert(sig)), m.der(m.leafCert(sig))
}

func signedInput(sum []byte, millis uint64) []byte {
	return join([]byte("xlreg signed 2.0\x00"), sum, u64be(millis))
}

func (p *part) encode() []byte {
	var tokens []*token
	for _, s := range p.tokens {
		tokens = append(tokens, s.token)
	}
	v := newMsg(p.op).clusterHead(p.c).tokens(tokens...).clusterTail(p.c)
	if p.since != 0 {
		v.u64(31, p.since)
	}
	v.bytes(35, setOf(indexesOf(p.seated)...)).bytes(36, setOf(indexesOf(p.which)...))
	if p.millis != 0 {
		v.u64(41, p.millis)
	}
	signature := ecdsaSign(p.leaf, crypto.SHA256, p.signed)
	if p.spoil != nil {
		signature = p.spoil(signature)
	}
	v.rawIf(42, signature)
	for _, der := range p.chain {
		v.raw(43, der)
	}
	v.u64(46, p.c.orders)
	v.rawIf(47, p.sum)
	return v.b
}

// document is one or more parts, and what their reader knows.
type document struct {
	parts       [][]byte
	sigKey      []byte
	fingerprint string
	clusterKey  []byte
}

func (m *maker) document(parts ...*part) document {
	d := document{sigKey: m.public("registry-sig")}
	for _, p := range parts {
		d.parts = append(d.parts, p.encode())
	}
	return d
}

func (m *maker) signedVector(name, layer, about string, d document, want fields) {
	list := []string{}
	for _, b := range d.parts {
		list = append(list, h(b))
	}
	in := fields{"documents": list}
	if d.sigKey != nil {
		in["sig_key"] = h(d.sigKey)
	}
	if d.fingerprint != "" {
		in["fingerprint"] = d.fingerprint
	}
	if d.clusterKey != nil {
		in["cluster_key"] = h(d.clusterKey)
	}
	m.add("signed/"+name, layer, about, in, want)
}

// keyedCluster is one that ownerKey made.
func (m *maker) keyedCluster() cluster {
	c := m.openCluster()
	c.key, c.orders = ownerKey().public(), 1
	return c
}

// keyedSeats are two members of it, one admitted by the owner, one invited.
func (m *maker) keyedSeats() []seat {
	first, second := m.rosterToken("m0", "p256-sig"), m.rosterToken("m1", "node-sig")
	first.admission, second.admission = m.admitted("p256-sig").encode(), m.invited("node-sig", goodInvite()).encode()
	first.run, second.run = random("run", 16), random("other run", 16)
	return seats(first, second)
}

// openSeats are members of an open cluster, of all kinds.
func (m *maker) openSeats() []seat {
	old := m.classicMember("old")
	old.joined, old.hasJoined = joined+1, true
	return []seat{{0, m.rosterToken("m0", "p256-sig")}, {1, m.rosterToken("m1", "node-sig")}, {4, old}, {9, m.rosterToken("m2", "other-p256-sig")}}
}

func (m *maker) signeds() {
	m.goodSigned()
	m.goodParts()
	m.badSigned()
	m.badChains()
	m.badParts()
	m.lies()
}

func (m *maker) signedWant(c cluster, seats []seat, millis uint64) fields {
	members := []fields{}
	for _, s := range seats {
		members = append(members, fields{"index": s.index, "name": s.name, "sig_key": h(s.sig), "verified": s.cert != nil})
	}
	sum := c.sum(seats)
	return fields{
		"cluster_id": h(c.id), "cluster_name": c.name, "cluster_key": h(c.key), "epoch": strconv.FormatUint(c.epoch, 10),
		"revision": strconv.FormatUint(c.revision, 10), "signed_millis": strconv.FormatUint(millis, 10),
		"sum": h(sum), "short": shortSum(sum), "members": members,
	}
}

func (m *maker) goodSigned() {
	millis := uint64(now.UnixMilli())
	ok := func(name, about string, c cluster, seats []seat, change func(*part), know func(*document)) {
		p := m.part(c, seats, seats)
		change(p)
		d := m.document(p)
		know(&d)
		m.signedVector(name, success, about, d, m.signedWant(c, seats, p.millis))
	}
	same, known := func(*part) {}, func(*document) {}
	open, keyed := m.openCluster(), m.keyedCluster()
	fingerprintOnly := func(d *document) { d.sigKey, d.fingerprint = nil, fingerprint(m.ssh("registry-sig")) }
	ok("open", "an open cluster, with a member that is not verified", open, m.openSeats(), same, known)
	ok("fingerprint", "the reader knows the fingerprint alone", open, m.openSeats(), same, fingerprintOnly)
	ok("keyed", "a keyed cluster, whose key the reader knows", keyed, m.keyedSeats(), same, func(d *document) { d.clusterKey = keyed.key })
	ok("keyed-not-pinned", "a keyed cluster, whose key the reader does not know", keyed, m.keyedSeats(), same, known)
	ok("empty", "a cluster without members", open, nil, same, known)
	ok("high-s", "either of the two values of s is a signature", open, m.openSeats(), func(p *part) { p.spoil = highS }, known)
	ok("leaf-just-expired", "the leaf is over for less than an hour at SignedMillis", open, m.openSeats(), func(p *part) {
		m.at(p, 6*day+59*time.Minute)
	}, known)
	ok("long-ago", "dates count at SignedMillis, whenever it is read", open, m.openSeats(), func(p *part) { m.at(p, -day) }, known)
	ok("cross", "the key has changed since, and the chain has the cross certificate", open, m.openSeats(), func(p *part) {
		c := m.crossed()
		p.chain = append([][]byte{c.leaf, c.root}, c.more...)
	}, known)
	times := m.openSeats()
	unlike := *times[0].token
	unlike.joined, unlike.seen, unlike.lease = joined+7, joined, 15000
	p := m.part(open, times, times)
	p.tokens = append([]seat{{0, &unlike}}, times[1:]...)
	m.signedVector("times", success, "JoinedMillis, SeenMillis and LeaseMillis are not covered", m.document(p), m.signedWant(open, times, millis))
}

// at signs p at another time than now.
func (m *maker) at(p *part, later time.Duration) {
	p.millis = uint64(now.Add(later).UnixMilli())
	p.signed = signedInput(p.sum, p.millis)
}

func (m *maker) goodParts() {
	c, all := m.openCluster(), m.openSeats()
	first, second, third := m.part(c, all, all[:1]), m.part(c, all, all[1:3]), m.part(c, all, all[3:])
	m.at(third, time.Minute)
	want := m.signedWant(c, all, third.millis)
	m.signedVector("parts", success, "three parts, of which the last was signed a minute later", m.document(first, second, third), want)
	m.signedVector("parts-any-order", success, "the parts in another order", m.document(third, first, second), want)
	m.signedVector("parts-empty", success, "a part without members beside the whole", m.document(m.part(c, all, nil), m.part(c, all, all)),
		m.signedWant(c, all, first.millis))
}

// badSigned are spoilt in what was signed, or in the signature.
func (m *maker) badSigned() {
	bad := func(name, about string, change func(*part)) {
		c, all := m.openCluster(), m.openSeats()
		p := m.part(c, all, all)
		change(p)
		m.signedVector(name, auth, about, m.document(p), nil)
	}
	spoilt := func(name, about string, spoil func([]byte) []byte) {
		bad("signature-"+name, about, func(p *part) { p.spoil = spoil })
	}
	spoilt("missing", "no RosterSig", func([]byte) []byte { return nil })
	spoilt("flipped", "one bit of RosterSig changed", flip)
	spoilt("trailing-byte", "a byte behind RosterSig", func(b []byte) []byte { return append(bytes.Clone(b), 0) })
	spoilt("long-length", "the length of RosterSig in one byte more than DER allows", longer)
	spoilt("raw", "r and s as 64 bytes", func(b []byte) []byte {
		r, s := ecdsaNumbers(b)
		return join(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))
	})
	bad("signature-other-key", "signed by another key than the leaf's", func(p *part) { p.leaf = m.p256["other-p256-sig"] })
	bad("signature-no-context", "signed without the context", func(p *part) { p.signed = p.signed[17:] })
	bad("other-millis", "another SignedMillis than was signed", func(p *part) { p.millis++ })
	bad("no-millis", "no SignedMillis", func(p *part) { p.millis = 0 })
	bad("no-sum", "no Sum", func(p *part) { p.sum = nil })
	bad("other-sum", "another Sum than was signed, and than the roster has", func(p *part) { p.sum = flip(p.sum) })
	bad("other-sum-signed", "a Sum that was signed, and is not that of the roster", func(p *part) {
		p.sum = flip(p.sum)
		p.signed = signedInput(p.sum, p.millis)
	})
	bad("short-sum-signed", "the first 20 bytes of the Sum", func(p *part) {
		p.sum = p.sum[:20]
		p.signed = signedInput(p.sum, p.millis)
	})
	other := func(name, about string, change func(*cluster)) { bad(name, about, func(p *part) { change(&p.c) }) }
	other("other-cluster-id", "another ClusterID than was signed", func(c *cluster) { c.id = random("other cluster id", 20) })
	other("other-cluster-name", "another ClusterName than was signed", func(c *cluster) { c.name = "vector" })
	other("other-size", "another size than was signed", func(c *cluster) { c.size-- })
	other("other-count", "another number of endpoints than was signed", func(c *cluster) { c.ends++ })
	other("other-attrs", "other attributes than were signed", func(c *cluster) { c.attrs = 1 })
	other("other-epoch", "another epoch than was signed", func(c *cluster) { c.epoch++ })
	other("other-revision", "another revision than was signed", func(c *cluster) { c.revision++ })
	other("cluster-key-added", "a cluster key that was not signed", func(c *cluster) { c.key = ownerKey().public() })
	bad("other-run", "another Run of a member than was signed", func(p *part) {
		t := *p.tokens[0].token
		t.run = random("run", 16)
		p.tokens = append([]seat{{0, &t}}, p.tokens[1:]...)
	})
	bad("other-id", "another ID of a member than was signed", func(p *part) {
		t := *p.tokens[0].token
		t.id = random("other id", 32)
		p.tokens = append([]seat{{0, &t}}, p.tokens[1:]...)
	})
	bad("other-op", "a reply of another kind", func(p *part) { p.op = opCreateReply })
	bad("since", "an answer with SinceRevision is no document", func(p *part) { p.since = joined })
}

func (m *maker) badChains() {
	c, all := m.openCluster(), m.openSeats()
	for kind, know := range map[string]func(*document){
		"key":         func(*document) {},
		"fingerprint": func(d *document) { d.sigKey, d.fingerprint = nil, fingerprint(m.ssh("registry-sig")) },
	} {
		bad := func(name, about string, change func(*part)) {
			p := m.part(c, all, all)
			change(p)
			d := m.document(p)
			know(&d)
			m.signedVector("chain-"+name+"-"+kind, auth, about, d, nil)
		}
		other := m.rsa["other-sig"]
		bad("missing", "no Chain", func(p *part) { p.chain = nil })
		bad("other", "the chain of another registry", func(p *part) { p.chain = [][]byte{m.der(m.leafCert(other)), m.der(rootCert(other))} })
		bad("other-leaf", "a leaf that another registry signed, and the right root", func(p *part) { p.chain[0] = m.der(m.leafCert(other)) })
		bad("root-first", "the root before the leaf", func(p *part) { slices.Reverse(p.chain) })
		bad("expired", "the leaf is over for more than an hour at SignedMillis", func(p *part) { m.at(p, 6*day+61*time.Minute) })
		bad("not-yet-valid", "the leaf is to begin in more than an hour at SignedMillis", func(p *part) { m.at(p, -day-61*time.Minute) })
		bad("leaf-ca", "the leaf is a CA", func(p *part) {
			x := m.leafCert(m.rsa["registry-sig"])
			x.IsCA = true
			p.chain[0] = m.der(x)
		})
		bad("leaf-flipped", "one bit of the leaf's signature changed", func(p *part) { p.chain[0] = flip(p.chain[0]) })
		bad("broken", "the leaf is no certificate", func(p *part) { p.chain[0] = []byte{0x30} })
	}
	p := m.part(c, all, all)
	p.chain = p.chain[:1]
	d := m.document(p)
	d.sigKey, d.fingerprint = nil, fingerprint(m.ssh("registry-sig"))
	m.signedVector("chain-no-root-fingerprint", auth, "the leaf alone, to whoever knows the fingerprint", d, nil)
}

// badParts are signed well, and do not make one whole roster.
func (m *maker) badParts() {
	c, all := m.openCluster(), m.openSeats()
	bad := func(name, about string, parts ...*part) {
		m.signedVector("parts-"+name, auth, about, m.document(parts...), nil)
	}
	of := func(some []seat, change func(*part)) *part {
		p := m.part(c, all, some)
		change(p)
		return p
	}
	same := func(*part) {}
	first := of(all[:2], same)
	bad("none", "no part")
	bad("incomplete", "a part is missing", first)
	bad("overlap", "a member is in both parts", first, of(all[1:], same))
	bad("twice", "the same whole part two times", of(all, same), of(all, same))
	bad("too-few-tokens", "WhichSet has a member more than there are tokens", of(all, func(p *part) { p.tokens = p.tokens[:3] }))
	bad("which-less", "WhichSet has a member less than there are tokens", of(all, func(p *part) { p.which = p.which[:3] }))
	bad("which-more", "WhichSet has a member that SeatSet lacks", of(all, func(p *part) { p.seated = p.seated[:3] }))
	bad("seat-more", "SeatSet has a member more", of(all, func(p *part) { p.seated = append(p.seated[:4:4], seat{11, all[0].token}) }))
	bad("other-index", "a member at another index than was signed", of(all, func(p *part) {
		moved := slices.Concat(all[:3], []seat{{10, all[3].token}})
		p.seated, p.which = moved, moved
	}))
	later := c
	later.revision++
	newer := m.part(later, all, all[2:])
	bad("other-revision", "parts of two revisions, each of them signed", first, newer)
	elsewhere := c
	elsewhere.id = random("other cluster id", 20)
	bad("other-cluster", "parts of two clusters, each of them signed", first, m.part(elsewhere, all, all[2:]))
	bad("one-unsigned", "the second part is not signed", first, of(all[2:], func(p *part) { p.spoil = func([]byte) []byte { return nil } }))
	whole := of(all, same)
	bad("two-rosters", "two whole rosters of one revision that contradict each other", whole, m.part(c, all[:3], all[:3]))
}

// lies are signed by the registry itself, sum and all, and are found out by the
// members' own proofs.
func (m *maker) lies() {
	open := m.openSeats()
	keyed := m.keyedSeats()
	for kind, c := range map[string]cluster{"open": m.openCluster(), "keyed": m.keyedCluster()} {
		for _, lie := range m.lieAbout() {
			if kind == "open" && lie.keyed {
				continue
			}
			list := open
			if kind == "keyed" {
				list = keyed
			}
			t := *list[0].token
			lie.change(&t)
			told := append([]seat{{0, &t}}, list[1:]...)
			d := m.document(m.part(c, told, told))
			if kind == "keyed" {
				d.clusterKey = c.key
			}
			m.signedVector("lie-"+kind+"-"+lie.name, auth, lie.about, d, nil)
		}
	}
	c := m.keyedCluster()
	d := m.document(m.part(c, keyed, keyed))
	d.clusterKey = otherOwner().public()
	m.signedVector("lie-other-cluster-key", auth, "the cluster of another key than the reader knows", d, nil)
	c.key = nil
	d = m.document(m.part(c, keyed, keyed))
	d.clusterKey = ownerKey().public()
	m.signedVector("lie-no-cluster-key", auth, "an open cluster, to whoever knows the key of one", d, nil)
}

type lie struct {
	name, about string
	keyed       bool // only in a keyed cluster is it one
	change      func(*token)
}

func (m *maker) lieAbout() []lie {
	stranger := m.rosterToken("m0", "other-p256-sig")
	return []lie{
		{"endpoint", "an endpoint that the member did not sign", false, func(t *token) { t.ends = []string{"203.0.113.66:4001"} }},
		{"labels", "labels that the member did not sign", false, func(t *token) { t.labels = someLabels() }},
		{"comms-key", "a comms key that the member did not sign", false, func(t *token) { m.signComms(t, "registry-comms") }},
		{"no-digsig2", "DigSig2 is missing", false, func(t *token) { t.digSig2 = nil }},
		{"no-certificate", "Certificate is missing", false, func(t *token) { t.cert = nil }},
		{"no-comms-sig", "CommsSig is missing", false, func(t *token) { t.commsSig = nil }},
		{"comms-sig", "one bit of CommsSig changed", false, func(t *token) { t.commsSig = flip(t.commsSig) }},
		{"no-proofs", "none of the member's own proofs is there", true, func(t *token) { t.digSig2, t.cert, t.commsSig = nil, nil, nil }},
		{"no-admission", "a member that nobody admitted", true, func(t *token) { t.admission = nil }},
		{"admission", "one bit of the admission changed", true, func(t *token) { t.admission = flip(t.admission) }},
		{"stranger", "a stranger in the seat of a member, with the member's admission", true, func(t *token) {
			admission := t.admission
			*t = *stranger
			t.admission = admission
		}},
		{"self-invited", "a stranger with an invite that the owner did not sign", true, func(t *token) {
			*t = *stranger
			i := goodInvite()
			a := m.invited("other-p256-sig", i)
			a.inviteSig = inviteKey().sign(i.input())
			t.admission = a.encode()
		}},
	}
}
