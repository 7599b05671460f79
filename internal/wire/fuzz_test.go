package wire_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// FuzzMessage reads bytes as a peer could send them through every view there is.
// Nothing panics, each error has the kind that its reader answers with, and what
// was read travels again unchanged.
func FuzzMessage(f *testing.F) {
	for _, m := range seedMessages(f) {
		f.Add(encode(f, m))
	}
	f.Add([]byte{0x08, 0x63})
	f.Add([]byte{0x08, 0x0d, 0xba, 0x01, 0x02, 'n', 'o'})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.Unmarshal(b)
		if err != nil {
			wantKind(t, err, xlreg.ErrProtocol)
			return
		}
		first := encode(t, m)
		if second := encode(t, travel(t, m)); !bytes.Equal(first, second) {
			t.Errorf("first %x, then %x", first, second)
		}
		readAll(t, m)
	})
}

func seedMessages(f *testing.F) []*wire.Message {
	token, cluster := seedToken(), newCluster()
	roster := &xlreg.Roster{Cluster: cluster, Members: []xlreg.Member{{Index: 1, Token: token}, {Index: 63, Token: token}}}
	encoded := must[*wire.EncodedRoster](f)(wire.EncodeRoster(roster, xlreg.Protocol20))
	five, since := uint32(5), uint64(7)
	ref := xlreg.ClusterRef{ID: cluster.ID, Key: newKeyed().Key}
	signed := encoded.Message(xlreg.AllSeats(), xlreg.MaxReplyFrame)
	signed.SetSigned(wire.Signed{Millis: 1, Sig: []byte("signature"), Chain: [][]byte{[]byte("leaf")}})
	delta, _ := encoded.Delta(xlreg.SeatsOf(1), xlreg.AllSeats(), 7, xlreg.MaxReplyFrame)
	keyed := newKeyed()
	return []*wire.Message{
		wire.NewMember(&token),
		wire.NewLogin(token.ID, []byte("signature")),
		wire.NewMemberOK(&token),
		wire.NewCreate(xlreg.ClusterSpec{Name: "c0", MaxSize: 5, EndpointCount: 1}),
		wire.NewClusterReply(wire.OpCreateReply, &cluster, newState(), xlreg.Protocol19),
		wire.NewJoinReply(&keyed, newState(), time.Second, xlreg.Protocol20),
		wire.NewJoin(wire.JoinRequest{Ref: ref, Admission: []byte("admission"), Run: "r", Lease: time.Second, Fresh: true}),
		wire.NewOrder(xlreg.SignedOrder{Bytes: []byte("order"), Sig: []byte("signature")}),
		wire.NewLeave(ref),
		wire.NewGet(wire.GetRequest{Ref: ref, Which: xlreg.SeatsOf(0, 1), Wait: true, WaitSize: &five, WaitMillis: &five}, xlreg.Protocol19),
		wire.NewGet(wire.GetRequest{Ref: ref, Which: xlreg.SeatsOf(0, 99), Wait: true, Since: &since, WaitEpoch: &since, Sign: true}, xlreg.Protocol20),
		signed,
		delta,
		wire.NewRegCredReply(&xlreg.Credentials{Name: "xlReg", ID: token.ID, CommsKey: token.CommsKey, SigKey: token.SigKey}),
		wire.NewError(xlreg.Errorf(xlreg.ErrClusterFull, "5 of 5")),
		wire.NewBye(),
	}
}

// seedToken has keys that are the same on each run, as seeds should be.
func seedToken() xlreg.Token {
	return xlreg.Token{
		Name:        "m0",
		Attrs:       xlreg.AttrSolo,
		ID:          "01234567890123456789",
		CommsKey:    xlreg.CommsKey(rsaKey(2048, 65537)),
		SigKey:      xlreg.SigKey(rsaKey(2048, 3)),
		Endpoints:   []xlreg.Endpoint{"127.0.0.1:4000", "[::1]:4001"},
		DigSig:      []byte("classic"),
		DigSig2:     []byte("modern"),
		Certificate: []byte("certificate"),
		CommsSig:    []byte("comms"),
		Seat: xlreg.SeatState{
			Joined: time.UnixMilli(1_700_000_000_123).UTC(), Admission: []byte("admission"), Lease: time.Second, Run: "r",
		},
	}
}

func readAll(t *testing.T, m *wire.Message) {
	t.Helper()
	for _, p := range protocols {
		_, err := m.Member(p)
		allowKind(t, err, xlreg.ErrIllFormedToken)
	}
	_, _, err := m.MemberOK()
	allowKind(t, err, xlreg.ErrProtocol)
	_, err = m.Credentials()
	allowKind(t, err, xlreg.ErrProtocol)
	for _, p := range protocols {
		_, err = m.Cluster(p)
		allowKind(t, err, xlreg.ErrProtocol)
		roster, err := m.Roster(p)
		allowKind(t, err, xlreg.ErrProtocol)
		if err == nil {
			checkRoster(t, roster, p)
		}
	}
	if _, ok := m.Signed(); ok && len(m.Chain()) == 0 {
		t.Error("signed by no certificate")
	}
	_ = m.Observed()
	if kind, ok := xlreg.KindOf(m.Err()); m.Op() == wire.OpError && (!ok || !kind.Valid()) {
		t.Errorf("an Error came as %v", m.Err())
	}
	for _, p := range protocols {
		readRequests(t, m, p)
	}
}

// checkRoster holds what a reader goes by: each member has a seat that there is.
func checkRoster(t *testing.T, r *wire.RosterReply, p xlreg.Protocol) {
	t.Helper()
	seats := (&xlreg.Roster{Members: r.Members}).Seats()
	if seats != r.Given || seats.Len() != len(r.Members) {
		t.Errorf("%d members for %d seats", len(r.Members), r.Given.Len())
	}
	if !p.Classic() && (!r.Given.Minus(r.Seats).IsEmpty() || r.Seats.Len() > r.Cluster.MaxSize) {
		t.Errorf("members without a seat, or %d seats of %d", r.Seats.Len(), r.Cluster.MaxSize)
	}
}

func readRequests(t *testing.T, m *wire.Message, p xlreg.Protocol) {
	t.Helper()
	spec, err := m.Create(p)
	if allowKind(t, err, xlreg.ErrIllFormedName); err == nil {
		equal(t, must[xlreg.ClusterSpec](t)(travel(t, wire.NewCreate(spec)).Create(p)), spec)
	}
	join, err := m.Join(p)
	if kind, ok := xlreg.KindOf(err); ok && kind != xlreg.ErrIllFormedName {
		wantKind(t, err, xlreg.ErrIllFormedToken)
	}
	if err == nil {
		equal(t, must[wire.JoinRequest](t)(travel(t, wire.NewJoin(join)).Join(p)), join)
	}
	get, err := m.Get(p)
	if kind, ok := xlreg.KindOf(err); ok && kind != xlreg.ErrIllFormedName {
		wantKind(t, err, xlreg.ErrProtocol)
	}
	if get.Wait && get.WaitMillis != nil && *get.WaitMillis == 0 {
		t.Errorf("%+v waits for no time", get)
	}
	if err == nil && get.Wait {
		equal(t, must[wire.GetRequest](t)(travel(t, wire.NewGet(get, p)).Get(p)).Which, get.Which)
	}
	if !p.Classic() {
		equal(t, travel(t, wire.NewOrder(m.Order())).Order(), m.Order())
	}
}

func allowKind(t *testing.T, err error, want xlreg.Kind) {
	t.Helper()
	if err != nil {
		wantKind(t, err, want)
	}
}

// FuzzToken reads bytes as the token of a Member. One that is accepted is within
// every limit and travels again unchanged.
func FuzzToken(f *testing.F) {
	token := seedToken()
	sent := encode(f, wire.NewMember(&token))
	specs, n := protowire.ConsumeBytes(sent[3:]) // behind Op and the field's tag
	if n < 0 {
		f.Fatal(protowire.ParseError(n))
	}
	f.Add(specs)
	f.Add(must[[]byte](f)(proto.Marshal(goodSpecs())))
	f.Fuzz(func(t *testing.T, specs []byte) {
		b := protowire.AppendTag([]byte{0x08, byte(wire.OpMember)}, 11, protowire.BytesType)
		m, err := wire.Unmarshal(protowire.AppendBytes(b, specs))
		if err != nil {
			wantKind(t, err, xlreg.ErrProtocol)
			return
		}
		r, err := m.Member(xlreg.Protocol20)
		if err != nil {
			wantKind(t, err, xlreg.ErrIllFormedToken)
			return
		}
		if err := keys.CheckTokenFor(r.Token, xlreg.Protocol20); err != nil {
			t.Fatal(err)
		}
		again := *r.Token
		got := must[wire.MemberRequest](t)(travel(t, wire.NewMember(r.Token)).Member(xlreg.Protocol20))
		equal(t, *got.Token, again)
	})
}
