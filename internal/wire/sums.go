package wire

import (
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

// What members say to each other when they compare what they see of their cluster
// (section 11.3).

// SumRequest asks a member for the sum of a cluster's roster.
type SumRequest struct {
	Cluster  xlreg.ClusterID
	Revision uint64 // of which the sum is wanted; 0: of the last one seen
}

// NewSumRequest returns the GetCluster that asks for a sum.
func NewSumRequest(r SumRequest) *Message {
	pb := &xlregpb.XLRegMsg{ClusterID: r.Cluster.Bytes()}
	if r.Revision > 0 {
		pb.Revision = proto.Uint64(r.Revision)
	}
	return newMessage(OpGetCluster, pb)
}

// SumRequest reads a GetCluster that asks for a sum.
func (m *Message) SumRequest() SumRequest {
	return SumRequest{Cluster: xlreg.ClusterID(m.pb.GetClusterID()), Revision: m.pb.GetRevision()}
}

// SumReply is what a member says of the roster of one revision.
type SumReply struct {
	Cluster  xlreg.ClusterID
	Epoch    uint64
	Revision uint64
	Seats    xlreg.Seats // whose seats are taken
	Sum      keys.Sum
}

// NewSumReply returns the ClusterMembers that says a sum.
func NewSumReply(r SumReply) *Message {
	return newMessage(OpClusterMembers, &xlregpb.XLRegMsg{
		ClusterID: r.Cluster.Bytes(),
		Epoch:     proto.Uint64(r.Epoch),
		Revision:  proto.Uint64(r.Revision),
		SeatSet:   r.Seats.Bytes(),
		WhichSet:  []byte{},
		Sum:       r.Sum[:],
	})
}

// SumReply reads a ClusterMembers that says a sum.
func (m *Message) SumReply() (SumReply, error) {
	if m.Op() != OpClusterMembers {
		return SumReply{}, xlreg.Errorf(xlreg.ErrProtocol, "%v instead of ClusterMembers", m.Op())
	}
	r := SumReply{Cluster: xlreg.ClusterID(m.pb.GetClusterID()), Epoch: m.pb.GetEpoch(), Revision: m.pb.GetRevision()}
	var err error
	if r.Seats, err = seatsFromPB("SeatSet", m.pb.GetSeatSet()); err != nil {
		return SumReply{}, err
	}
	if len(m.pb.GetSum()) != len(r.Sum) {
		return SumReply{}, xlreg.Errorf(xlreg.ErrProtocol, "Sum of %d bytes", len(m.pb.GetSum()))
	}
	copy(r.Sum[:], m.pb.GetSum())
	return r, nil
}
