package vectorgen

import (
	"encoding/base32"
	"strconv"
	"strings"
)

// seat is one member of a roster, at its index.
type seat struct {
	index int
	*token
}

// seats puts tokens at the indexes 0, 1 and so on.
func seats(tokens ...*token) []seat {
	var list []seat
	for i, t := range tokens {
		list = append(list, seat{i, t})
	}
	return list
}

// hash is what a sum has of a seat.
func (s seat) hash() []byte {
	t := s.token
	b := join([]byte("xlreg seat 2.0\x00"), lp(t.id), lp([]byte(t.name)), u64be(t.attrs), lp(t.comms), lp(t.sig), u32be(uint32(len(t.ends))))
	for _, end := range t.ends {
		b = append(b, lp([]byte(end))...)
	}
	return sha256Sum(join(b, lp(t.digSig2), lp(t.cert), lp(t.commsSig), lp(t.labels), lp(t.admission), lp(t.run)))
}

// sum is that of a whole roster.
func (c cluster) sum(seats []seat) []byte {
	b := join([]byte("xlreg roster 2.0\x00"), lp(c.id), lp([]byte(c.name)), lp(c.key), u32be(uint32(c.size)), u32be(uint32(c.ends)),
		u64be(c.attrs), u64be(c.epoch), u64be(c.revision), u32be(uint32(len(seats))))
	for _, s := range seats {
		b = join(b, u32be(uint32(s.index)), s.hash())
	}
	return sha256Sum(b)
}

// shortSum is what people compare.
func shortSum(sum []byte) string {
	text := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20]))
	var groups []string
	for ; text != ""; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(groups, "-")
}

// setOf returns a set of indexes as it travels.
func setOf(indexes ...int) []byte {
	set := []byte{}
	for _, i := range indexes {
		for len(set) <= i/8 {
			set = append(set, 0)
		}
		set[i/8] |= 1 << (i % 8)
	}
	return set
}

func indexesOf(seats []seat) []int {
	var list []int
	for _, s := range seats {
		list = append(list, s.index)
	}
	return list
}

// sums are rosters whose sums differ, each in one field from the first.
func (m *maker) sums() {
	c := m.openCluster()
	t := m.rosterToken("m0", "p256-sig")
	t.labels, t.run, t.admission = someLabels(), random("run", 16), m.admitted("p256-sig").encode()
	c.key = ownerKey().public()
	other := m.rosterToken("m1", "node-sig")
	good := []seat{{0, t}, {3, other}}
	add := func(name, about string, c cluster, seats []seat) { m.sumVector(name, about, c, seats) }
	add("good", "a member with all fields, and one with few", c, good)
	add("none", "no members", c, nil)
	add("last-index", "a member at the highest index", c, []seat{{1023, other}})
	with := func(name, about string, change func(*cluster)) {
		c := c
		change(&c)
		add(name, about, c, good)
	}
	with("open", "the same without a cluster key", func(c *cluster) { c.key = nil })
	with("other-cluster-id", "another ClusterID", func(c *cluster) { c.id = random("other cluster id", 20) })
	with("long-cluster-id", "a ClusterID of 32 bytes", func(c *cluster) { c.id = random("cluster id long", 32) })
	with("other-cluster-name", "another ClusterName", func(c *cluster) { c.name = "vector" })
	with("other-cluster-key", "another ClusterKey", func(c *cluster) { c.key = otherOwner().public() })
	with("other-max-size", "another MaxSize", func(c *cluster) { c.size = 1023 })
	with("other-endpoint-count", "another EndPointCount", func(c *cluster) { c.ends = 1 })
	with("other-cluster-attrs", "other ClusterAttrs", func(c *cluster) { c.attrs = 1 })
	with("other-epoch", "another Epoch", func(c *cluster) { c.epoch = 1<<63 + 1 })
	with("other-revision", "another Revision", func(c *cluster) { c.revision++ })
	with("orders", "Orders are not covered: the sum is that of good", func(c *cluster) { c.orders = 7 })
	add("other-index", "another index", c, []seat{{1, t}, {3, other}})
	add("other-order", "the members in each other's place", c, []seat{{0, other}, {3, t}})
	add("member-less", "a member less", c, good[:1])
	m.seatSums(c, t, other)
}

func (m *maker) seatSums(c cluster, t, other *token) {
	with := func(name, about string, change func(*token)) {
		changed := *t
		change(&changed)
		m.sumVector("seat-"+name, about, c, []seat{{0, &changed}, {3, other}})
	}
	with("other-id", "another ID", func(t *token) { t.id = random("other id", 32) })
	with("short-id", "an ID of 20 bytes", func(t *token) { t.id = t.id[:20] })
	with("other-name", "another Name", func(t *token) { t.name = "m2" })
	with("other-attrs", "other Attrs", func(t *token) { t.attrs = 1 })
	with("other-comms-key", "another CommsKey", func(t *token) { t.comms = m.public("node-comms") })
	with("other-sig-key", "another SigKey", func(t *token) { t.sig = m.public("node-sig") })
	with("other-endpoints", "the endpoints in another order", func(t *token) { t.ends = []string{t.ends[1], t.ends[0], t.ends[2]} })
	with("no-endpoints", "no endpoints", func(t *token) { t.ends = nil })
	with("other-digsig2", "another DigSig2", func(t *token) { t.digSig2 = flip(t.digSig2) })
	with("no-digsig2", "no DigSig2", func(t *token) { t.digSig2 = nil })
	with("other-certificate", "another Certificate", func(t *token) { t.cert = flip(t.cert) })
	with("other-comms-sig", "another CommsSig", func(t *token) { t.commsSig = flip(t.commsSig) })
	with("other-labels", "other Labels", func(t *token) { t.labels = encodeLabels(label{"role", []byte("master")}) })
	with("no-labels", "no Labels", func(t *token) { t.labels = nil })
	with("other-admission", "another Admission", func(t *token) { t.admission = m.invited("p256-sig", goodInvite()).encode() })
	with("no-admission", "no Admission", func(t *token) { t.admission = nil })
	with("other-run", "another Run", func(t *token) { t.run = flip(t.run) })
	with("no-run", "no Run", func(t *token) { t.run = nil })
	with("swapped", "DigSig2 and CommsSig in each other's place", func(t *token) { t.digSig2, t.commsSig = t.commsSig, t.digSig2 })
	with("times", "JoinedMillis, LeaseMillis and SeenMillis are not covered: the sum is that of good", func(t *token) {
		t.joined, t.lease, t.seen = joined+1, 15000, joined
	})
}

// sumVector adds a roster. Its proofs need not hold: a sum is taken of what is
// there.
func (m *maker) sumVector(name, about string, c cluster, seats []seat) {
	list := []fields{}
	for _, s := range seats {
		list = append(list, fields{"index": s.index, "token": h(s.encode())})
	}
	sum := c.sum(seats)
	m.add("sum/"+name, success, about, fields{
		"cluster_id": h(c.id), "cluster_name": c.name, "cluster_key": h(c.key), "max_size": c.size, "endpoint_count": c.ends,
		"cluster_attrs": strconv.FormatUint(c.attrs, 10), "epoch": strconv.FormatUint(c.epoch, 10),
		"revision": strconv.FormatUint(c.revision, 10), "orders": strconv.FormatUint(c.orders, 10), "seats": list,
	}, fields{"sum": h(sum), "short": shortSum(sum)})
}
