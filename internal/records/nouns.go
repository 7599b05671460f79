package records

import (
	"fmt"
	"math"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
)

// Cluster is the head of a cluster. It is small, and written again with each change of a
// seat; the seats are records of their own.
type Cluster struct {
	xlreg.Cluster
	State xlreg.ClusterState

	Taken     xlreg.Seats // the indexes of the current epoch's seats: the members
	Reserved  xlreg.Seats // those of earlier epochs, kept for their owners
	First     uint64      // revision, with which it was made; 0: unknown
	Lowest    uint64      // seats of an epoch before it are gone
	Completed uint64      // the last epoch that has held as many members as there may be; 0: none

	LastOrder  []byte             // the last order that was done, as it came
	LastAnswer xlreg.ClusterState // what was answered to it

	Kept    int       // bans, revocations and uses of invites
	Touched time.Time // the day on which somebody last asked for it, as far as is written
	Deleted time.Time // by an order, or with its last member; zero: it is there
	Created time.Time // zero: unknown
	Formed  time.Time // when it was full for the first time; zero: not yet, or unknown
}

// Complete reports whether the current epoch has been complete.
func (c *Cluster) Complete() bool { return c.Completed == c.State.Epoch }

// has reports whether an index is somebody's.
func (c *Cluster) has(index int) bool { return c.Taken.Has(index) || c.Reserved.Has(index) }

// Free returns the indexes that are nobody's.
func (c *Cluster) Free() xlreg.Seats {
	return xlreg.SeatsBelow(c.MaxSize).Minus(c.Taken).Minus(c.Reserved)
}

// Seat is a member in its place. Its token has what the registry knows of it; of Seen
// the store knows nothing.
type Seat struct {
	xlreg.Member
	Epoch    uint64
	Fresh    bool        // it was taken for a new start, which this seat awaits
	Past     []xlreg.Run // that others have replaced, the oldest first
	Revision uint64      // of the cluster, when what readers see of the seat last changed
	Keeper   ServerID    // which server keeps its lease; empty: the only one there is
}

// Run returns the start of a program that last took or confirmed the seat.
func (s *Seat) Run() xlreg.Run { return s.Token.Seat.Run }

// Node is a node as it is known.
type Node struct {
	Token xlreg.Token // what it last registered
	Seen  time.Time   // the day on which it last registered or logged in, as far as is written
}

// Invite is what a registry knows of an invite.
type Invite struct {
	Revoked bool
	Uses    uint32
}

func seatToPB(s *Seat) *recordspb.Seat {
	state := &s.Token.Seat
	pb := &recordspb.Seat{
		Index: uint32(s.Index), Token: tokenToPB(&s.Token), Epoch: s.Epoch, Fresh: s.Fresh, Revision: s.Revision,
		Admission: state.Admission, LeaseMillis: uint32(state.Lease.Milliseconds()), Run: []byte(state.Run),
		JoinedMillis: toMillis(state.Joined), Keeper: string(s.Keeper),
	}
	for _, run := range s.Past {
		pb.PastRuns = append(pb.PastRuns, []byte(run))
	}
	return pb
}

func seatFromPB(pb *recordspb.Seat) Seat {
	s := Seat{
		Member: xlreg.Member{Index: int(pb.GetIndex()), Token: tokenFromPB(pb.GetToken())},
		Epoch:  max(1, pb.GetEpoch()), Fresh: pb.GetFresh(), Revision: pb.GetRevision(),
		Keeper: ServerID(pb.GetKeeper()),
	}
	s.Token.Seat = xlreg.SeatState{
		Joined: fromMillis(pb.GetJoinedMillis()), Admission: nilIfEmpty(pb.GetAdmission()),
		Lease: time.Duration(pb.GetLeaseMillis()) * time.Millisecond, Run: xlreg.Run(pb.GetRun()),
	}
	for _, run := range pb.GetPastRuns() {
		s.Past = append(s.Past, xlreg.Run(run))
	}
	return s
}

func clusterToPB(c *Cluster) *recordspb.Cluster {
	return &recordspb.Cluster{
		Id: []byte(c.ID), Name: string(c.Name), Key: []byte(c.Key), Attrs: uint64(c.Attrs),
		MaxSize: uint32(c.MaxSize), EndpointCount: uint32(c.EndpointCount),
		Taken: c.Taken.Bytes(), ReservedSeats: c.Reserved.Bytes(),
		Epoch: c.State.Epoch, Revision: c.State.Revision, Orders: c.State.Orders,
		LowestEpoch: c.Lowest, CompletedEpoch: c.Completed,
		LastOrder: c.LastOrder, LastEpoch: c.LastAnswer.Epoch, LastRevision: c.LastAnswer.Revision,
		Kept: uint32(c.Kept), TouchedDay: toDay(c.Touched), DeletedMillis: toMillis(c.Deleted), FirstRevision: c.First,
		CreatedMillis: toMillis(c.Created),
		FormedMillis:  toMillis(c.Formed),
	}
}

func clusterFromPB(pb *recordspb.Cluster) (Cluster, error) {
	if pb.GetMaxSize() > math.MaxInt32 || pb.GetEndpointCount() > math.MaxInt32 {
		return Cluster{}, fmt.Errorf("%w: size %d, %d endpoints", ErrDamaged, pb.GetMaxSize(), pb.GetEndpointCount())
	}
	taken, ok := xlreg.SeatsFromBytes(pb.GetTaken())
	reserved, ok2 := xlreg.SeatsFromBytes(pb.GetReservedSeats())
	if !ok || !ok2 {
		return Cluster{}, fmt.Errorf("%w: sets of %d and %d bytes", ErrDamaged, len(pb.GetTaken()), len(pb.GetReservedSeats()))
	}
	if word := pb.GetTakenWord(); word != 0 {
		taken = xlreg.SeatsFromWord(word)
	}
	return Cluster{
		Cluster: xlreg.Cluster{
			ID: xlreg.ClusterID(pb.GetId()), Name: xlreg.Name(pb.GetName()), Key: xlreg.ClusterKey(pb.GetKey()),
			Attrs: xlreg.ClusterAttrs(pb.GetAttrs()), MaxSize: int(pb.GetMaxSize()), EndpointCount: int(pb.GetEndpointCount()),
		},
		State: xlreg.ClusterState{Epoch: max(1, pb.GetEpoch()), Revision: pb.GetRevision(), Orders: pb.GetOrders()},
		Taken: taken, Reserved: reserved, First: pb.GetFirstRevision(), Lowest: pb.GetLowestEpoch(), Completed: pb.GetCompletedEpoch(),
		LastOrder:  nilIfEmpty(pb.GetLastOrder()),
		LastAnswer: xlreg.ClusterState{Epoch: pb.GetLastEpoch(), Revision: pb.GetLastRevision(), Orders: pb.GetOrders()},
		Kept:       int(pb.GetKept()), Touched: fromDay(pb.GetTouchedDay()), Deleted: fromMillis(pb.GetDeletedMillis()),
		Created: fromMillis(pb.GetCreatedMillis()),
		Formed:  fromMillis(pb.GetFormedMillis()),
	}, nil
}
