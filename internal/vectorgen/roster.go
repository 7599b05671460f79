package vectorgen

import (
	"strconv"
)

// rosterToken is a member as a registry hands it to readers of 2.0.
func (m *maker) rosterToken(name, key string) *token {
	return m.rosterTokenOf(certifiedAs(name, key, memberEnds))
}

func (m *maker) rosterTokenOf(c certified) *token {
	comms := "node-comms"
	if m.p256[c.key] != nil {
		comms = "p256-comms"
	}
	t := m.tokenOf(c, comms)
	t.id, t.joined, t.hasJoined = random("roster id "+c.name, 32), joined, true
	return t
}

// classicMember is a member that came over a classic carrier.
func (m *maker) classicMember(name string) *token {
	return &token{
		name: name, id: random("roster id "+name, 20), ends: memberEnds[:2],
		comms: m.public("small-comms"), sig: m.public("small-sig"),
	}
}

// openCluster is one of 2.0 without a key.
func (m *maker) openCluster() cluster {
	c := m.testCluster()
	c.size, c.epoch, c.revision = 1024, 1, joined+5
	return c
}

// rosterMsg is the whole roster in one ClusterMembers of 2.0.
func rosterMsg(c cluster, seats []seat) *msg { return partMsg(c, seats, seats) }

// partMsg is a ClusterMembers of 2.0 that holds the tokens of part alone.
func partMsg(c cluster, seats, part []seat) *msg {
	var tokens []*token
	for _, s := range part {
		tokens = append(tokens, s.token)
	}
	v := newMsg(opClusterMembers).clusterHead(c).tokens(tokens...).clusterTail(c)
	return v.bytes(35, setOf(indexesOf(seats)...)).bytes(36, setOf(indexesOf(part)...)).u64(46, c.orders).bytes(47, c.sum(seats))
}

func (m *maker) rosters() {
	m.classicRosters()
	m.goodRosters()
	m.badRosters()
	m.unprovenRosters()
	m.keyedRosters()
}

func (m *maker) rosterVector(name, protocol, about string, v *msg, members []seat) {
	want := []fields{}
	for _, s := range members {
		want = append(want, s.describe())
	}
	m.add("roster/"+name, success, about, fields{"protocol": protocol, "message": h(v.b)}, fields{"members": want})
}

// describe is what a reader has of a member.
func (s seat) describe() fields {
	t := s.token
	f := fields{
		"index": s.index, "name": t.name, "id": h(t.id), "endpoints": append([]string{}, t.ends...), "attrs": strconv.FormatUint(t.attrs, 10),
		"joined_millis": strconv.FormatUint(t.joined, 10), "verified": t.cert != nil,
	}
	for name, v := range map[string][]byte{"labels": t.labels, "run": t.run} {
		if v != nil {
			f[name] = h(v)
		}
	}
	if t.lease != 0 {
		f["lease_millis"] = t.lease
	}
	if t.seen != 0 {
		f["seen_millis"] = strconv.FormatUint(t.seen, 10)
	}
	return f
}

func (m *maker) classicRosters() {
	old, older := m.classicMember("old"), m.classicMember("older")
	v := newMsg(opClusterMembers).clusterHead(m.testCluster()).u64(20, 3).tokens(old, older)
	m.rosterVector("1.9", "1.9", "tokens over a classic carrier carry no signature", v, seats(old, older))
}

func (m *maker) goodRosters() {
	c := m.openCluster()
	ok := func(name, about string, members ...seat) {
		m.rosterVector(name, "2.0", about, rosterMsg(c, members), members)
	}
	m0, m1 := m.rosterToken("m0", "node-sig"), m.rosterToken("m1", "p256-sig")
	full := m.rosterToken("full", "other-p256-sig")
	full.labels = someLabels()
	certificate, _ := m.certificate(certifiedAs("full", "other-p256-sig", memberEnds))
	m.sign2(full, "other-p256-sig", certificate)
	full.lease, full.seen, full.run = 15000, joined-joined%1000, random("run", 16)
	old := m.classicMember("old")
	old.joined, old.hasJoined = joined+1, true
	ok("2.0", "two members at the indexes 0 and 2, with keys of both kinds", seat{0, m0}, seat{2, m1})
	ok("2.0-filled", "a member with labels, lease and run", seats(m0, full)...)
	ok("2.0-mixed", "a member that came over a classic carrier is not verified", seats(m0, old, m1)...)
	ok("2.0-last-index", "the highest index there is", seat{1023, m1})
	ok("none", "no member is no error")
	all := seats(m0, m1, full)
	m.rosterVector("2.0-part", "2.0", "one of three members: WhichSet says which", partMsg(c, all, all[1:2]), all[1:2])
	since := newMsg(opClusterMembers).clusterHead(c).tokens(m1).clusterTail(c).u64(31, c.revision-1)
	since.bytes(35, setOf(0, 1, 2)).bytes(36, setOf(1)).u64(46, 0).bytes(47, c.sum(all))
	m.rosterVector("2.0-since", "2.0", "what changed since a revision", since, all[1:2])
}

func (m *maker) badRosters() {
	c := m.openCluster()
	bad := func(name, about string, v *msg) {
		m.add("roster/"+name, message, about, fields{"protocol": "2.0", "message": h(v.b)}, protocolError())
	}
	m0, m1 := m.rosterToken("m0", "node-sig"), m.rosterToken("m1", "p256-sig")
	with := func(change func(*token)) *msg {
		t := *m0
		change(&t)
		return rosterMsg(c, seats(&t, m1))
	}
	sets := func(seats, which []byte, tokens ...*token) *msg {
		v := newMsg(opClusterMembers).clusterHead(c).tokens(tokens...).clusterTail(c)
		return v.bytes(35, seats).bytes(36, which).u64(46, 0).bytes(47, c.sum(nil))
	}
	bad("too-few-tokens", "WhichSet has three bits and there are two tokens", sets(setOf(0, 1, 2), setOf(0, 1, 2), m0, m1))
	bad("too-many-tokens", "WhichSet has one bit and there are two tokens", sets(setOf(0, 1), setOf(0), m0, m1))
	bad("not-seated", "a token of a seat that SeatSet lacks", sets(setOf(0), setOf(0, 1), m0, m1))
	small := c
	small.size = 5
	bad("seat-past-size", "a seat at index 5 of a cluster of 5", rosterMsg(small, []seat{{5, m1}}))
	bad("set-too-long", "a set of 129 bytes", sets(setOf(0, 1024), setOf(0, 1024), m0, m1))
	bad("no-id", "a member without ID", with(func(t *token) { t.id = nil }))
	bad("bad-name", "a member whose name is none", with(func(t *token) { t.name = "0" }))
	bad("bad-endpoint", "a member whose endpoint is none", with(func(t *token) { t.ends = []string{"m0"} }))
	bad("bad-labels", "a member whose labels are none", with(func(t *token) { t.labels = []byte{0x0a} }))
	bad("compressed-key", "a member whose comms key has its point compressed", with(func(t *token) { t.comms = compressed(&m.p256["p256-comms"].PublicKey) }))
	tail := func(name, about string, fill func(*msg)) {
		v := newMsg(opClusterMembers).clusterHead(c).tokens(m0, m1).clusterTail(c)
		fill(v)
		bad(name, about, v)
	}
	both, sum := setOf(0, 1), c.sum(seats(m0, m1))
	tail("other-sum", "the whole roster, and the Sum of another", func(v *msg) { v.bytes(35, both).bytes(36, both).u64(46, 0).bytes(47, flip(sum)) })
	tail("short-sum", "a Sum of 31 bytes", func(v *msg) { v.bytes(35, both).bytes(36, both).u64(46, 0).bytes(47, sum[:31]) })
	tail("no-sum", "no Sum", func(v *msg) { v.bytes(35, both).bytes(36, both).u64(46, 0) })
	tail("no-seat-set", "no SeatSet", func(v *msg) { v.bytes(36, both).u64(46, 0).bytes(47, sum) })
	tail("no-which-set", "no WhichSet, and Which in its place", func(v *msg) { v.u64(20, 3).bytes(35, both).u64(46, 0).bytes(47, sum) })
}
