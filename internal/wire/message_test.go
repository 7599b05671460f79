package wire_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

func TestMemberTravels(t *testing.T) {
	sent := newToken(t)
	got := must[wire.MemberRequest](t)(travel(t, wire.NewMember(&sent)).Member(xlreg.Protocol20))
	want := sent
	want.Certificate, want.Joined = nil, time.Time{} // the registry's to say
	equal(t, *got.Token, want)

	sent = xlreg.Token{Name: "bare", CommsKey: xlreg.CommsKey(key1024()), SigKey: xlreg.SigKey(key1024())}
	got = must[wire.MemberRequest](t)(travel(t, wire.NewMember(&sent)).Member(xlreg.Protocol19))
	equal(t, *got.Token, sent)
}

func TestLoginTravels(t *testing.T) {
	id := newToken(t).ID
	for _, signature := range [][]byte{nil, []byte("signature")} {
		m := travel(t, wire.NewLogin(id, signature))
		got := must[wire.MemberRequest](t)(m.Member(xlreg.Protocol18))
		equal(t, got, wire.MemberRequest{ID: id.Bytes(), DigSig: signature})
	}
}

func TestCreateTravels(t *testing.T) {
	for _, want := range []xlreg.ClusterSpec{
		{},
		{Name: "c0", MaxSize: 64, Attrs: xlreg.ClusterUnique, EndpointCount: 16},
		{Name: "not a name", MaxSize: 1<<32 - 1, Attrs: 1<<64 - 1, EndpointCount: 1<<32 - 1},
	} {
		equal(t, travel(t, wire.NewCreate(want)).Create(), want)
	}
}

func TestRefTravels(t *testing.T) {
	c := newCluster()
	for _, want := range []xlreg.ClusterRef{{}, {ID: c.ID}, {Name: c.Name}, {ID: c.ID, Name: c.Name}} {
		equal(t, travel(t, wire.NewJoin(want)).Ref(), want)
		equal(t, travel(t, wire.NewLeave(want)).Ref(), want)
		equal(t, travel(t, wire.NewGet(wire.GetRequest{Ref: want})).Ref(), want)
	}
}

func TestGetTravels(t *testing.T) {
	five, zero := uint32(5), uint32(0)
	all := uint32(xlreg.MaxClusterSize)
	for name, c := range map[string]struct{ sent, want wire.GetRequest }{
		"at once":     {wire.GetRequest{Which: 6}, wire.GetRequest{Which: 6}},
		"none":        {wire.GetRequest{}, wire.GetRequest{}},
		"all":         {wire.GetRequest{Which: xlreg.AllSeats}, wire.GetRequest{Which: xlreg.AllSeats}},
		"wait size":   {wire.GetRequest{Wait: true, WaitSize: &five}, wire.GetRequest{Wait: true, WaitSize: &five}},
		"wait millis": {wire.GetRequest{Wait: true, WaitMillis: &five}, wire.GetRequest{Wait: true, WaitSize: &all, WaitMillis: &five}},
		"wait":        {wire.GetRequest{Wait: true}, wire.GetRequest{Wait: true, WaitSize: &all}},
		"no time":     {wire.GetRequest{Wait: true, WaitSize: &five, WaitMillis: &zero}, wire.GetRequest{WaitSize: &five, WaitMillis: &zero}},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, travel(t, wire.NewGet(c.sent)).Get(), c.want)
		})
	}
}

// A request for all leaves Which out, as section 4 allows; a peer that sends it
// all the same asks for the same.
func TestGetAll(t *testing.T) {
	m := raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpGetCluster), Which: proto.Uint64(1<<64 - 1)})
	equal(t, m.Get(), wire.GetRequest{Which: xlreg.AllSeats})
	m = raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpGetCluster), Which: proto.Uint64(0)})
	equal(t, m.Get(), wire.GetRequest{})
}

func TestMessagesWithoutContentTravel(t *testing.T) {
	for want, m := range map[wire.Op]*wire.Message{
		wire.OpBye:            wire.NewBye(),
		wire.OpAck:            wire.NewAck(),
		wire.OpRegCredRequest: wire.NewRegCredRequest(),
	} {
		equal(t, encode(t, m), []byte{0x08, byte(want)})
		equal(t, travel(t, m).Op(), want)
	}
}

func TestMemberOKTravels(t *testing.T) {
	for _, id := range []xlreg.NodeID{"01234567890123456789", "01234567890123456789012345678901"} {
		sent := newToken(t)
		sent.ID = id
		gotID, attrs, err := travel(t, wire.NewMemberOK(&sent)).MemberOK()
		if err != nil || gotID != id || attrs != sent.Attrs {
			t.Errorf("got %q, %d, %v", gotID, attrs, err)
		}
	}
	_, _, err := raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpMemberOK), MemberID: make([]byte, 21)}).MemberOK()
	wantKind(t, err, xlreg.ErrProtocol)
}

func TestClusterRepliesTravel(t *testing.T) {
	want := newCluster()
	for _, o := range []wire.Op{wire.OpCreateReply, wire.OpJoinReply} {
		equal(t, must[xlreg.Cluster](t)(travel(t, wire.NewClusterReply(o, &want)).Cluster()), want)
	}
}

func TestLeaveReplyTravels(t *testing.T) {
	id := newCluster().ID
	got := must[xlreg.Cluster](t)(travel(t, wire.NewLeaveReply(id)).Cluster())
	equal(t, got, xlreg.Cluster{ID: id})
}

// Replies carry their fields even when they are zero (section 4).
func TestRepliesCarryZeros(t *testing.T) {
	id := newCluster().ID
	var got xlregpb.XLRegMsg
	decode := func(m *wire.Message) *xlregpb.XLRegMsg {
		if err := proto.Unmarshal(encode(t, m), &got); err != nil {
			t.Fatal(err)
		}
		return &got
	}
	if pb := decode(wire.NewMemberOK(&xlreg.Token{Name: "m0"})); pb.MemberAttrs == nil {
		t.Error("MemberOK without MemberAttrs")
	}
	pb := decode(wire.NewClusterReply(wire.OpCreateReply, &xlreg.Cluster{ID: id}))
	if pb.ClusterName == nil || pb.ClusterMaxSize == nil || pb.ClusterAttrs == nil || pb.EndPointCount == nil {
		t.Errorf("CreateReply lacks fields: %v", pb)
	}
	empty, err := wire.EncodeRoster(&xlreg.Roster{Cluster: newCluster()}, xlreg.Protocol19)
	if err != nil {
		t.Fatal(err)
	}
	pb = decode(empty.Message(xlreg.AllSeats, xlreg.MaxClassicMessage))
	if pb.Which == nil || pb.GetWhich() != 0 || pb.ClusterName == nil || pb.ClusterAttrs == nil {
		t.Errorf("ClusterMembers lacks fields: %v", pb)
	}
}

func TestClusterRefuses(t *testing.T) {
	id := newCluster().ID.Bytes()
	for name, pb := range map[string]*xlregpb.XLRegMsg{
		"no ID":          {},
		"ID of 19 bytes": {ClusterID: id[:19]},
		"65 members":     {ClusterID: id, ClusterMaxSize: proto.Uint32(65)},
		"17 endpoints":   {ClusterID: id, EndPointCount: proto.Uint32(17)},
		"bad name":       {ClusterID: id, ClusterName: proto.String("a\nb")},
	} {
		t.Run(name, func(t *testing.T) {
			pb.Op = op(wire.OpCreateReply)
			_, err := raw(t, pb).Cluster()
			wantKind(t, err, xlreg.ErrProtocol)
		})
	}
}

func TestRegistryTravels(t *testing.T) {
	want := xlreg.Credentials{
		Name:      "xlReg",
		ID:        newToken(t).ID,
		CommsKey:  xlreg.CommsKey(key2048()),
		SigKey:    xlreg.SigKey(key2048()),
		Endpoints: []xlreg.Endpoint{"registry.example:56789"},
		Version:   xlreg.Version20,
	}
	got := must[*xlreg.Credentials](t)(travel(t, wire.NewRegCredReply(&want)).Credentials())
	equal(t, *got, want)

	var pb xlregpb.XLRegMsg
	if err := proto.Unmarshal(encode(t, wire.NewRegCredReply(&want)), &pb); err != nil {
		t.Fatal(err)
	}
	if pb.GetMemberSpecs().Attrs != nil {
		t.Error("a registry has no attrs to tell")
	}

	for name, change := range map[string]func(*xlreg.Credentials){
		"no ID":        func(r *xlreg.Credentials) { r.ID = "" },
		"no name":      func(r *xlreg.Credentials) { r.Name = "" },
		"bad endpoint": func(r *xlreg.Credentials) { r.Endpoints = []xlreg.Endpoint{"nowhere"} },
		"bad key":      func(r *xlreg.Credentials) { r.SigKey = "key" },
	} {
		t.Run(name, func(t *testing.T) {
			broken := want
			change(&broken)
			_, err := travel(t, wire.NewRegCredReply(&broken)).Credentials()
			wantKind(t, err, xlreg.ErrProtocol)
		})
	}
	_, err := travel(t, wire.NewAck()).Credentials()
	wantKind(t, err, xlreg.ErrProtocol)
}

func TestUnmarshalRefuses(t *testing.T) {
	tokens := []byte{0x08, byte(wire.OpClusterMembers)}
	for range xlreg.MaxClusterSize + 1 {
		tokens = append(tokens, 0xaa, 0x01, 0x00)
	}
	for name, b := range map[string][]byte{
		"nothing":               {},
		"no Op":                 {0x72, 0x01, 'a'},
		"half a field":          {0x08},
		"length past the end":   {0x08, 0x01, 0x72, 0x7f, 'a'},
		"field number zero":     {0x08, 0x01, 0x00, 0x00},
		"varint of eleven":      {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"end of no group":       {0x08, 0x01, 0x0c},
		"more tokens than ever": tokens,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.Unmarshal(b)
			wantKind(t, err, xlreg.ErrProtocol)
		})
	}
	if _, err := wire.Unmarshal(tokens[:len(tokens)-3]); err != nil {
		t.Errorf("as many tokens as a cluster has: %v", err)
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	c := newCluster()
	b := encode(t, wire.NewClusterReply(wire.OpJoinReply, &c))
	b = protowire.AppendTag(b, 7, protowire.VarintType)
	b = protowire.AppendVarint(b, 1)
	b = protowire.AppendTag(b, 99, protowire.BytesType)
	b = protowire.AppendBytes(b, []byte("of the future"))
	m := must[*wire.Message](t)(wire.Unmarshal(b))
	equal(t, must[xlreg.Cluster](t)(m.Cluster()), c)
}

func TestOp(t *testing.T) {
	for o := wire.OpRegCredRequest; o <= wire.OpLeaveReply; o++ {
		if !o.Known() {
			t.Errorf("%v is not known", o)
		}
	}
	for _, o := range []int32{0, -1, 16, 99, 1<<31 - 1} {
		m := raw(t, &xlregpb.XLRegMsg{Op: xlregpb.XLRegMsg_Tag(o).Enum()})
		if m.Op().Known() || int32(m.Op()) != o {
			t.Errorf("Op %d came as %v", o, m.Op())
		}
	}
	equal(t, wire.OpGetCluster.String(), "GetCluster")
	equal(t, wire.Op(16).String(), "Op(16)")
}
