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
	five := uint32(5)
	ref := xlreg.ClusterRef{ID: cluster.ID}
	return []*wire.Message{
		wire.NewMember(&token),
		wire.NewLogin(token.ID, []byte("signature")),
		wire.NewMemberOK(&token),
		wire.NewCreate(xlreg.ClusterSpec{Name: "c0", MaxSize: 5, EndpointCount: 1}),
		wire.NewClusterReply(wire.OpCreateReply, &cluster),
		wire.NewJoin(ref),
		wire.NewLeave(ref),
		wire.NewGet(wire.GetRequest{Ref: ref, Which: 3, Wait: true, WaitSize: &five, WaitMillis: &five}),
		encoded.Message(xlreg.AllSeats, xlreg.MaxReplyFrame),
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
		Joined:      time.UnixMilli(1_700_000_000_123).UTC(),
	}
}

func readAll(t *testing.T, m *wire.Message) {
	t.Helper()
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol20} {
		_, err := m.Member(p)
		allowKind(t, err, xlreg.ErrIllFormedToken)
	}
	_, _, err := m.MemberOK()
	allowKind(t, err, xlreg.ErrProtocol)
	_, err = m.Cluster()
	allowKind(t, err, xlreg.ErrProtocol)
	_, err = m.Credentials()
	allowKind(t, err, xlreg.ErrProtocol)
	members, err := m.Roster()
	allowKind(t, err, xlreg.ErrProtocol)
	if len(members) > xlreg.MaxClusterSize {
		t.Errorf("%d members", len(members))
	}
	if kind, ok := xlreg.KindOf(m.Err()); m.Op() == wire.OpError && (!ok || !kind.Valid()) {
		t.Errorf("an Error came as %v", m.Err())
	}
	equal(t, travel(t, wire.NewCreate(m.Create())).Create(), m.Create())
	equal(t, travel(t, wire.NewJoin(m.Ref())).Ref(), m.Ref())
	if get := m.Get(); get.Wait && get.WaitMillis != nil && *get.WaitMillis == 0 {
		t.Errorf("%+v waits for no time", get)
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
		again.Certificate, again.Joined = nil, time.Time{}
		got := must[wire.MemberRequest](t)(travel(t, wire.NewMember(r.Token)).Member(xlreg.Protocol20))
		equal(t, *got.Token, again)
	})
}
