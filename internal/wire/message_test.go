package wire_test

import (
	"slices"
	"strings"
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
	want.Seat = xlreg.SeatState{} // the registry's to say
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
		{Name: "c0", MaxSize: 1024, Key: newKeyed().Key, OwnerSig: []byte("signature")},
	} {
		for _, p := range protocols {
			got := must[xlreg.ClusterSpec](t)(travel(t, wire.NewCreate(want)).Create(p))
			if p.Classic() {
				want.Key, want.OwnerSig = "", nil
			}
			equal(t, got, want)
		}
	}
}

func TestRefTravels(t *testing.T) {
	c := newKeyed()
	for _, want := range []xlreg.ClusterRef{
		{},
		{ID: c.ID},
		{Name: c.Name},
		{ID: c.ID, Name: c.Name},
		{Name: c.Name, Key: c.Key},
		{ID: c.ID, Key: c.Key},
	} {
		for _, p := range []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19} {
			messages := []*wire.Message{
				wire.NewJoin(wire.JoinRequest{Ref: want}),
				wire.NewLeave(want),
				wire.NewGet(wire.GetRequest{Ref: want}, p),
			}
			if p.Classic() {
				want.Key = ""
			}
			for _, m := range messages {
				equal(t, must[xlreg.ClusterRef](t)(travel(t, m).Ref(p)), want)
			}
		}
	}
}

// A cluster key has 32 bytes in every request that names one, and over a classic
// carrier nobody looks.
func TestClusterKeyRefuses(t *testing.T) {
	for _, n := range []int{1, 31, 33} {
		for o, read := range map[wire.Op]func(*wire.Message, xlreg.Protocol) error{
			wire.OpCreate:     func(m *wire.Message, p xlreg.Protocol) error { _, err := m.Create(p); return err },
			wire.OpJoin:       func(m *wire.Message, p xlreg.Protocol) error { _, err := m.Join(p); return err },
			wire.OpGetCluster: func(m *wire.Message, p xlreg.Protocol) error { _, err := m.Get(p); return err },
			wire.OpLeave:      func(m *wire.Message, p xlreg.Protocol) error { _, err := m.Ref(p); return err },
		} {
			m := raw(t, &xlregpb.XLRegMsg{Op: op(o), ClusterKey: make([]byte, n)})
			wantKind(t, read(m, xlreg.Protocol20), xlreg.ErrIllFormedName)
			equal(t, read(m, xlreg.Protocol19), nil)
		}
	}
}

func TestJoinTravels(t *testing.T) {
	c := newKeyed()
	ref := xlreg.ClusterRef{Name: c.Name, Key: c.Key}
	for _, want := range []wire.JoinRequest{
		{Ref: ref},
		{Ref: ref, Admission: []byte("admission"), Run: "r", Lease: 15 * time.Second, Fresh: true},
		{Ref: ref, Run: xlreg.Run(strings.Repeat("r", xlreg.MaxRunLen)), Lease: (1<<32 - 1) * time.Millisecond},
	} {
		m := travel(t, wire.NewJoin(want))
		equal(t, must[wire.JoinRequest](t)(m.Join(xlreg.Protocol20)), want)
		equal(t, must[wire.JoinRequest](t)(m.Join(xlreg.Protocol18)), wire.JoinRequest{Ref: xlreg.ClusterRef{Name: c.Name}})
	}
	for sent, want := range map[time.Duration]time.Duration{
		-time.Second:             0,
		time.Nanosecond:          time.Millisecond,
		1500 * time.Microsecond:  2 * time.Millisecond,
		time.Duration(1<<63 - 1): (1<<32 - 1) * time.Millisecond,
	} {
		equal(t, must[wire.JoinRequest](t)(travel(t, wire.NewJoin(wire.JoinRequest{Lease: sent})).Join(xlreg.Protocol20)).Lease, want)
	}
}

func TestJoinRefuses(t *testing.T) {
	for name, pb := range map[string]*xlregpb.XLRegMsg{
		"Fresh, empty Run":  {Run: []byte{}, Fresh: proto.Bool(true)},
		"Run of 33 bytes":   {Run: make([]byte, 33)},
		"Fresh without Run": {Fresh: proto.Bool(true)},
	} {
		t.Run(name, func(t *testing.T) {
			pb.Op = op(wire.OpJoin)
			_, err := raw(t, pb).Join(xlreg.Protocol20)
			wantKind(t, err, xlreg.ErrIllFormedToken)
			must[wire.JoinRequest](t)(raw(t, pb).Join(xlreg.Protocol19))
		})
	}
	must[wire.JoinRequest](t)(raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpJoin), Fresh: proto.Bool(false)}).Join(xlreg.Protocol20))
}

// Over 2.0 a field of no bytes is as good as none.
func TestNoBytes(t *testing.T) {
	empty := &xlregpb.XLRegMsg{ClusterKey: []byte{}, Run: []byte{}, Admission: []byte{}, OwnerSig: []byte{}}
	empty.Op = op(wire.OpJoin)
	equal(t, must[wire.JoinRequest](t)(raw(t, empty).Join(xlreg.Protocol20)), wire.JoinRequest{})
	empty.Op = op(wire.OpCreate)
	equal(t, must[xlreg.ClusterSpec](t)(raw(t, empty).Create(xlreg.Protocol20)), xlreg.ClusterSpec{})
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
	for _, p := range protocols {
		want, state, lease := newKeyed(), newState(), 15*time.Second
		if p.Classic() {
			want, state, lease = newCluster(), xlreg.ClusterState{}, 0
		}
		join := wire.NewJoinReply(&want, newState(), 15*time.Second, p)
		for _, m := range []*wire.Message{
			wire.NewClusterReply(wire.OpCreateReply, &want, newState(), p),
			wire.NewClusterReply(wire.OpOrderReply, &want, newState(), p),
			join,
		} {
			got := travel(t, m)
			equal(t, must[xlreg.Cluster](t)(got.Cluster(p)), want)
			equal(t, got.State(p), state)
		}
		equal(t, join.Lease(), lease)
		var pb xlregpb.XLRegMsg
		if err := proto.Unmarshal(encode(t, join), &pb); err != nil {
			t.Fatal(err)
		}
		if p.Classic() && (pb.Epoch != nil || pb.Revision != nil || pb.Orders != nil || pb.LeaseMillis != nil) {
			t.Errorf("over %v a reply says %v", p, &pb)
		}
	}
}

// What 2.0 alone has is not looked at in a reply over a classic carrier.
func TestClassicReplyHasNoState(t *testing.T) {
	keyed := newKeyed()
	keyed.MaxSize = 64
	m := travel(t, wire.NewClusterReply(wire.OpCreateReply, &keyed, newState(), xlreg.Protocol20))
	equal(t, must[xlreg.Cluster](t)(m.Cluster(xlreg.Protocol19)), newCluster())
	equal(t, m.State(xlreg.Protocol19), xlreg.ClusterState{})
}

func TestObservedTravels(t *testing.T) {
	m := wire.NewMemberOK(&xlreg.Token{Name: "m0"})
	equal(t, travel(t, m).Observed(), xlreg.Endpoint(""))
	for _, want := range []xlreg.Endpoint{"192.0.2.1:4000", "[2001:db8::1]:1"} {
		m.SetObserved(want)
		equal(t, travel(t, m).Observed(), want)
	}
	equal(t, raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpMemberOK), Observed: proto.String("no\nhost")}).Observed(), xlreg.Endpoint(""))
}

func TestSignedTravels(t *testing.T) {
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(&xlreg.Roster{Cluster: newKeyed()}, xlreg.Protocol20))
	m := encoded.Message(xlreg.AllSeats(), xlreg.MaxReplyFrame)
	if _, ok := travel(t, m).Signed(); ok {
		t.Error("signed by nobody")
	}
	want := wire.Signed{Millis: 1<<64 - 1, Sig: []byte("signature"), Chain: [][]byte{[]byte("leaf"), []byte("root")}}
	before := m.Size()
	m.SetSigned(want)
	equal(t, m.Size()-before, want.Size())
	got, ok := travel(t, m).Signed()
	equal(t, ok, true)
	equal(t, got, want)
	cred := wire.NewRegCredReply(&xlreg.Credentials{Name: "xlReg", ID: newToken(t).ID})
	cred.SetChain(want.Chain)
	equal(t, travel(t, cred).Chain(), want.Chain)
}

func TestLeaveReplyTravels(t *testing.T) {
	id := newCluster().ID
	got := must[xlreg.Cluster](t)(travel(t, wire.NewLeaveReply(id)).Cluster(xlreg.Protocol20))
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
	pb := decode(wire.NewJoinReply(&xlreg.Cluster{ID: id}, xlreg.ClusterState{}, 0, xlreg.Protocol20))
	if pb.ClusterName == nil || pb.ClusterMaxSize == nil || pb.ClusterAttrs == nil || pb.EndPointCount == nil ||
		pb.Epoch == nil || pb.Revision == nil || pb.Orders == nil || pb.LeaseMillis == nil {
		t.Errorf("JoinReply lacks fields: %v", pb)
	}
	empty, err := wire.EncodeRoster(&xlreg.Roster{Cluster: newCluster()}, xlreg.Protocol19)
	if err != nil {
		t.Fatal(err)
	}
	pb = decode(empty.Message(xlreg.AllSeats(), xlreg.MaxClassicMessage))
	if pb.Which == nil || pb.GetWhich() != 0 || pb.ClusterName == nil || pb.ClusterAttrs == nil {
		t.Errorf("ClusterMembers lacks fields: %v", pb)
	}
	if empty, err = wire.EncodeRoster(&xlreg.Roster{Cluster: newCluster()}, xlreg.Protocol20); err != nil {
		t.Fatal(err)
	}
	pb = decode(empty.Message(xlreg.AllSeats(), xlreg.MaxReplyFrame))
	if pb.Which != nil || pb.WhichSet == nil || pb.SeatSet == nil || len(pb.Sum) != 32 || pb.Epoch == nil || pb.SinceRevision != nil {
		t.Errorf("ClusterMembers over 2.0: %v", pb)
	}
}

func TestClusterRefuses(t *testing.T) {
	id := newCluster().ID.Bytes()
	for name, pb := range map[string]*xlregpb.XLRegMsg{
		"no ID":          {},
		"ID of 19 bytes": {ClusterID: id[:19]},
		"1025 members":   {ClusterID: id, ClusterMaxSize: proto.Uint32(1025)},
		"17 endpoints":   {ClusterID: id, EndPointCount: proto.Uint32(17)},
		"bad name":       {ClusterID: id, ClusterName: proto.String("a\nb")},
		"bad key":        {ClusterID: id, ClusterKey: make([]byte, 31)},
	} {
		t.Run(name, func(t *testing.T) {
			pb.Op = op(wire.OpCreateReply)
			_, err := raw(t, pb).Cluster(xlreg.Protocol20)
			wantKind(t, err, xlreg.ErrProtocol)
		})
	}
	large := raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpCreateReply), ClusterID: id, ClusterMaxSize: proto.Uint32(65)})
	must[xlreg.Cluster](t)(large.Cluster(xlreg.Protocol20))
	_, err := large.Cluster(xlreg.Protocol19)
	wantKind(t, err, xlreg.ErrProtocol)
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
		"nine certificates":     append([]byte{0x08, byte(wire.OpClusterMembers)}, slices.Repeat([]byte{0xda, 0x02, 0x00}, 9)...),
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
	b := encode(t, wire.NewClusterReply(wire.OpCreateReply, &c, newState(), xlreg.Protocol20))
	b = protowire.AppendTag(b, 7, protowire.VarintType)
	b = protowire.AppendVarint(b, 1)
	b = protowire.AppendTag(b, 99, protowire.BytesType)
	b = protowire.AppendBytes(b, []byte("of the future"))
	m := must[*wire.Message](t)(wire.Unmarshal(b))
	equal(t, must[xlreg.Cluster](t)(m.Cluster(xlreg.Protocol20)), c)
}

func TestOp(t *testing.T) {
	for o := wire.OpRegCredRequest; o <= wire.OpOrderReply; o++ {
		if !o.Known() {
			t.Errorf("%v is not known", o)
		}
	}
	for _, o := range []int32{0, -1, 18, 99, 1<<31 - 1} {
		m := raw(t, &xlregpb.XLRegMsg{Op: xlregpb.XLRegMsg_Tag(o).Enum()})
		if m.Op().Known() || int32(m.Op()) != o {
			t.Errorf("Op %d came as %v", o, m.Op())
		}
	}
	equal(t, wire.OpGetCluster.String(), "GetCluster")
	equal(t, wire.Op(18).String(), "Op(18)")
}
