package vectorgen

import (
	"slices"
	"strconv"
	"time"
)

// savedFile is a saved roster in the making, and what its reader knows.
type savedFile struct {
	context  string
	registry string
	id       []byte
	heard    uint64
	count    uint32
	parts    [][]byte
	signer   string
	spoil    func(file []byte) []byte
	sign     func(signature []byte) []byte

	// What is known: who reads, of which registry and cluster, and when.
	reader      string
	name        string
	ends        []string
	fingerprint string
	clusterName string
	clusterKey  []byte
	now         time.Time
}

func same(b []byte) []byte { return b }

// saved returns a good one, of the member seats[by], in these parts.
func (m *maker) saved(c cluster, seats []seat, by int, reader string, parts ...[]seat) *savedFile {
	self := seats[by].token
	f := &savedFile{
		context: "xlreg saved 2.0\x00", registry: fingerprint(m.ssh("registry-sig")), id: self.id, heard: uint64(now.UnixMilli()),
		signer: reader, spoil: same, sign: same,
		reader: reader, name: self.name, ends: self.ends, fingerprint: fingerprint(m.ssh("registry-sig")), now: now.Add(time.Minute),
	}
	if parts == nil {
		parts = [][]seat{seats}
	}
	for _, part := range parts {
		f.add(partMsg(c, seats, part).b)
	}
	return f
}

func (f *savedFile) add(part []byte) { f.parts, f.count = append(f.parts, part), f.count+1 }

// body is what is signed.
func (f *savedFile) body() []byte {
	b := join([]byte(f.context), lp([]byte(f.registry)), lp(f.id), u64be(f.heard), u32be(f.count))
	for _, part := range f.parts {
		b = append(b, lp(part)...)
	}
	return b
}

func (m *maker) savedVector(name, layer, about string, f *savedFile, want fields) {
	body := f.body()
	file := f.spoil(join(body, lp(f.sign(m.proof(f.signer, "saved", body)))))
	in := fields{
		"saved": h(file), "signer": f.reader, "name": f.name, "endpoints": f.ends, "fingerprint": f.fingerprint,
		"now_millis": strconv.FormatInt(f.now.UnixMilli(), 10),
	}
	if f.clusterName != "" {
		in["cluster_name"] = f.clusterName
	}
	if f.clusterKey != nil {
		in["cluster_key"] = h(f.clusterKey)
	}
	m.add("saved/"+name, layer, about, in, want)
}

func (m *maker) saveds() {
	m.goodSaved()
	m.brokenSaved()
	m.forgedSaved()
	m.foreignSaved()
	m.badSavedParts()
}

func (m *maker) savedWant(c cluster, seats []seat, f *savedFile) fields {
	want := m.signedWant(c, seats, 0)
	delete(want, "signed_millis")
	want["node_id"], want["heard_millis"] = h(f.id), strconv.FormatUint(f.heard, 10)
	return want
}

func (m *maker) goodSaved() {
	open, keyed := m.openCluster(), m.keyedCluster()
	good := func(name, about string, c cluster, seats []seat, f *savedFile, change func(*savedFile)) {
		change(f)
		want := m.savedWant(c, seats, f)
		want["canonical"] = len(f.parts) == 1
		m.savedVector(name, success, about, f, want)
	}
	of := func() *savedFile { return m.saved(open, m.openSeats(), 1, "node-sig") }
	known := func(*savedFile) {}
	good("rsa", "an open cluster, with a member that is not verified, saved by one whose key is RSA", open, m.openSeats(), of(), known)
	good("p256", "the same, saved by a member whose key is on P-256", open, m.openSeats(), m.saved(open, m.openSeats(), 0, "p256-sig"), known)
	good("named", "the reader knows the cluster's name", open, m.openSeats(), of(), func(f *savedFile) { f.clusterName = open.name })
	good("keyed", "a keyed cluster, whose key the reader knows", keyed, m.keyedSeats(), m.saved(keyed, m.keyedSeats(), 0, "p256-sig"),
		func(f *savedFile) { f.clusterName, f.clusterKey = keyed.name, keyed.key })
	good("keyed-not-pinned", "a keyed cluster, whose key the reader does not know", keyed, m.keyedSeats(), m.saved(keyed, m.keyedSeats(), 1, "node-sig"), known)
	good("old", "the registry was heard 30 days ago", open, m.openSeats(), of(), func(f *savedFile) { f.now = now.Add(30 * day) })
	good("ahead", "the registry was heard an hour from now", open, m.openSeats(), of(), func(f *savedFile) { f.now = now.Add(-time.Hour) })
	all := m.openSeats()
	good("parts", "two messages", open, all, m.saved(open, all, 1, "node-sig", all[:2], all[2:]), known)
	good("parts-any-order", "two messages, the later members first", open, all, m.saved(open, all, 1, "node-sig", all[2:], all[:2]), known)
}

// brokenSaved are no saved rosters.
func (m *maker) brokenSaved() {
	bad := func(name, about string, change func(*savedFile)) {
		f := m.saved(m.openCluster(), m.openSeats(), 1, "node-sig")
		change(f)
		m.savedVector(name, frame, about, f, nil)
	}
	cut := func(name, about string, n func(file []byte) int) {
		bad("cut-"+name, about, func(f *savedFile) { f.spoil = func(b []byte) []byte { return b[:n(b)] } })
	}
	head := func([]byte) int { return 16 + 4 + 50 }
	cut("all", "no bytes", func([]byte) int { return 0 })
	cut("context", "a part of how it begins", func([]byte) int { return 9 })
	cut("registry", "it ends behind the registry", head)
	cut("number", "it ends within the number of messages", func(f []byte) int { return head(f) + 4 + 32 + 8 + 2 })
	cut("message", "it ends within a message", func(f []byte) int { return len(f) / 2 })
	cut("signature", "it ends within the signature", func(f []byte) int { return len(f) - 1 })
	cut("no-signature", "it ends before the signature", func(f []byte) int { return len(f) - 260 })
	bad("trailing-byte", "a byte behind it", func(f *savedFile) { f.spoil = func(b []byte) []byte { return append(b, 0) } })
	bad("context-other", "it begins as a signed roster does", func(f *savedFile) { f.context = "xlreg signed 2.0\x00" })
	bad("context-newer", "it begins as one of a later protocol might", func(f *savedFile) { f.context = "xlreg saved 3.0\x00" })
	bad("no-message", "no message", func(f *savedFile) { f.parts, f.count = nil, 0 })
	bad("count-less", "one message more than it says", func(f *savedFile) { f.add(f.parts[0]); f.count-- })
	bad("count-more", "one message less than it says", func(f *savedFile) { f.count++ })
	bad("count-most", "it says that there are 4294967295 messages", func(f *savedFile) { f.count = 1<<32 - 1 })
	bad("heard-never", "HeardMillis after the year 9999", func(f *savedFile) { f.heard = 1<<63 + f.heard })
	bad("id-long", "an ID of 33 bytes", func(f *savedFile) { f.id = random("long id", 33) })
	bad("length-most", "a field that says it has 4294967295 bytes", func(f *savedFile) {
		f.spoil = func(b []byte) []byte { return join(b[:16], u32be(1<<32-1), b[20:]) }
	})
	bad("signed-roster", "a signed roster of the same cluster", func(f *savedFile) {
		f.spoil = func([]byte) []byte {
			p := m.part(m.openCluster(), m.openSeats(), m.openSeats())
			return lp(p.encode())
		}
	})
}

// forgedSaved are not as the reader saved them.
func (m *maker) forgedSaved() {
	bad := func(name, about string, change func(*savedFile)) {
		f := m.saved(m.openCluster(), m.openSeats(), 1, "node-sig")
		change(f)
		m.savedVector(name, auth, about, f, nil)
	}
	flipped := func(name, about string, at func(file []byte) int) {
		bad("flipped-"+name, about, func(f *savedFile) {
			f.spoil = func(b []byte) []byte {
				i := at(b)
				return join(b[:i], []byte{b[i] ^ 1}, b[i+1:])
			}
		})
	}
	flipped("registry", "one bit of the registry's fingerprint changed", func([]byte) int { return 30 })
	flipped("heard", "one bit of HeardMillis changed", func([]byte) int { return 16 + 54 + 36 + 7 })
	flipped("message", "one bit of a message changed", func(b []byte) int { return len(b) / 2 })
	flipped("signature", "one bit of the signature changed", func(b []byte) int { return len(b) - 9 })
	bad("other-signer", "saved by another node", func(f *savedFile) { f.signer = "p256-sig" })
	bad("other-reader", "read by another member", func(f *savedFile) {
		f.reader, f.name, f.ends = "p256-sig", "m0", memberEnds
	})
	bad("signature-empty", "a signature of no bytes", func(f *savedFile) { f.sign = func([]byte) []byte { return nil } })
	for kind, c := range map[string]cluster{"open": m.openCluster(), "keyed": m.keyedCluster()} {
		for _, lie := range m.lieAbout() {
			if kind == "open" && lie.keyed {
				continue
			}
			seats := m.openSeats()
			if kind == "keyed" {
				seats = m.keyedSeats()
			}
			t := *seats[0].token
			lie.change(&t)
			f := m.saved(c, append([]seat{{0, &t}}, seats[1:]...), 1, "node-sig")
			if kind == "keyed" {
				f.clusterKey = c.key
			}
			m.savedVector("lie-"+kind+"-"+lie.name, auth, lie.about, f, nil)
		}
	}
}

// foreignSaved are good, and not what the reader needs.
func (m *maker) foreignSaved() {
	bad := func(name, about string, change func(*savedFile)) {
		f := m.saved(m.keyedCluster(), m.keyedSeats(), 1, "node-sig")
		change(f)
		m.savedVector(name, rule, about, f, nil)
	}
	bad("too-old", "the registry was heard more than 30 days ago", func(f *savedFile) { f.now = now.Add(30*day + time.Second) })
	bad("future", "the registry was heard more than an hour from now", func(f *savedFile) { f.now = now.Add(-time.Hour - time.Second) })
	bad("other-registry", "of another registry", func(f *savedFile) { f.fingerprint = fingerprint(m.ssh("other-sig")) })
	bad("other-cluster", "of another cluster than is meant", func(f *savedFile) { f.clusterName = "vector" })
	bad("other-cluster-key", "of a cluster with another key than is meant", func(f *savedFile) { f.clusterKey = otherOwner().public() })
	bad("other-endpoint", "the reader is elsewhere now", func(f *savedFile) { f.ends = []string{"203.0.113.9:4009"} })
	bad("fewer-endpoints", "the reader has an endpoint less now", func(f *savedFile) { f.ends = memberEnds[:2] })
	bad("other-name", "the reader has another name", func(f *savedFile) { f.name = "m7" })
	bad("other-id", "another ID than the reader has in the roster", func(f *savedFile) { f.id = random("other id", 32) })
	bad("not-a-member", "the reader is not in the roster", func(f *savedFile) {
		f.reader, f.signer = "other-p256-sig", "other-p256-sig"
	})
	f := m.saved(m.openCluster(), m.openSeats(), 1, "node-sig")
	f.clusterKey = ownerKey().public()
	m.savedVector("no-cluster-key", rule, "of an open cluster, to whoever knows the key of one", f, nil)
}

// badSavedParts are signed by the reader, and do not make one whole roster.
func (m *maker) badSavedParts() {
	c, all := m.openCluster(), m.openSeats()
	bad := func(name, about string, parts ...[]byte) {
		f := m.saved(c, all, 1, "node-sig", []seat{})
		f.parts, f.count = parts, uint32(len(parts))
		m.savedVector("parts-"+name, message, about, f, nil)
	}
	of := func(some []seat) []byte { return partMsg(c, all, some).b }
	bad("incomplete", "members are missing", of(all[:2]))
	bad("overlap", "a member is in two messages", of(all[:3]), of(all[2:]))
	bad("twice", "the whole roster two times", of(all), of(all))
	later := c
	later.revision++
	bad("other-revision", "messages of two revisions", of(all[:2]), partMsg(later, all, all[2:]).b)
	bad("sum", "a Sum that is not that of the members", slices.Concat(of(all)[:len(of(all))-1], []byte{of(all)[len(of(all))-1] ^ 1}))
	bad("no-message", "what is no message", []byte{0xff, 0xff})
	p := m.part(c, all, all)
	p.op = opCreateReply
	bad("other-op", "a reply of another kind", p.encode())
	p = m.part(c, all, all)
	p.since = joined
	bad("since", "an answer with SinceRevision", p.encode())
}
