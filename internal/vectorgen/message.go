package vectorgen

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// fieldNames are those of XLRegMsg, by number.
var fieldNames = map[protowire.Number]string{
	1: "Op", 2: "AesIV", 3: "AesKey", 4: "Salt1", 5: "Salt2", 6: "Version",
	8: "MemberName", 9: "MemberID", 10: "MemberAttrs", 11: "MemberSpecs",
	13: "ClusterID", 14: "ClusterName", 15: "ClusterMaxSize", 16: "ClusterAttrs", 17: "EndPointCount",
	20: "Which", 21: "Tokens", 22: "DigSig", 23: "ErrDesc",
	24: "WaitSize", 25: "WaitMillis", 26: "ErrCode", 27: "RetryMillis",
	28: "ClusterKey", 29: "Epoch", 30: "Revision", 31: "SinceRevision", 32: "WaitEpoch", 33: "Run",
	34: "LeaseMillis", 35: "SeatSet", 36: "WhichSet", 37: "Admission", 38: "OwnerOrder", 39: "OwnerSig",
	40: "Sign", 41: "SignedMillis", 42: "RosterSig", 43: "Chain", 44: "Fresh", 45: "Observed", 46: "Orders", 47: "Sum",
}

// The operations that the vectors use.
const (
	opRegCredRequest = 1 + iota
	opRegCredReply
	opMember
	opMemberOK
	opCreate
	opCreateReply
	opJoin
	opJoinReply
	opGetCluster
	opClusterMembers
	opBye
	opAck
	opError
	opLeave
	opLeaveReply
	opOrder
	opOrderReply
)

// msg is a protobuf in the making, and its content by names for the JSON.
type msg struct {
	b      []byte
	fields fields
}

// fields is a JSON object.
type fields map[string]any

func newMsg(op uint64) *msg {
	return (&msg{fields: fields{}}).u32(1, op)
}

// u32 adds a number that JSON can hold.
func (m *msg) u32(n protowire.Number, v uint64) *msg {
	m.varint(n, v)
	m.fields[fieldNames[n]] = v
	return m
}

// u64 adds a number that goes into JSON as decimal digits in a string, because
// JSON numbers lose bits past 2^53.
func (m *msg) u64(n protowire.Number, v uint64) *msg {
	m.varint(n, v)
	m.fields[fieldNames[n]] = strconv.FormatUint(v, 10)
	return m
}

func (m *msg) varint(n protowire.Number, v uint64) {
	m.b = protowire.AppendTag(m.b, n, protowire.VarintType)
	m.b = protowire.AppendVarint(m.b, v)
}

func (m *msg) bytes(n protowire.Number, v []byte) *msg {
	m.raw(n, v)
	m.fields[fieldNames[n]] = h(v)
	return m
}

func (m *msg) text(n protowire.Number, v string) *msg {
	m.raw(n, []byte(v))
	m.fields[fieldNames[n]] = v
	return m
}

// yes adds a bool that is true.
func (m *msg) yes(n protowire.Number) *msg {
	m.varint(n, 1)
	m.fields[fieldNames[n]] = true
	return m
}

// list adds a repeated field.
func (m *msg) list(n protowire.Number, values ...[]byte) *msg {
	list := []string{}
	for _, v := range values {
		m.raw(n, v)
		list = append(list, h(v))
	}
	m.fields[fieldNames[n]] = list
	return m
}

func (m *msg) raw(n protowire.Number, v []byte) {
	m.b = protowire.AppendTag(m.b, n, protowire.BytesType)
	m.b = protowire.AppendBytes(m.b, v)
}

// specs adds MemberSpecs.
func (m *msg) specs(t *token) *msg {
	m.raw(11, t.encode())
	m.fields["MemberSpecs"] = t.fields()
	return m
}

// tokens adds the tokens of a roster.
func (m *msg) tokens(tokens ...*token) *msg {
	var list []fields
	for _, t := range tokens {
		m.raw(21, t.encode())
		list = append(list, t.fields())
	}
	if list != nil {
		m.fields["Tokens"] = list
	}
	return m
}

// cluster is what replies say of a cluster.
type cluster struct {
	id    []byte
	name  string
	size  uint64
	attrs uint64
	ends  uint64

	key                     []byte // none: an open one
	epoch, revision, orders uint64
}

// clusterHead adds what every carrier has of a cluster.
func (m *msg) clusterHead(c cluster) *msg {
	return m.bytes(13, c.id).text(14, c.name).u32(15, c.size).u64(16, c.attrs).u32(17, c.ends)
}

// clusterTail adds what 2.0 has besides, but for Orders, which come last.
func (m *msg) clusterTail(c cluster) *msg {
	if c.key != nil {
		m.bytes(28, c.key)
	}
	return m.u64(29, c.epoch).u64(30, c.revision)
}

// cluster adds a reply's cluster, over 2.0 where it has an epoch.
func (m *msg) cluster(c cluster) *msg {
	m.clusterHead(c)
	if c.epoch == 0 {
		return m
	}
	return m.clusterTail(c).u64(46, c.orders)
}

// token is a Token in the making. What is nil or, for attrs and the times, set to
// absent is not encoded.
type token struct {
	name      string
	attrs     uint64
	id        []byte
	comms     []byte
	sig       []byte
	ends      []string
	digSig    []byte
	digSig2   []byte
	cert      []byte // field 9, over 2.0 what the certificate is built from
	joined    uint64
	commsSig  []byte
	admission []byte
	lease     uint64
	seen      uint64
	run       []byte
	labels    []byte

	emptyLabels bool // field 17 is there and empty

	noAttrs   bool
	hasJoined bool
}

func (t *token) encode() []byte {
	m := &msg{fields: fields{}}
	m.raw(1, []byte(t.name))
	if !t.noAttrs {
		m.varint(2, t.attrs)
	}
	m.rawIf(3, t.id)
	m.raw(4, t.comms)
	m.raw(5, t.sig)
	for _, end := range t.ends {
		m.raw(6, []byte(end))
	}
	m.rawIf(7, t.digSig)
	m.rawIf(8, t.digSig2)
	m.rawIf(9, t.cert)
	if t.hasJoined {
		m.varint(10, t.joined)
	}
	m.rawIf(11, t.commsSig)
	m.rawIf(12, t.admission)
	m.varintIf(14, t.lease)
	m.varintIf(15, t.seen)
	m.rawIf(16, t.run)
	m.rawIf(17, t.labels)
	if t.emptyLabels {
		m.raw(17, nil)
	}
	return m.b
}

func (m *msg) rawIf(n protowire.Number, v []byte) {
	if v != nil {
		m.raw(n, v)
	}
}

func (m *msg) varintIf(n protowire.Number, v uint64) {
	if v != 0 {
		m.varint(n, v)
	}
}

func (t *token) fields() fields {
	f := fields{"Name": t.name, "CommsKey": h(t.comms), "SigKey": h(t.sig)}
	if !t.noAttrs {
		f["Attrs"] = strconv.FormatUint(t.attrs, 10)
	}
	if len(t.ends) > 0 {
		f["MyEnds"] = t.ends
	}
	if t.hasJoined {
		f["JoinedMillis"] = strconv.FormatUint(t.joined, 10)
	}
	if t.lease != 0 {
		f["LeaseMillis"] = t.lease
	}
	if t.seen != 0 {
		f["SeenMillis"] = strconv.FormatUint(t.seen, 10)
	}
	for name, v := range map[string][]byte{
		"ID": t.id, "DigSig": t.digSig, "DigSig2": t.digSig2, "Certificate": t.cert,
		"CommsSig": t.commsSig, "Admission": t.admission, "Run": t.run, "Labels": t.labels,
	} {
		if v != nil {
			f[name] = h(v)
		}
	}
	return f
}

// classicInput is what DigSig covers.
func (t *token) classicInput() []byte {
	b := join([]byte(t.name), u64le(t.attrs), t.comms, t.sig)
	for _, end := range t.ends {
		b = append(b, end...)
	}
	return b
}

// modernInput is what DigSig2 covers when the certificate is shown.
func (t *token) modernInput(certificate []byte) []byte {
	b := join([]byte("xlreg token 2.0\x00"), lp([]byte(t.name)), lp(u64le(t.attrs)), lp(t.comms), lp(t.sig),
		lp(sha256Sum(certificate)), u32be(uint32(len(t.ends))))
	for _, end := range t.ends {
		b = append(b, lp([]byte(end))...)
	}
	if t.labels != nil {
		b = append(b, lp(t.labels)...)
	}
	return b
}

// commsInput is what CommsSig covers.
func (t *token) commsInput() []byte {
	return join([]byte("xlreg comms 2.0\x00"), lp(t.comms), lp(t.sig))
}
