package wire

import (
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

// MemberRequest registers a node (Token) or logs one in (ID).
type MemberRequest struct {
	Token  *xlreg.Token // nil to log in
	ID     []byte       // as it came: an ID of no legal length is an unknown one
	DigSig []byte       // classic log-in only
}

// NewMember returns a Member that registers t, with its signatures as they are.
func NewMember(t *xlreg.Token) *Message {
	specs := tokenToPB(t)
	specs.DigSig, specs.DigSig2 = t.DigSig, t.DigSig2
	return newMessage(OpMember, &xlregpb.XLRegMsg{MemberSpecs: specs})
}

// NewLogin returns a Member that logs in as id. Over 2.0 digSig is nil.
func NewLogin(id xlreg.NodeID, digSig []byte) *Message {
	return newMessage(OpMember, &xlregpb.XLRegMsg{MemberID: id.Bytes(), DigSig: digSig})
}

// Member reads a Member that came over p. The token it returns is within every
// limit of p; its signatures are not verified.
func (m *Message) Member(p xlreg.Protocol) (MemberRequest, error) {
	specs := m.pb.GetMemberSpecs()
	if specs == nil && m.pb.MemberID == nil {
		return MemberRequest{}, xlreg.Errorf(xlreg.ErrIllFormedToken, "neither MemberSpecs nor MemberID")
	}
	if specs == nil {
		return MemberRequest{ID: m.pb.GetMemberID(), DigSig: m.pb.GetDigSig()}, nil
	}
	t, err := tokenFromPB(specs, xlreg.MaxTokenLen)
	if err != nil {
		return MemberRequest{}, err
	}
	if err := keys.CheckTokenFor(t, p); err != nil {
		return MemberRequest{}, err
	}
	return MemberRequest{Token: t}, nil
}

// NewCreate returns a Create.
func NewCreate(spec xlreg.ClusterSpec) *Message {
	return newMessage(OpCreate, &xlregpb.XLRegMsg{
		ClusterName:    proto.String(spec.Name),
		ClusterMaxSize: proto.Uint32(spec.MaxSize),
		ClusterAttrs:   proto.Uint64(uint64(spec.Attrs)),
		EndPointCount:  proto.Uint32(spec.EndpointCount),
	})
}

// Create reads a Create.
func (m *Message) Create() xlreg.ClusterSpec {
	return xlreg.ClusterSpec{
		Name:          m.pb.GetClusterName(),
		MaxSize:       m.pb.GetClusterMaxSize(),
		EndpointCount: m.pb.GetEndPointCount(),
		Attrs:         xlreg.ClusterAttrs(m.pb.GetClusterAttrs()),
	}
}

// GetRequest asks for a cluster's members.
type GetRequest struct {
	Ref   xlreg.ClusterRef
	Which xlreg.Seats

	Wait       bool    // false: answer at once
	WaitSize   *uint32 // nil: the cluster's maximum size
	WaitMillis *uint32 // nil: the registry's limit
}

// NewGet returns a GetCluster. One that waits always says for how many, since
// a request with neither WaitSize nor WaitMillis does not wait.
func NewGet(r GetRequest) *Message {
	pb := refToPB(r.Ref)
	if r.Which != xlreg.AllSeats {
		pb.Which = proto.Uint64(uint64(r.Which))
	}
	if r.Wait {
		pb.WaitSize, pb.WaitMillis = r.WaitSize, r.WaitMillis
	}
	if r.Wait && pb.WaitSize == nil {
		pb.WaitSize = proto.Uint32(xlreg.MaxClusterSize)
	}
	return newMessage(OpGetCluster, pb)
}

// Get reads a GetCluster.
func (m *Message) Get() GetRequest {
	r := GetRequest{Ref: m.Ref(), Which: xlreg.AllSeats}
	if m.pb.Which != nil {
		r.Which = xlreg.Seats(m.pb.GetWhich())
	}
	r.WaitSize, r.WaitMillis = m.pb.WaitSize, m.pb.WaitMillis
	none := r.WaitSize == nil && r.WaitMillis == nil
	zero := r.WaitMillis != nil && *r.WaitMillis == 0
	r.Wait = !none && !zero
	return r
}

// NewJoin returns a Join.
func NewJoin(ref xlreg.ClusterRef) *Message { return newMessage(OpJoin, refToPB(ref)) }

// NewLeave returns a Leave.
func NewLeave(ref xlreg.ClusterRef) *Message { return newMessage(OpLeave, refToPB(ref)) }

// NewBye returns a Bye.
func NewBye() *Message { return newMessage(OpBye, new(xlregpb.XLRegMsg)) }

// NewRegCredRequest returns a RegCredRequest.
func NewRegCredRequest() *Message { return newMessage(OpRegCredRequest, new(xlregpb.XLRegMsg)) }

// Ref reads the cluster that a Join, GetCluster or Leave names. An ID or a name
// of no legal form names no cluster, and is left for the rules not to find.
func (m *Message) Ref() xlreg.ClusterRef {
	return xlreg.ClusterRef{
		ID:   xlreg.ClusterID(m.pb.GetClusterID()),
		Name: xlreg.Name(m.pb.GetClusterName()),
	}
}

func refToPB(ref xlreg.ClusterRef) *xlregpb.XLRegMsg {
	pb := new(xlregpb.XLRegMsg)
	if ref.ID != "" {
		pb.ClusterID = ref.ID.Bytes()
	}
	if ref.Name != "" {
		pb.ClusterName = proto.String(string(ref.Name))
	}
	return pb
}
