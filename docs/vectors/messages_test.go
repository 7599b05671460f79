package vectors_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

// checkRefusal holds an error's kind against what the vector says the peer gets.
func checkRefusal(t *testing.T, err error, want vectors.Refusal) {
	t.Helper()
	kind := xlreg.Kind(want.Error.Code)
	if kind.Error() != want.Error.Text {
		t.Errorf("code %d has the text %q, want %q", kind, kind.Error(), want.Error.Text)
	}
	if err != nil && !errors.Is(err, kind) {
		t.Errorf("got %v, want the kind %v", err, kind)
	}
}

type messageWant struct {
	Fields    map[string]any
	Canonical bool
	vectors.Refusal
}

func runMessage(t *testing.T, v vectors.Vector) {
	var input struct {
		From  string
		Plain vectors.Hex
	}
	var want messageWant
	decode(t, v, &input, &want)
	m, err := wire.Unmarshal(input.Plain)
	if v.Layer == vectors.Frame {
		checkRefusal(t, err, want.Refusal)
		check(t, v, err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := rebuild(m, input.Plain)
	if v.Layer != vectors.Success {
		checkRefusal(t, err, want.Refusal)
	}
	if !check(t, v, err) {
		return
	}
	maps.DeleteFunc(want.Fields, func(_ string, value any) bool { return value == nil }) // an empty list
	if got := describe(t, input.Plain); !reflect.DeepEqual(got, want.Fields) {
		t.Errorf("got %v, want %v", got, want.Fields)
	}
	compareBytes(t, again, input.Plain, want.Canonical)
}

func compareBytes(t *testing.T, m *wire.Message, plain []byte, canonical bool) {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil || canonical && string(b) != string(plain) {
		t.Errorf("encoded %x, %v, want %x", b, err, plain)
	}
}

// rebuild reads a message as its receiver does, and makes it anew from that.
func rebuild(m *wire.Message, plain []byte) (*wire.Message, error) {
	switch m.Op() {
	case wire.OpRegCredRequest:
		return wire.NewRegCredRequest(), nil
	case wire.OpMember:
		return rebuildMember(m, plain)
	case wire.OpCreate, wire.OpJoin, wire.OpGetCluster, wire.OpLeave, wire.OpOrder:
		return rebuildRequest(m, protocolOf(plain))
	case wire.OpBye:
		return wire.NewBye(), nil
	case wire.OpAck:
		return wire.NewAck(), nil
	case wire.OpError:
		return wire.NewError(m.Err()), nil
	}
	return rebuildReply(m, plain)
}

// protocolOf returns the protocol by whose rules a message of the vectors is read. Of
// those that are not the same over all of them, the classic ones have a Which, or a reply
// without an Epoch.
func protocolOf(plain []byte) xlreg.Protocol {
	pb := new(xlregpb.XLRegMsg)
	if err := proto.Unmarshal(plain, pb); err != nil {
		return xlreg.Protocol20
	}
	switch op := wire.Op(pb.GetOp()); {
	case pb.Which != nil, (op == wire.OpCreateReply || op == wire.OpJoinReply) && pb.Epoch == nil:
		return xlreg.Protocol19
	}
	return xlreg.Protocol20
}

func rebuildRequest(m *wire.Message, p xlreg.Protocol) (*wire.Message, error) {
	switch m.Op() {
	case wire.OpCreate:
		spec, err := m.Create(p)
		return wire.NewCreate(spec), err
	case wire.OpJoin:
		r, err := m.Join(p)
		return wire.NewJoin(r), err
	case wire.OpGetCluster:
		r, err := m.Get(p)
		return wire.NewGet(r, p), err
	case wire.OpOrder:
		return wire.NewOrder(m.Order()), nil
	}
	ref, err := m.Ref(p)
	return wire.NewLeave(ref), err
}

func rebuildReply(m *wire.Message, plain []byte) (*wire.Message, error) {
	switch m.Op() {
	case wire.OpRegCredReply:
		registry, err := m.Credentials()
		if err != nil {
			return nil, err
		}
		again := wire.NewRegCredReply(registry)
		again.SetObserved(m.Observed())
		again.SetChain(m.Chain())
		return again, nil
	case wire.OpMemberOK:
		id, attrs, err := m.MemberOK()
		again := wire.NewMemberOK(&xlreg.Token{Name: "m0", ID: id, Attrs: attrs})
		again.SetObserved(m.Observed())
		return again, err
	case wire.OpCreateReply, wire.OpOrderReply:
		p := protocolOf(plain)
		c, err := m.Cluster(p)
		return wire.NewClusterReply(m.Op(), &c, m.State(p), p), err
	case wire.OpJoinReply:
		p := protocolOf(plain)
		c, err := m.Cluster(p)
		return wire.NewJoinReply(&c, m.State(p), m.Lease(), p), err
	case wire.OpClusterMembers:
		return rebuildRoster(m, protocolOf(plain))
	case wire.OpLeaveReply:
		c, err := m.Cluster(xlreg.Protocol20)
		return wire.NewLeaveReply(c.ID), err
	}
	return nil, fmt.Errorf("%v: %w", m.Op(), xlreg.ErrBadTag)
}

func rebuildMember(m *wire.Message, plain []byte) (*wire.Message, error) {
	pb := new(xlregpb.XLRegMsg)
	if err := proto.Unmarshal(plain, pb); err != nil {
		return nil, err
	}
	p := xlreg.Protocol19
	if pb.GetMemberSpecs().GetDigSig2() != nil {
		p = xlreg.Protocol20
	}
	r, err := m.Member(p)
	if err != nil {
		return nil, err
	}
	if r.Token != nil {
		return wire.NewMember(r.Token), nil
	}
	return wire.NewLogin(xlreg.NodeID(r.ID), r.DigSig), nil
}

// rebuildRoster makes a whole roster anew. A part of one says too little for that, and is
// only encoded again.
func rebuildRoster(m *wire.Message, p xlreg.Protocol) (*wire.Message, error) {
	r, err := m.Roster(p)
	if err != nil || !isWhole(r, p) {
		return m, err
	}
	encoded, err := wire.EncodeRoster(&xlreg.Roster{Cluster: r.Cluster, State: r.State, Members: r.Members}, p)
	if err != nil {
		return nil, err
	}
	again := encoded.Message(xlreg.AllSeats(), xlreg.MaxReplyFrame)
	if signed, ok := m.Signed(); ok {
		again.SetSigned(signed)
	}
	return again, nil
}

func isWhole(r *wire.RosterReply, p xlreg.Protocol) bool {
	return p.Classic() || r.Given == r.Seats && r.Since == nil
}

// describe returns the known fields of an XLRegMsg as the vectors write them.
func describe(t *testing.T, plain []byte) map[string]any {
	t.Helper()
	pb := new(xlregpb.XLRegMsg)
	if err := proto.Unmarshal(plain, pb); err != nil {
		t.Fatal(err)
	}
	return describeFields(pb.ProtoReflect())
}

func describeFields(m protoreflect.Message) map[string]any {
	fields := make(map[string]any)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		fields[string(fd.Name())] = describeField(fd, v)
		return true
	})
	return fields
}

func describeField(fd protoreflect.FieldDescriptor, v protoreflect.Value) any {
	if !fd.IsList() {
		return describeValue(fd, v)
	}
	var list []any
	for i := range v.List().Len() {
		list = append(list, describeValue(fd, v.List().Get(i)))
	}
	return list
}

// describeValue uses the types that encoding/json gives a decoded vector.
func describeValue(fd protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return describeFields(v.Message())
	case protoreflect.BytesKind:
		return hex.EncodeToString(v.Bytes())
	case protoreflect.Uint64Kind:
		return strconv.FormatUint(v.Uint(), 10)
	case protoreflect.Uint32Kind:
		return float64(v.Uint())
	case protoreflect.EnumKind:
		return float64(v.Enum())
	}
	return v.Interface()
}

type member struct {
	Index        int
	Name, Attrs  string
	ID           vectors.Hex
	Endpoints    []xlreg.Endpoint
	JoinedMillis string `json:"joined_millis"`
	SeenMillis   string `json:"seen_millis"`
	LeaseMillis  int64  `json:"lease_millis"`
	Run, Labels  vectors.Hex
	Verified     bool
}

// runRoster reads a whole roster and verifies its members, as a client does it.
func runRoster(t *testing.T, v vectors.Vector) {
	var input struct {
		Protocol   string
		Message    vectors.Hex
		ClusterKey vectors.Hex `json:"cluster_key"`
	}
	var want struct {
		Members []member
		vectors.Refusal
	}
	decode(t, v, &input, &want)
	p, err := xlreg.ParseProtocol(input.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Unmarshal(input.Message)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readRoster(t, m, p, v.Layer)
	if input.ClusterKey != nil && err == nil {
		err = verifyOwned(t, m, xlreg.ClusterKey(input.ClusterKey))
	}
	if v.Layer != vectors.Success {
		checkRefusal(t, err, want.Refusal)
	}
	if !check(t, v, err) {
		return
	}
	if len(got)+len(want.Members) > 0 && !reflect.DeepEqual(got, want.Members) {
		t.Errorf("got %v, want %v", got, want.Members)
	}
	again, err := rebuildRoster(m, p)
	if err != nil {
		t.Fatal(err)
	}
	compareBytes(t, again, input.Message, !strings.Contains(v.Name, "mixed"))
}

func readRoster(t *testing.T, m *wire.Message, p xlreg.Protocol, layer string) (members []member, err error) {
	t.Helper()
	r, err := m.Roster(p)
	if layer == vectors.Auth && err != nil {
		t.Fatal("refused too early:", err)
	}
	if err != nil {
		return nil, err
	}
	if layer != vectors.Auth && !p.Classic() && isWhole(r, p) && r.Sum != sumOf(r) {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "Sum is not that of the members")
	}
	for i := range r.Members {
		token := &r.Members[i].Token
		verified := keys.HasProofs(token)
		if verified {
			err = errors.Join(err, asRead(keys.VerifyMember(token)))
		}
		members = append(members, describeMember(&r.Members[i], verified))
	}
	return members, err
}

func sumOf(r *wire.RosterReply) keys.Sum {
	return keys.RosterSum(&xlreg.Roster{Cluster: r.Cluster, State: r.State, Members: r.Members})
}

// verifyOwned does what a client does that knows the cluster's key: whatever is wrong then
// is a signature that does not verify.
func verifyOwned(t *testing.T, m *wire.Message, key xlreg.ClusterKey) error {
	t.Helper()
	r, err := m.Roster(xlreg.Protocol20)
	if err != nil {
		t.Fatal(err)
	}
	if r.Cluster.Key != key {
		return xlreg.Errorf(xlreg.ErrBadSignature, "cluster of another key")
	}
	for i := range r.Members {
		token := &r.Members[i].Token
		if !keys.HasProofs(token) {
			return xlreg.Errorf(xlreg.ErrBadSignature, "member %q without proofs", token.Name)
		}
		a, err := wire.DecodeAdmission(token.Seat.Admission)
		if err == nil {
			err = keys.VerifyAdmission(r.Cluster.Name, key, token.SigKey, a)
		}
		if err != nil {
			return xlreg.Errorf(xlreg.ErrBadSignature, "member %q: %v", token.Name, err)
		}
	}
	return nil
}

// asRead gives a key that is none the kind that everything else ill-formed in a reply has.
func asRead(err error) error {
	if errors.Is(err, xlreg.ErrIllFormedToken) {
		return xlreg.Errorf(xlreg.ErrProtocol, "member's token: %v", err)
	}
	return err
}

func describeMember(m *xlreg.Member, verified bool) member {
	seat := &m.Token.Seat
	described := member{
		Index: m.Index, Name: string(m.Token.Name), Attrs: strconv.FormatUint(uint64(m.Token.Attrs), 10),
		ID: m.Token.ID.Bytes(), Endpoints: m.Token.Endpoints, JoinedMillis: "0", Verified: verified,
		LeaseMillis: seat.Lease.Milliseconds(), Run: vectors.Hex(seat.Run), Labels: m.Token.Labels,
	}
	if !seat.Joined.IsZero() {
		described.JoinedMillis = strconv.FormatInt(seat.Joined.UnixMilli(), 10)
	}
	if !seat.Seen.IsZero() {
		described.SeenMillis = strconv.FormatInt(seat.Seen.UnixMilli(), 10)
	}
	if len(described.Run) == 0 {
		described.Run = nil
	}
	return described
}
