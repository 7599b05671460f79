package wire

import (
	"time"

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

// NewMember returns a Member that registers t, with what proves it as it is.
func NewMember(t *xlreg.Token) *Message {
	specs := tokenToPB(t)
	specs.DigSig = t.DigSig
	addProofs(specs, t)
	return newMessage(OpMember, &xlregpb.XLRegMsg{MemberSpecs: specs})
}

// NewLogin returns a Member that logs in as id. Over 2.0 digSig is nil.
func NewLogin(id xlreg.NodeID, digSig []byte) *Message {
	return newMessage(OpMember, &xlregpb.XLRegMsg{MemberID: id.Bytes(), DigSig: digSig})
}

// Member reads a Member that came over p. The token it returns is within every
// limit of p, and over a classic carrier without what only 2.0 has; its signatures
// are not verified.
func (m *Message) Member(p xlreg.Protocol) (MemberRequest, error) {
	specs := m.pb.GetMemberSpecs()
	if specs == nil && m.pb.MemberID == nil {
		return MemberRequest{}, xlreg.Errorf(xlreg.ErrIllFormedToken, "neither MemberSpecs nor MemberID")
	}
	if specs == nil {
		return MemberRequest{ID: m.pb.GetMemberID(), DigSig: m.pb.GetDigSig()}, nil
	}
	t, err := tokenFromPB(specs, maxToken(p), p)
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
		ClusterKey:     optional(spec.Key),
		OwnerSig:       spec.OwnerSig,
	})
}

// Create reads a Create that came over p.
func (m *Message) Create(p xlreg.Protocol) (xlreg.ClusterSpec, error) {
	spec := xlreg.ClusterSpec{
		Name:          m.pb.GetClusterName(),
		MaxSize:       m.pb.GetClusterMaxSize(),
		EndpointCount: m.pb.GetEndPointCount(),
		Attrs:         xlreg.ClusterAttrs(m.pb.GetClusterAttrs()),
	}
	if p.Classic() {
		return spec, nil
	}
	var err error
	spec.Key, err = m.clusterKey()
	spec.OwnerSig = some(m.pb.GetOwnerSig())
	return spec, err
}

// JoinRequest asks for a seat. Over a classic carrier it has a Ref alone.
type JoinRequest struct {
	Ref       xlreg.ClusterRef
	Admission []byte        // as it came; nil: none
	Run       xlreg.Run     // empty: none
	Lease     time.Duration // as asked for, in milliseconds; 0: none
	Fresh     bool
}

// NewJoin returns a Join.
func NewJoin(r JoinRequest) *Message {
	pb := refToPB(r.Ref)
	pb.Admission, pb.Run = r.Admission, optional(r.Run)
	if r.Lease > 0 {
		pb.LeaseMillis = proto.Uint32(millis(r.Lease))
	}
	if r.Fresh {
		pb.Fresh = proto.Bool(true)
	}
	return newMessage(OpJoin, pb)
}

// Join reads a Join that came over p.
func (m *Message) Join(p xlreg.Protocol) (JoinRequest, error) {
	ref, err := m.Ref(p)
	if err != nil || p.Classic() {
		return JoinRequest{Ref: ref}, err
	}
	r := JoinRequest{
		Ref:       ref,
		Admission: some(m.pb.GetAdmission()),
		Run:       xlreg.Run(m.pb.GetRun()),
		Lease:     duration(m.pb.GetLeaseMillis()),
		Fresh:     m.pb.GetFresh(),
	}
	if n := len(r.Run); n > xlreg.MaxRunLen {
		return JoinRequest{}, xlreg.Errorf(xlreg.ErrIllFormedToken, "Run of %d bytes, at most %d allowed", n, xlreg.MaxRunLen)
	}
	if r.Fresh && r.Run == "" {
		return JoinRequest{}, xlreg.Errorf(xlreg.ErrIllFormedToken, "Fresh without Run")
	}
	return r, nil
}

// NewLeave returns a Leave.
func NewLeave(ref xlreg.ClusterRef) *Message { return newMessage(OpLeave, refToPB(ref)) }

// NewOrder returns an Order.
func NewOrder(o xlreg.SignedOrder) *Message {
	return newMessage(OpOrder, &xlregpb.XLRegMsg{OwnerOrder: o.Bytes, OwnerSig: o.Sig})
}

// Order reads an Order. What is in it is for DecodeOrder to find out.
func (m *Message) Order() xlreg.SignedOrder {
	return xlreg.SignedOrder{Bytes: m.pb.GetOwnerOrder(), Sig: m.pb.GetOwnerSig()}
}

// NewBye returns a Bye.
func NewBye() *Message { return newMessage(OpBye, new(xlregpb.XLRegMsg)) }

// NewRegCredRequest returns a RegCredRequest.
func NewRegCredRequest() *Message { return newMessage(OpRegCredRequest, new(xlregpb.XLRegMsg)) }

// Ref reads the cluster that a Join, GetCluster or Leave names that came over p. An ID
// or a name of no legal form names no cluster, and is left for the rules not to find;
// a key of no legal length is an error.
func (m *Message) Ref(p xlreg.Protocol) (xlreg.ClusterRef, error) {
	ref := xlreg.ClusterRef{
		ID:   xlreg.ClusterID(m.pb.GetClusterID()),
		Name: xlreg.Name(m.pb.GetClusterName()),
	}
	if p.Classic() {
		return ref, nil
	}
	var err error
	ref.Key, err = m.clusterKey()
	return ref, err
}

func (m *Message) clusterKey() (xlreg.ClusterKey, error) {
	key := xlreg.ClusterKey(m.pb.GetClusterKey())
	return key, key.Validate()
}

func refToPB(ref xlreg.ClusterRef) *xlregpb.XLRegMsg {
	pb := &xlregpb.XLRegMsg{ClusterID: optional(ref.ID), ClusterKey: optional(ref.Key)}
	if ref.Name != "" {
		pb.ClusterName = proto.String(string(ref.Name))
	}
	return pb
}

// some returns b, and nil if it is empty: over 2.0 a field of no bytes is as good as none.
func some(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// optional returns the bytes of s, and nil, which is no field, if there are none.
func optional[S ~string](s S) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// millis returns d in milliseconds as they travel: no more than fit, and not 0, which
// would mean something else, unless d is.
func millis(d time.Duration) uint32 {
	n := d.Milliseconds()
	if d%time.Millisecond > 0 {
		n++
	}
	return uint32(min(max(0, n), 1<<32-1))
}

func duration(millis uint32) time.Duration { return time.Duration(millis) * time.Millisecond }
