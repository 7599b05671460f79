package vectors_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

type sumInput struct {
	ClusterID     vectors.Hex `json:"cluster_id"`
	ClusterName   xlreg.Name  `json:"cluster_name"`
	ClusterKey    vectors.Hex `json:"cluster_key"`
	MaxSize       int         `json:"max_size"`
	EndpointCount int         `json:"endpoint_count"`
	ClusterAttrs  string      `json:"cluster_attrs"`
	Epoch         string
	Revision      string
	Orders        string
	Seats         []struct {
		Index int
		Token vectors.Hex
	}
}

func runSum(t *testing.T, v vectors.Vector) {
	var input sumInput
	var want struct {
		Sum   vectors.Hex
		Short string
	}
	decode(t, v, &input, &want)
	r := &xlreg.Roster{
		Cluster: xlreg.Cluster{
			ID: xlreg.ClusterID(input.ClusterID), Name: input.ClusterName, Key: xlreg.ClusterKey(input.ClusterKey),
			Attrs: xlreg.ClusterAttrs(number(t, input.ClusterAttrs)), MaxSize: input.MaxSize, EndpointCount: input.EndpointCount,
		},
		State:   xlreg.ClusterState{Epoch: number(t, input.Epoch), Revision: number(t, input.Revision), Orders: number(t, input.Orders)},
		Members: input.members(t),
	}
	sum := keys.RosterSum(r)
	if string(sum[:]) != string(want.Sum) || keys.ShortSum(sum) != want.Short {
		t.Errorf("got %x, %s, want %x, %s: %s", sum, keys.ShortSum(sum), want.Sum, want.Short, v.About)
	}
}

// members reads the tokens as a client gets them, which is in a roster.
func (in *sumInput) members(t *testing.T) []xlreg.Member {
	t.Helper()
	pb := &xlregpb.XLRegMsg{
		Op: xlregpb.XLRegMsg_Tag(wire.OpClusterMembers).Enum(), ClusterID: in.ClusterID,
		ClusterName: proto.String(string(in.ClusterName)), ClusterMaxSize: proto.Uint32(xlreg.MaxClusterSize),
		EndPointCount: proto.Uint32(1), Sum: make([]byte, len(keys.Sum{})),
	}
	var seats xlreg.Seats
	for _, s := range in.Seats {
		token := new(xlregpb.XLRegMsg_Token)
		if err := proto.Unmarshal(s.Token, token); err != nil {
			t.Fatal(err)
		}
		pb.Tokens = append(pb.Tokens, token)
		seats = seats.With(s.Index)
	}
	pb.SeatSet, pb.WhichSet = seats.Bytes(), seats.Bytes()
	plain, err := proto.Marshal(pb)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Unmarshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Roster(xlreg.Protocol20)
	if err != nil {
		t.Fatal(err)
	}
	return r.Members
}
