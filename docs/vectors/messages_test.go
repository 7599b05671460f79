package vectors_test

import (
	"encoding/hex"
	"errors"
	"fmt"
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
	case wire.OpCreate:
		return wire.NewCreate(m.Create()), nil
	case wire.OpJoin:
		return wire.NewJoin(m.Ref()), nil
	case wire.OpGetCluster:
		return wire.NewGet(m.Get()), nil
	case wire.OpLeave:
		return wire.NewLeave(m.Ref()), nil
	case wire.OpBye:
		return wire.NewBye(), nil
	case wire.OpAck:
		return wire.NewAck(), nil
	case wire.OpError:
		return wire.NewError(m.Err()), nil
	}
	return rebuildReply(m)
}

func rebuildReply(m *wire.Message) (*wire.Message, error) {
	switch m.Op() {
	case wire.OpRegCredReply:
		registry, err := m.Credentials()
		if err != nil {
			return nil, err
		}
		return wire.NewRegCredReply(registry), nil
	case wire.OpMemberOK:
		id, attrs, err := m.MemberOK()
		return wire.NewMemberOK(&xlreg.Token{Name: "m0", ID: id, Attrs: attrs}), err
	case wire.OpCreateReply, wire.OpJoinReply:
		c, err := m.Cluster()
		return wire.NewClusterReply(m.Op(), &c), err
	case wire.OpClusterMembers:
		return rebuildRoster(m, xlreg.Protocol20)
	case wire.OpLeaveReply:
		c, err := m.Cluster()
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

func rebuildRoster(m *wire.Message, p xlreg.Protocol) (*wire.Message, error) {
	members, err := m.Roster()
	if err != nil {
		return nil, err
	}
	c, err := m.Cluster()
	if err != nil {
		return nil, err
	}
	encoded, err := wire.EncodeRoster(&xlreg.Roster{Cluster: c, Members: members}, p)
	if err != nil {
		return nil, err
	}
	return encoded.Message(xlreg.AllSeats, xlreg.MaxReplyFrame), nil
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
	return v.String()
}

type member struct {
	Index        int
	Name, Attrs  string
	ID           vectors.Hex
	Endpoints    []xlreg.Endpoint
	JoinedMillis string `json:"joined_millis"`
	Verified     bool
}

func runRoster(t *testing.T, v vectors.Vector) {
	var input struct {
		Protocol string
		Message  vectors.Hex
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
	members, err := m.Roster()
	if v.Layer == vectors.Auth && err != nil {
		t.Fatal("refused too early:", err)
	}
	var got []member
	for i := range members {
		verified, verifyErr := verify(&members[i].Token)
		err = errors.Join(err, verifyErr)
		got = append(got, describeMember(&members[i], verified))
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

func describeMember(m *xlreg.Member, verified bool) member {
	var joined int64
	if !m.Token.Joined.IsZero() {
		joined = m.Token.Joined.UnixMilli()
	}
	return member{
		Index: m.Index, Name: string(m.Token.Name), Attrs: strconv.FormatUint(uint64(m.Token.Attrs), 10),
		ID: m.Token.ID.Bytes(), Endpoints: m.Token.Endpoints, JoinedMillis: strconv.FormatInt(joined, 10), Verified: verified,
	}
}

// Members that prove nothing are let through by wire, so the proofs of section 7
// are held against a roster here as a client does it.
func verify(token *xlreg.Token) (bool, error) {
	if token.DigSig2 == nil || token.Certificate == nil {
		return false, nil
	}
	return true, verifyModern(token)
}
