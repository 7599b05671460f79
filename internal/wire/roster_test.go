package wire_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

func drawToken(t *rapid.T) xlreg.Token {
	some := rapid.StringN(0, 400, 400)
	bytesOf := func(label string) []byte {
		if s := some.Draw(t, label); s != "" {
			return []byte(s)
		}
		return nil
	}
	token := xlreg.Token{
		Name:        xlreg.Name(rapid.StringMatching(`[a-z_][a-z0-9.-]{0,20}`).Draw(t, "name")),
		Attrs:       xlreg.NodeAttrs(rapid.Uint64().Draw(t, "attrs")),
		ID:          xlreg.NodeID(strings.Repeat("i", rapid.SampledFrom([]int{20, 32}).Draw(t, "id"))),
		CommsKey:    xlreg.CommsKey(some.Draw(t, "comms key")),
		SigKey:      xlreg.SigKey(some.Draw(t, "sig key")),
		DigSig:      []byte("only the registry's"),
		DigSig2:     bytesOf("signature"),
		Certificate: bytesOf("certificate"),
	}
	if millis := rapid.Int64Range(0, 1<<41).Draw(t, "joined"); millis > 0 {
		token.Joined = time.UnixMilli(millis).UTC()
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "endpoints") {
		token.Endpoints = append(token.Endpoints, xlreg.Endpoint(fmt.Sprintf("10.0.0.1:%d", i+1)))
	}
	return token
}

func drawRoster(t *rapid.T) *xlreg.Roster {
	r := &xlreg.Roster{Cluster: newCluster()}
	taken := xlreg.Seats(rapid.Uint64().Draw(t, "taken") & rapid.Uint64().Draw(t, "and"))
	for index := range 64 {
		if taken.Has(index) {
			r.Members = append(r.Members, xlreg.Member{Index: index, Token: drawToken(t)})
		}
	}
	return r
}

// asSeen is what a reader over p may see of a member.
func asSeen(m xlreg.Member, p xlreg.Protocol) xlreg.Member {
	m.Token.DigSig = nil
	if p.Classic() {
		m.Token.DigSig2, m.Token.Certificate, m.Token.Joined = nil, nil, time.Time{}
	}
	return m
}

// Any request over one roster gets the members it asked for, lowest first and
// as many as fit, and no answer spoils another that shares its bytes.
func TestRosterSubsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roster := drawRoster(t)
		p := rapid.SampledFrom([]xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20}).Draw(t, "protocol")
		encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, p))
		var answers []*wire.Message
		var first [][]byte
		for range rapid.IntRange(1, 4).Draw(t, "requests") {
			which := xlreg.Seats(rapid.OneOf(rapid.Just(^uint64(0)), rapid.Uint64(), rapid.Uint64Range(0, 255)).Draw(t, "which"))
			limit := rapid.OneOf(rapid.Just(xlreg.MaxClassicMessage), rapid.IntRange(200, 8000)).Draw(t, "limit")
			answer := encoded.Message(which, limit)
			checkSubset(t, roster, encoded, answer, p, which, limit)
			answers, first = append(answers, answer), append(first, encode(t, answer))
		}
		for i := range answers {
			if !bytes.Equal(encode(t, answers[i]), first[i]) {
				t.Fatalf("answer %d changed", i)
			}
		}
	})
}

func checkSubset(t *rapid.T, roster *xlreg.Roster, encoded *wire.EncodedRoster, answer *wire.Message, p xlreg.Protocol, which xlreg.Seats, limit int) {
	if n := len(encode(t, answer)); n > limit {
		t.Fatalf("%d bytes, limit %d", n, limit)
	}
	received := travel(t, answer)
	if c := must[xlreg.Cluster](t)(received.Cluster()); c != roster.Cluster {
		t.Fatalf("cluster %+v", c)
	}
	got := must[[]xlreg.Member](t)(received.Roster())
	var asked []xlreg.Member
	var next xlreg.Seats
	for _, m := range roster.Members {
		if !which.Has(m.Index) {
			continue
		}
		asked = append(asked, asSeen(m, p))
		if len(asked) <= len(got)+1 {
			next = next.With(m.Index)
		}
	}
	if len(got) > len(asked) || len(got) > 0 && !reflect.DeepEqual(got, asked[:len(got)]) {
		t.Fatalf("asked for %d members, got %d others", len(asked), len(got))
	}
	if len(got) == len(asked) {
		return
	}
	// Ten bytes are kept for the longest Which.
	if n := encoded.Message(next, 1<<30).Size(); n+10 <= limit {
		t.Fatalf("%d members and no more, but %d bytes would fit into %d", len(got), n, limit)
	}
}

// 64 members of ordinary size do not fit into a classic message, and are read
// in as many as it takes.
func TestFullRosterOverClassic(t *testing.T) {
	roster := &xlreg.Roster{Cluster: newCluster()}
	for index := range xlreg.MaxClusterSize {
		token := newToken(t)
		token.Name = xlreg.Name(fmt.Sprintf("m%d", index))
		roster.Members = append(roster.Members, xlreg.Member{Index: index, Token: token})
	}
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol18))
	var got []xlreg.Member
	missing, replies := xlreg.AllSeats, 0
	for missing != 0 {
		answer := encoded.Message(missing, xlreg.MaxClassicMessage-32)
		members := must[[]xlreg.Member](t)(travel(t, answer).Roster())
		if len(members) == 0 {
			t.Fatalf("nothing of %d members that are missing", missing.Len())
		}
		for _, m := range members {
			missing = missing.Without(m.Index)
		}
		got, replies = append(got, members...), replies+1
	}
	if replies != 3 {
		t.Errorf("%d replies, want 3", replies)
	}
	for i, m := range roster.Members {
		equal(t, got[i], asSeen(m, xlreg.Protocol18))
	}
}

// The classic signature would let whoever reads it log in, and classic readers
// get no field that deployed servers do not send.
func TestRosterKeepsSecrets(t *testing.T) {
	roster := &xlreg.Roster{Cluster: newCluster(), Members: []xlreg.Member{{Index: 3, Token: newToken(t)}}}
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20} {
		encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, p))
		var pb xlregpb.XLRegMsg
		if err := proto.Unmarshal(encode(t, encoded.Message(xlreg.AllSeats, 1<<20)), &pb); err != nil {
			t.Fatal(err)
		}
		token := pb.GetTokens()[0]
		if token.DigSig != nil {
			t.Errorf("%v: the classic signature is handed on", p)
		}
		if given := token.DigSig2 != nil && token.Certificate != nil && token.JoinedMillis != nil; given == p.Classic() {
			t.Errorf("%v: token %v", p, token)
		}
		if p.Classic() && (token.DigSig2 != nil || token.Certificate != nil || token.JoinedMillis != nil) {
			t.Errorf("%v: token %v", p, token)
		}
	}
}

func TestNeverJoinedIsZero(t *testing.T) {
	token := newToken(t)
	token.Joined = time.Time{}
	roster := &xlreg.Roster{Cluster: newCluster(), Members: []xlreg.Member{{Token: token}}}
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20))
	var pb xlregpb.XLRegMsg
	if err := proto.Unmarshal(encode(t, encoded.Message(xlreg.AllSeats, 1<<20)), &pb); err != nil {
		t.Fatal(err)
	}
	if joined := pb.GetTokens()[0].JoinedMillis; joined == nil || *joined != 0 {
		t.Errorf("JoinedMillis %v, want 0", joined)
	}
}

func TestRosterRefuses(t *testing.T) {
	good := func() *xlregpb.XLRegMsg_Token {
		return &xlregpb.XLRegMsg_Token{Name: proto.String("m0"), ID: make([]byte, 20), MyEnds: []string{"h:1"}}
	}
	with := func(change func(*xlregpb.XLRegMsg_Token)) *xlregpb.XLRegMsg {
		token := good()
		change(token)
		return &xlregpb.XLRegMsg{Which: proto.Uint64(1), Tokens: []*xlregpb.XLRegMsg_Token{token}}
	}
	refused := map[string]*xlregpb.XLRegMsg{
		"no bit for a token": {Tokens: []*xlregpb.XLRegMsg_Token{good()}},
		"no token for a bit": {Which: proto.Uint64(3), Tokens: []*xlregpb.XLRegMsg_Token{good()}},
		"no ID":              with(func(token *xlregpb.XLRegMsg_Token) { token.ID = nil }),
		"ID of 21 bytes":     with(func(token *xlregpb.XLRegMsg_Token) { token.ID = make([]byte, 21) }),
		"no name":            with(func(token *xlregpb.XLRegMsg_Token) { token.Name = nil }),
		"bad endpoint":       with(func(token *xlregpb.XLRegMsg_Token) { token.MyEnds = []string{"h:0"} }),
		"17 endpoints":       with(func(token *xlregpb.XLRegMsg_Token) { token.MyEnds = make([]string, 17) }),
		"large certificate":  with(func(token *xlregpb.XLRegMsg_Token) { token.Certificate = make([]byte, 4097) }),
	}
	for name, pb := range refused {
		t.Run(name, func(t *testing.T) {
			pb.Op = op(wire.OpClusterMembers)
			_, err := raw(t, pb).Roster()
			wantKind(t, err, xlreg.ErrProtocol)
		})
	}
	fine := with(func(*xlregpb.XLRegMsg_Token) {})
	fine.Op = op(wire.OpClusterMembers)
	fine.Tokens[0].DigSig = []byte("from a registry that should not")
	members := must[[]xlreg.Member](t)(raw(t, fine).Roster())
	if members[0].Token.DigSig != nil {
		t.Error("a reader gets a classic signature")
	}
	_, err := travel(t, wire.NewAck()).Roster()
	wantKind(t, err, xlreg.ErrProtocol)
}
