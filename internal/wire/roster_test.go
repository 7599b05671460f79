package wire_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
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
		CommsKey:    xlreg.CommsKey(drawKey(t, "comms key")),
		SigKey:      xlreg.SigKey(drawKey(t, "sig key")),
		DigSig:      []byte("only the registry's"),
		DigSig2:     bytesOf("signature"),
		Certificate: bytesOf("certificate"),
		CommsSig:    bytesOf("comms signature"),
		Seat: xlreg.SeatState{
			Admission: bytesOf("admission"),
			Lease:     time.Duration(rapid.Uint32().Draw(t, "lease")) * time.Millisecond,
			Run:       xlreg.Run(rapid.StringN(0, 32, 32).Draw(t, "run")),
		},
	}
	if millis := rapid.Int64Range(0, 1<<41).Draw(t, "joined"); millis > 0 {
		token.Seat.Joined = time.UnixMilli(millis).UTC()
	}
	if seconds := rapid.Int64Range(0, 1<<31).Draw(t, "seen"); seconds > 0 {
		token.Seat.Seen = time.Unix(seconds, 0).UTC()
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "endpoints") {
		token.Endpoints = append(token.Endpoints, xlreg.Endpoint(fmt.Sprintf("10.0.0.1:%d", i+1)))
	}
	return token
}

// drawKey is one that classic peers know, or one that they do not.
func drawKey(t *rapid.T, label string) []byte {
	return rapid.SampledFrom([][]byte{key2048(), key2048(), keyP256()}).Draw(t, label)
}

func drawSeats(t *rapid.T, below int, label string) (seats xlreg.Seats) {
	for _, index := range rapid.SliceOfN(rapid.IntRange(0, below-1), 0, 12).Draw(t, label) {
		seats = seats.With(index)
	}
	return seats
}

func drawRoster(t *rapid.T) *xlreg.Roster {
	r := &xlreg.Roster{Cluster: newCluster(), State: newState()}
	size := xlreg.MaxClassicClusterSize
	if rapid.Bool().Draw(t, "keyed") {
		r.Cluster, size = newKeyed(), xlreg.MaxClusterSize
	}
	for index := range drawSeats(t, size, "taken").All() {
		r.Members = append(r.Members, xlreg.Member{Index: index, Token: drawToken(t)})
	}
	return r
}

// drawWhich is all seats, any, or most of those that are taken.
func drawWhich(t *rapid.T, r *xlreg.Roster) xlreg.Seats {
	switch rapid.IntRange(0, 2).Draw(t, "which") {
	case 0:
		return xlreg.AllSeats()
	case 1:
		return drawSeats(t, r.Cluster.MaxSize, "seats")
	}
	which := r.Seats()
	if n := len(r.Members); n > 0 {
		which = which.Without(r.Members[rapid.IntRange(0, n-1).Draw(t, "but")].Index)
	}
	return which
}

// asSeen is what a reader over p may see of members.
func asSeen(members []xlreg.Member, p xlreg.Protocol) (seen []xlreg.Member) {
	for _, m := range members {
		m.Token.DigSig = nil
		if p.Classic() {
			m.Token.DigSig2, m.Token.Certificate, m.Token.CommsSig, m.Token.Labels = nil, nil, nil, nil
			m.Token.Seat = xlreg.SeatState{}
		}
		if !p.Classic() || string(m.Token.CommsKey) != string(keyP256()) && string(m.Token.SigKey) != string(keyP256()) {
			seen = append(seen, m)
		}
	}
	return seen
}

func drawProtocol(t *rapid.T, c *xlreg.Cluster) xlreg.Protocol {
	if !c.Classic() {
		return xlreg.Protocol20
	}
	return rapid.SampledFrom(protocols).Draw(t, "protocol")
}

// Any request over one roster gets the members it asked for, lowest first and
// as many as fit, and no answer spoils another that shares its bytes. It makes no
// difference whether a roster is encoded anew or after another.
func TestRosterSubsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roster := drawRoster(t)
		p := drawProtocol(t, &roster.Cluster)
		encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, p))
		if rapid.Bool().Draw(t, "follow") {
			roster = drawNext(t, roster)
			encoded = must[*wire.EncodedRoster](t)(encoded.Next(roster))
		}
		var answers []*wire.Message
		var first [][]byte
		for range rapid.IntRange(1, 4).Draw(t, "requests") {
			which := drawWhich(t, roster)
			limit := rapid.OneOf(rapid.Just(xlreg.MaxClassicMessage), rapid.IntRange(600, 8000)).Draw(t, "limit")
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

// drawNext is r after some members left, came and changed.
func drawNext(t *rapid.T, r *xlreg.Roster) *xlreg.Roster {
	next := &xlreg.Roster{Cluster: r.Cluster, State: r.State}
	next.State.Revision++
	changes := drawSeats(t, r.Cluster.MaxSize, "changed")
	for index := range r.Cluster.MaxSize {
		i := slices.IndexFunc(r.Members, func(m xlreg.Member) bool { return m.Index == index })
		switch {
		case i >= 0 && !changes.Has(index):
			next.Members = append(next.Members, r.Members[i])
		case changes.Has(index) && rapid.Bool().Draw(t, "stays"):
			next.Members = append(next.Members, xlreg.Member{Index: index, Token: drawToken(t)})
		}
	}
	return next
}

func checkSubset(t *rapid.T, roster *xlreg.Roster, encoded *wire.EncodedRoster, answer *wire.Message, p xlreg.Protocol, which xlreg.Seats, limit int) {
	if n := len(encode(t, answer)); n > limit {
		t.Fatalf("%d bytes, limit %d", n, limit)
	}
	got := must[*wire.RosterReply](t)(travel(t, answer).Roster(p))
	visible := asSeen(roster.Members, p)
	checkHead(t, got, roster, visible, p)
	var asked []xlreg.Member
	var next xlreg.Seats
	for _, m := range visible {
		if !which.Has(m.Index) {
			continue
		}
		asked = append(asked, m)
		if len(asked) <= len(got.Members)+1 {
			next = next.With(m.Index)
		}
	}
	if n := len(got.Members); n > len(asked) || n > 0 && !reflect.DeepEqual(got.Members, asked[:n]) {
		t.Fatalf("asked for %d members, got %d others", len(asked), n)
	}
	if len(got.Members) == len(asked) {
		return
	}
	// Some bytes are kept for the longest Which.
	if n := encoded.Message(next, 1<<30).Size(); n+130 <= limit {
		t.Fatalf("%d members and no more, but %d bytes would fit into %d", len(got.Members), n, limit)
	}
}

// checkHead looks at what an answer says whoever was asked for.
func checkHead(t *rapid.T, got *wire.RosterReply, roster *xlreg.Roster, visible []xlreg.Member, p xlreg.Protocol) {
	want := &wire.RosterReply{Cluster: roster.Cluster}
	if !p.Classic() {
		want.State, want.Seats, want.Sum = roster.State, (&xlreg.Roster{Members: visible}).Seats(), keys.RosterSum(roster)
	}
	want.Given, want.Members = got.Given, got.Members
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// News hold what changed, or are not given at all.
func TestDelta(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roster := drawRoster(t)
		encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20))
		changed, which := drawWhich(t, roster), drawWhich(t, roster)
		limit := rapid.IntRange(0, 20_000).Draw(t, "limit")
		answer, ok := encoded.Delta(changed, which, 7, limit)
		wanted := roster.Seats().And(changed).And(which)
		whole, _ := encoded.Delta(wanted, xlreg.AllSeats(), 7, 1<<30)
		if fits := whole.Size()+130 <= limit; !ok && fits || ok && whole.Size() > limit {
			t.Fatalf("given %v, of %d bytes in %d", ok, whole.Size(), limit)
		}
		if !ok {
			return
		}
		got := must[*wire.RosterReply](t)(travel(t, answer).Roster(xlreg.Protocol20))
		if got.Since == nil || *got.Since != 7 || got.Given != wanted || got.Seats != roster.Seats() {
			t.Fatalf("got %+v, want %v", got, wanted)
		}
	})
}

// After a change the tokens that stay are not encoded again: all who follow share them.
func TestNextShares(t *testing.T) {
	roster := &xlreg.Roster{Cluster: newKeyed(), State: newState()}
	for index := range xlreg.MaxClusterSize - 1 {
		token := newToken(t)
		token.Name = xlreg.Name(fmt.Sprintf("m%d", index))
		roster.Members = append(roster.Members, xlreg.Member{Index: index, Token: token})
	}
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20))
	next := *roster
	next.Members = append(slices.Clone(roster.Members), xlreg.Member{Index: xlreg.MaxClusterSize - 1, Token: newToken(t)})
	allocations := func(from *wire.EncodedRoster) float64 {
		return testing.AllocsPerRun(3, func() { must[*wire.EncodedRoster](t)(from.Next(&next)) })
	}
	anew := must[*wire.EncodedRoster](t)(wire.EncodeRoster(&xlreg.Roster{Cluster: roster.Cluster}, xlreg.Protocol20))
	after, before := allocations(encoded), allocations(anew)
	if after > before/50 {
		t.Errorf("%v allocations where all anew takes %v", after, before)
	}
}

// Whatever of a member changes, its readers get it.
func TestNextNoticesEveryChange(t *testing.T) {
	for name, change := range map[string]func(*xlreg.Token){
		"name":        func(m *xlreg.Token) { m.Name = "m1" },
		"attrs":       func(m *xlreg.Token) { m.Attrs = 0 },
		"ID":          func(m *xlreg.Token) { m.ID = "01234567890123456789" },
		"comms key":   func(m *xlreg.Token) { m.CommsKey = xlreg.CommsKey(keyP256()) },
		"sig key":     func(m *xlreg.Token) { m.SigKey = xlreg.SigKey(keyP256()) },
		"endpoints":   func(m *xlreg.Token) { m.Endpoints = []xlreg.Endpoint{"h:1"} },
		"labels":      func(m *xlreg.Token) { m.Labels = nil },
		"certificate": func(m *xlreg.Token) { m.Certificate = []byte("another") },
		"comms sig":   func(m *xlreg.Token) { m.CommsSig = []byte("another") },
		"DigSig2":     func(m *xlreg.Token) { m.DigSig2 = []byte("another") },
		"joined":      func(m *xlreg.Token) { m.Seat.Joined = m.Seat.Joined.Add(time.Millisecond) },
		"admission":   func(m *xlreg.Token) { m.Seat.Admission = []byte("another") },
		"lease":       func(m *xlreg.Token) { m.Seat.Lease = 0 },
		"seen":        func(m *xlreg.Token) { m.Seat.Seen = m.Seat.Seen.Add(time.Second) },
		"run":         func(m *xlreg.Token) { m.Seat.Run = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			roster := &xlreg.Roster{Cluster: newKeyed(), Members: []xlreg.Member{{Token: newToken(t)}}}
			encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20))
			next := *roster
			next.Members = slices.Clone(roster.Members)
			change(&next.Members[0].Token)
			encoded = must[*wire.EncodedRoster](t)(encoded.Next(&next))
			got := must[*wire.RosterReply](t)(travel(t, encoded.Message(xlreg.AllSeats(), 1<<20)).Roster(xlreg.Protocol20))
			equal(t, got.Members, asSeen(next.Members, xlreg.Protocol20))
			equal(t, got.Sum, keys.RosterSum(&next))
		})
	}
}

// Over a classic carrier there are no clusters that only 2.0 has.
func TestClassicRosterOfKeyedCluster(t *testing.T) {
	for _, c := range []xlreg.Cluster{newKeyed(), {ID: newCluster().ID, MaxSize: 65}} {
		_, err := wire.EncodeRoster(&xlreg.Roster{Cluster: c}, xlreg.Protocol19)
		wantKind(t, err, xlreg.ErrNoSuchClusterID)
	}
}

// A long answer is in one piece that all its readers share.
func TestLongAnswersShare(t *testing.T) {
	roster := &xlreg.Roster{Cluster: newKeyed()}
	for index := range xlreg.MaxClusterSize {
		roster.Members = append(roster.Members, xlreg.Member{Index: index, Token: newToken(t)})
	}
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20))
	rest := func(which xlreg.Seats) []byte {
		_, rest, err := encoded.Message(which, xlreg.MaxReplyFrame).AppendHead(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		return rest
	}
	all, again, tail := rest(xlreg.AllSeats()), rest(xlreg.AllSeats()), rest(xlreg.AllSeats().Minus(xlreg.SeatsBelow(500)))
	if &all[0] != &again[0] || &all[len(all)-1] != &tail[len(tail)-1] {
		t.Error("answers are copied for each reader")
	}
}

// 64 members of ordinary size do not fit into a classic message, and are read
// in as many as it takes.
func TestFullRosterOverClassic(t *testing.T) {
	roster := &xlreg.Roster{Cluster: newCluster()}
	for index := range xlreg.MaxClassicClusterSize {
		token := newToken(t)
		token.Name = xlreg.Name(fmt.Sprintf("m%d", index))
		roster.Members = append(roster.Members, xlreg.Member{Index: index, Token: token})
	}
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol18))
	var got []xlreg.Member
	missing, replies := xlreg.SeatsBelow(xlreg.MaxClassicClusterSize), 0
	for !missing.IsEmpty() {
		answer := encoded.Message(missing, xlreg.MaxClassicMessage-32)
		members := must[*wire.RosterReply](t)(travel(t, answer).Roster(xlreg.Protocol18)).Members
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
	equal(t, got, asSeen(roster.Members, xlreg.Protocol18))
}

// The classic signature would let whoever reads it log in, and classic readers
// get no field that deployed servers do not send.
func TestRosterKeepsSecrets(t *testing.T) {
	roster := &xlreg.Roster{Cluster: newCluster(), Members: []xlreg.Member{{Index: 3, Token: newToken(t)}}}
	for _, p := range protocols {
		encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, p))
		var pb xlregpb.XLRegMsg
		if err := proto.Unmarshal(encode(t, encoded.Message(xlreg.AllSeats(), 1<<20)), &pb); err != nil {
			t.Fatal(err)
		}
		token := pb.GetTokens()[0]
		if token.DigSig != nil {
			t.Errorf("%v: the classic signature is handed on", p)
		}
		added := []bool{
			token.DigSig2 != nil, token.Certificate != nil, token.JoinedMillis != nil, token.CommsSig != nil, token.Admission != nil,
			token.LeaseMillis != nil, token.SeenMillis != nil, token.Run != nil, token.Labels != nil,
		}
		if slices.Contains(added, p.Classic()) {
			t.Errorf("%v: token %v", p, token)
		}
	}
}

// Whoever makes a message anew from what was read gets the same bytes.
func TestRosterInOrderOfFields(t *testing.T) {
	roster := &xlreg.Roster{Cluster: newKeyed(), State: newState(), Members: []xlreg.Member{{Index: 3, Token: newToken(t)}}}
	sent := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20)).Message(xlreg.AllSeats(), 1<<20)
	var pb xlregpb.XLRegMsg
	if err := proto.Unmarshal(encode(t, sent), &pb); err != nil {
		t.Fatal(err)
	}
	equal(t, encode(t, sent), must[[]byte](t)(proto.Marshal(&pb)))
}

// When a member was last seen is told in whole seconds.
func TestSeenInSeconds(t *testing.T) {
	token := newToken(t)
	token.Seat.Seen = time.UnixMilli(1_700_000_123_999)
	roster := &xlreg.Roster{Cluster: newCluster(), Members: []xlreg.Member{{Token: token}}}
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20))
	got := must[*wire.RosterReply](t)(travel(t, encoded.Message(xlreg.AllSeats(), 1<<20)).Roster(xlreg.Protocol20))
	equal(t, got.Members[0].Token.Seat.Seen, time.UnixMilli(1_700_000_123_000).UTC())
}

func TestNeverJoinedIsZero(t *testing.T) {
	token := newToken(t)
	token.Seat = xlreg.SeatState{}
	roster := &xlreg.Roster{Cluster: newCluster(), Members: []xlreg.Member{{Token: token}}}
	encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, xlreg.Protocol20))
	var pb xlregpb.XLRegMsg
	if err := proto.Unmarshal(encode(t, encoded.Message(xlreg.AllSeats(), 1<<20)), &pb); err != nil {
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
	message := func(change func(*xlregpb.XLRegMsg)) *xlregpb.XLRegMsg {
		pb := &xlregpb.XLRegMsg{
			Op: op(wire.OpClusterMembers), ClusterID: make([]byte, 20), ClusterMaxSize: proto.Uint32(64),
			Which: proto.Uint64(1), WhichSet: []byte{1}, SeatSet: []byte{3}, Sum: make([]byte, 32),
			Tokens: []*xlregpb.XLRegMsg_Token{good()},
		}
		change(pb)
		return pb
	}
	with := func(change func(*xlregpb.XLRegMsg_Token)) *xlregpb.XLRegMsg {
		return message(func(pb *xlregpb.XLRegMsg) { change(pb.Tokens[0]) })
	}
	refuse := func(pb *xlregpb.XLRegMsg, protocols ...xlreg.Protocol) {
		t.Helper()
		for _, p := range protocols {
			_, err := raw(t, pb).Roster(p)
			wantKind(t, err, xlreg.ErrProtocol)
		}
	}
	for _, pb := range []*xlregpb.XLRegMsg{
		message(func(pb *xlregpb.XLRegMsg) { pb.Which, pb.WhichSet = nil, nil }),
		message(func(pb *xlregpb.XLRegMsg) { pb.Which, pb.WhichSet = proto.Uint64(3), []byte{3} }),
		message(func(pb *xlregpb.XLRegMsg) { pb.ClusterID = nil }),
		message(func(pb *xlregpb.XLRegMsg) { pb.Op = op(wire.OpCreateReply) }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.ID = nil }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.ID = make([]byte, 21) }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.Name = nil }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.MyEnds = []string{"h:0"} }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.MyEnds = make([]string, 17) }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.Certificate = make([]byte, 4097) }),
	} {
		refuse(pb, protocols...)
	}
	for _, pb := range []*xlregpb.XLRegMsg{
		message(func(pb *xlregpb.XLRegMsg) { pb.WhichSet = make([]byte, 129) }),
		message(func(pb *xlregpb.XLRegMsg) { pb.SeatSet = make([]byte, 129) }),
		message(func(pb *xlregpb.XLRegMsg) { pb.SeatSet = []byte{2} }),
		message(func(pb *xlregpb.XLRegMsg) { pb.SeatSet = nil }),
		message(func(pb *xlregpb.XLRegMsg) { pb.SeatSet = []byte{3, 0, 0, 0, 0, 0, 0, 0, 1} }),
		message(func(pb *xlregpb.XLRegMsg) { pb.Sum = nil }),
		message(func(pb *xlregpb.XLRegMsg) { pb.Sum = make([]byte, 31) }),
		message(func(pb *xlregpb.XLRegMsg) { pb.ClusterKey = make([]byte, 31) }),
		message(func(pb *xlregpb.XLRegMsg) { pb.WhichSet, pb.Tokens, pb.Which = nil, nil, nil }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.Admission = make([]byte, wire.MaxAdmissionLen+1) }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.Run = make([]byte, 33) }),
		with(func(token *xlregpb.XLRegMsg_Token) { token.Labels = []byte("no") }),
	} {
		refuse(pb, xlreg.Protocol20)
		must[*wire.RosterReply](t)(raw(t, pb).Roster(xlreg.Protocol19))
	}
	fine := with(func(token *xlregpb.XLRegMsg_Token) { token.DigSig = []byte("from a registry that should not") })
	for _, p := range protocols {
		reply := must[*wire.RosterReply](t)(raw(t, fine).Roster(p))
		if reply.Members[0].Token.DigSig != nil {
			t.Error("a reader gets a classic signature")
		}
	}
}

// Times that no calendar has are none: they are shown to people, as text.
func TestTimesOfSeats(t *testing.T) {
	for millis, want := range map[uint64]time.Time{
		0:                   {},
		1:                   time.UnixMilli(1).UTC(),
		253_402_300_799_999: time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
		253_402_300_800_000: {},
		1<<64 - 1:           {},
	} {
		pb := &xlregpb.XLRegMsg{
			Op: op(wire.OpClusterMembers), ClusterID: make([]byte, 20), ClusterMaxSize: proto.Uint32(64),
			WhichSet: []byte{1}, SeatSet: []byte{1}, Sum: make([]byte, 32),
			Tokens: []*xlregpb.XLRegMsg_Token{{
				Name: proto.String("m0"), ID: make([]byte, 20), JoinedMillis: proto.Uint64(millis), SeenMillis: proto.Uint64(millis),
			}},
		}
		seat := must[*wire.RosterReply](t)(raw(t, pb).Roster(xlreg.Protocol20)).Members[0].Token.Seat
		equal(t, seat, xlreg.SeatState{Joined: want, Seen: want})
	}
}

// BenchmarkNext has one member of 1,024 come, and the roster encoded after the last.
func BenchmarkNext(b *testing.B) {
	roster := &xlreg.Roster{Cluster: newKeyed(), State: newState()}
	for index := range xlreg.MaxClusterSize {
		roster.Members = append(roster.Members, xlreg.Member{Index: index, Token: newToken(b)})
	}
	before := *roster
	before.Members = roster.Members[:xlreg.MaxClusterSize-1]
	encoded := must[*wire.EncodedRoster](b)(wire.EncodeRoster(&before, xlreg.Protocol20))
	for b.Loop() {
		next := must[*wire.EncodedRoster](b)(encoded.Next(roster))
		if _, ok := next.Delta(xlreg.SeatsOf(xlreg.MaxClusterSize-1), xlreg.AllSeats(), 7, xlreg.MaxReplyFrame); !ok {
			b.Fatal("no news")
		}
	}
}
