package wire

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

// NewMemberOK returns the reply to a Member.
func NewMemberOK(t *xlreg.Token) *Message {
	return newMessage(OpMemberOK, &xlregpb.XLRegMsg{
		MemberName:  proto.String(string(t.Name)),
		MemberID:    t.ID.Bytes(),
		MemberAttrs: proto.Uint64(uint64(t.Attrs)),
	})
}

// MemberOK reads the ID and the attributes that the registry bound to the node.
func (m *Message) MemberOK() (xlreg.NodeID, xlreg.NodeAttrs, error) {
	id, err := xlreg.NodeIDFromBytes(m.pb.GetMemberID())
	if err != nil {
		return "", 0, xlreg.Errorf(xlreg.ErrProtocol, "MemberID: %v", err)
	}
	return id, xlreg.NodeAttrs(m.pb.GetMemberAttrs()), nil
}

// NewClusterReply returns a CreateReply, JoinReply or OrderReply over p, whichever op is.
// A JoinReply over 2.0 is for NewJoinReply.
func NewClusterReply(op Op, c *xlreg.Cluster, s xlreg.ClusterState, p xlreg.Protocol) *Message {
	return newMessage(op, clusterToPB(c, s, p))
}

// NewJoinReply returns the reply to a Join. The lease is the one that holds; over a
// classic carrier there is none.
func NewJoinReply(c *xlreg.Cluster, s xlreg.ClusterState, lease time.Duration, p xlreg.Protocol) *Message {
	m := NewClusterReply(OpJoinReply, c, s, p)
	if !p.Classic() {
		m.pb.LeaseMillis = proto.Uint32(millis(lease))
	}
	return m
}

func clusterToPB(c *xlreg.Cluster, s xlreg.ClusterState, p xlreg.Protocol) *xlregpb.XLRegMsg {
	pb := &xlregpb.XLRegMsg{
		ClusterID:      c.ID.Bytes(),
		ClusterName:    proto.String(string(c.Name)),
		ClusterMaxSize: proto.Uint32(uint32(c.MaxSize)),
		ClusterAttrs:   proto.Uint64(uint64(c.Attrs)),
		EndPointCount:  proto.Uint32(uint32(c.EndpointCount)),
	}
	if !p.Classic() {
		pb.ClusterKey = optional(c.Key)
		pb.Epoch, pb.Revision, pb.Orders = proto.Uint64(s.Epoch), proto.Uint64(s.Revision), proto.Uint64(s.Orders)
	}
	return pb
}

// Cluster reads the cluster of a CreateReply, JoinReply, OrderReply or ClusterMembers
// that came over p.
// Original servers leave fields out, the name in a JoinReply and all but the ID
// in ClusterMembers; those are zero.
func (m *Message) Cluster(p xlreg.Protocol) (xlreg.Cluster, error) {
	id, err := xlreg.ClusterIDFromBytes(m.pb.GetClusterID())
	if err != nil {
		return xlreg.Cluster{}, xlreg.Errorf(xlreg.ErrProtocol, "ClusterID: %v", err)
	}
	name := xlreg.Name(m.pb.GetClusterName())
	if err := name.Validate(); err != nil && name != "" {
		return xlreg.Cluster{}, xlreg.Errorf(xlreg.ErrProtocol, "ClusterName: %v", err)
	}
	size, count := m.pb.GetClusterMaxSize(), m.pb.GetEndPointCount()
	if size > uint32(maxClusterSize(p)) || count > xlreg.MaxEndpoints {
		return xlreg.Cluster{}, xlreg.Errorf(xlreg.ErrProtocol, "cluster of %d members with %d endpoints", size, count)
	}
	c := xlreg.Cluster{
		ID:            id,
		Name:          name,
		Attrs:         xlreg.ClusterAttrs(m.pb.GetClusterAttrs()),
		MaxSize:       int(size),
		EndpointCount: int(count),
	}
	if p.Classic() {
		return c, nil
	}
	if c.Key, err = m.clusterKey(); err != nil {
		return xlreg.Cluster{}, xlreg.Errorf(xlreg.ErrProtocol, "ClusterKey of %d bytes", len(m.pb.GetClusterKey()))
	}
	return c, nil
}

func maxClusterSize(p xlreg.Protocol) int {
	if p.Classic() {
		return xlreg.MaxClassicClusterSize
	}
	return xlreg.MaxClusterSize
}

// State reads what changes about a cluster from the messages that Cluster is for. It is
// zero over a classic carrier.
func (m *Message) State(p xlreg.Protocol) xlreg.ClusterState {
	if p.Classic() {
		return xlreg.ClusterState{}
	}
	return xlreg.ClusterState{Epoch: m.pb.GetEpoch(), Revision: m.pb.GetRevision(), Orders: m.pb.GetOrders()}
}

// Lease reads the lease of a JoinReply over 2.0; 0 is none.
func (m *Message) Lease() time.Duration { return duration(m.pb.GetLeaseMillis()) }

// NewLeaveReply returns the reply to a Leave.
func NewLeaveReply(id xlreg.ClusterID) *Message {
	return newMessage(OpLeaveReply, &xlregpb.XLRegMsg{ClusterID: id.Bytes()})
}

// NewAck returns the reply to a Bye.
func NewAck() *Message { return newMessage(OpAck, new(xlregpb.XLRegMsg)) }

// NewRegCredReply returns the reply to a RegCredRequest.
func NewRegCredReply(c *xlreg.Credentials) *Message {
	specs := tokenToPB(&xlreg.Token{Name: c.Name, ID: c.ID, CommsKey: c.CommsKey, SigKey: c.SigKey, Endpoints: c.Endpoints})
	specs.Attrs = nil
	return newMessage(OpRegCredReply, &xlregpb.XLRegMsg{MemberSpecs: specs, Version: proto.Uint32(uint32(c.Version))})
}

// Credentials reads a RegCredReply. A registry may leave its endpoints out.
func (m *Message) Credentials() (*xlreg.Credentials, error) {
	specs := m.pb.GetMemberSpecs()
	if specs == nil {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "RegCredReply without MemberSpecs")
	}
	const p = xlreg.Protocol19 // it says the same over all of them
	t, err := tokenFromPB(specs, maxReplyToken(p), p)
	if err == nil {
		err = keys.CheckToken(t)
	}
	if err != nil {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "RegCredReply: %v", err)
	}
	if t.ID == "" {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "RegCredReply without the registry's ID")
	}
	return &xlreg.Credentials{
		Name: t.Name, ID: t.ID, CommsKey: t.CommsKey, SigKey: t.SigKey,
		Endpoints: t.Endpoints, Version: xlreg.Version(m.pb.GetVersion()),
	}, nil
}

// SetObserved adds to a MemberOK or RegCredReply over 2.0 from where the registry sees
// the client.
func (m *Message) SetObserved(from xlreg.Endpoint) {
	if from != "" {
		m.pb.Observed = proto.String(string(from))
	}
}

// Observed reads what SetObserved added; empty if that is no endpoint.
func (m *Message) Observed() xlreg.Endpoint {
	from, err := xlreg.ParseEndpoint(m.pb.GetObserved())
	if err != nil {
		return ""
	}
	return from
}

// SetChain adds to a RegCredReply over 2.0 the certificates, in DER, that a handshake
// would show now.
func (m *Message) SetChain(chain [][]byte) { m.pb.Chain = chain }

// Chain reads the certificates of a RegCredReply or a signed ClusterMembers, at most a
// handful; whether each is one is for its reader to find out.
func (m *Message) Chain() [][]byte { return m.pb.GetChain() }

// Signed is a registry's signature of a roster.
type Signed struct {
	Millis uint64   // when, since 1970, by the registry's clock
	Sig    []byte   // by the key of Chain's first certificate
	Chain  [][]byte // certificates in DER
}

// Size returns by how many bytes SetSigned makes a message longer, for any Millis.
func (s *Signed) Size() int {
	return proto.Size(&xlregpb.XLRegMsg{SignedMillis: proto.Uint64(1<<64 - 1), RosterSig: s.Sig, Chain: s.Chain})
}

// SetSigned adds a signature to a ClusterMembers over 2.0.
func (m *Message) SetSigned(s Signed) {
	m.pb.SignedMillis, m.pb.RosterSig, m.pb.Chain = proto.Uint64(s.Millis), s.Sig, s.Chain
}

// Signed reads what SetSigned added, and false if nothing was.
func (m *Message) Signed() (Signed, bool) {
	s := Signed{Millis: m.pb.GetSignedMillis(), Sig: m.pb.GetRosterSig(), Chain: m.pb.GetChain()}
	return s, m.pb.SignedMillis != nil && len(s.Sig) > 0 && len(s.Chain) > 0
}
