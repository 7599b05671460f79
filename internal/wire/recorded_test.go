package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

// recorded is one message between an original server and an original client.
type recorded struct {
	Session int
	Dir     string
	Kind    string
	Plain   string
}

func (r recorded) bytes(t *testing.T) []byte {
	t.Helper()
	return must[[]byte](t)(hex.DecodeString(r.Plain))
}

// readRecorded returns the messages of a file, hellos left out.
func readRecorded(t *testing.T, path string) []recorded {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(must[[]byte](t)(os.ReadFile(path))))
	var all []recorded
	for dec.More() {
		var r recorded
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Kind != "hello" && r.Kind != "helloReply" {
			all = append(all, r)
		}
	}
	return all
}

// What deployed programs said is read, and written again from what was read:
// requests to the byte, replies but for the fields that ours add.
func TestRecordedSessions(t *testing.T) {
	for _, c := range []struct {
		path     string
		protocol xlreg.Protocol
		messages int
	}{
		{"testdata/1.8.4.jsonl", xlreg.Protocol18, 24},
		{"testdata/1.9.24.jsonl", xlreg.Protocol19, 22},
	} {
		t.Run(c.path, func(t *testing.T) {
			all := readRecorded(t, c.path)
			if len(all) != c.messages {
				t.Fatalf("%d messages, want %d", len(all), c.messages)
			}
			for _, r := range all {
				m := must[*wire.Message](t)(wire.Unmarshal(r.bytes(t)))
				if m.Op().String() != r.Kind {
					t.Fatalf("Op %v in a %s", m.Op(), r.Kind)
				}
				if r.Dir == "c2s" {
					equal(t, hex.EncodeToString(encode(t, rebuildRequest(t, m, c.protocol))), r.Plain)
					continue
				}
				want := new(xlregpb.XLRegMsg)
				if err := proto.Unmarshal(r.bytes(t), want); err != nil {
					t.Fatal(err)
				}
				equal(t, hex.EncodeToString(onlyFieldsOf(t, rebuildReply(t, m, c.protocol), want)), r.Plain)
			}
		})
	}
}

func rebuildRequest(t *testing.T, m *wire.Message, p xlreg.Protocol) *wire.Message {
	t.Helper()
	switch m.Op() {
	case wire.OpMember:
		return wire.NewMember(must[wire.MemberRequest](t)(m.Member(p)).Token)
	case wire.OpCreate:
		return wire.NewCreate(must[xlreg.ClusterSpec](t)(m.Create(p)))
	case wire.OpJoin:
		return wire.NewJoin(must[wire.JoinRequest](t)(m.Join(p)))
	case wire.OpGetCluster:
		return wire.NewGet(must[wire.GetRequest](t)(m.Get(p)), p)
	case wire.OpBye:
		return wire.NewBye()
	}
	t.Fatalf("%v is no request", m.Op())
	return nil
}

func rebuildReply(t *testing.T, m *wire.Message, p xlreg.Protocol) *wire.Message {
	t.Helper()
	switch m.Op() {
	case wire.OpMemberOK:
		id, attrs, err := m.MemberOK()
		if err != nil {
			t.Fatal(err)
		}
		return wire.NewMemberOK(&xlreg.Token{Name: "ours", ID: id, Attrs: attrs})
	case wire.OpCreateReply, wire.OpJoinReply:
		cluster := must[xlreg.Cluster](t)(m.Cluster(p))
		return wire.NewClusterReply(m.Op(), &cluster, m.State(p), p)
	case wire.OpClusterMembers:
		got := must[*wire.RosterReply](t)(m.Roster(p))
		roster := &xlreg.Roster{Cluster: got.Cluster, Members: got.Members}
		encoded := must[*wire.EncodedRoster](t)(wire.EncodeRoster(roster, p))
		return encoded.Message(xlreg.AllSeats(), xlreg.MaxClassicMessage)
	case wire.OpAck:
		return wire.NewAck()
	}
	t.Fatalf("%v is no reply", m.Op())
	return nil
}

// onlyFieldsOf encodes m less the fields that original servers leave out, as
// want does.
func onlyFieldsOf(t *testing.T, m *wire.Message, want *xlregpb.XLRegMsg) []byte {
	t.Helper()
	b := encode(t, m)
	pb := new(xlregpb.XLRegMsg)
	if err := proto.Unmarshal(b, pb); err != nil {
		t.Fatal(err)
	}
	added := false
	without := func(absent bool, drop func()) {
		if absent {
			added = true
			drop()
		}
	}
	without(want.MemberName == nil && pb.MemberName != nil, func() { pb.MemberName = nil })
	without(want.ClusterName == nil && pb.ClusterName != nil, func() { pb.ClusterName = nil })
	without(want.ClusterMaxSize == nil && pb.ClusterMaxSize != nil, func() { pb.ClusterMaxSize = nil })
	without(want.ClusterAttrs == nil && pb.ClusterAttrs != nil, func() { pb.ClusterAttrs = nil })
	without(want.EndPointCount == nil && pb.EndPointCount != nil, func() { pb.EndPointCount = nil })
	if !added {
		return b
	}
	return must[[]byte](t)(proto.MarshalOptions{Deterministic: true}.Marshal(pb))
}
