package wire

import (
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
)

// GetRequest asks for a cluster's members. Over a classic carrier there is no Since,
// WaitEpoch or Sign.
type GetRequest struct {
	Ref   xlreg.ClusterRef
	Which xlreg.Seats
	Since *uint64 // only what changed after this revision; nil: all that Which asks for
	Sign  bool

	Wait       bool    // false: answer at once
	WaitSize   *uint32 // see Until
	WaitMillis *uint32 // nil: the registry's limit
	WaitEpoch  *uint64
}

// NewGet returns a GetCluster for p. A request with neither WaitSize nor WaitMillis does
// not wait, so one that is to wait has either.
func NewGet(r GetRequest, p xlreg.Protocol) *Message {
	pb := refToPB(r.Ref)
	switch {
	case r.Which == xlreg.AllSeats() || p.Classic() && r.Which.Word() == math.MaxUint64:
	case p.Classic():
		pb.Which = proto.Uint64(r.Which.Word())
	default:
		pb.WhichSet = r.Which.Bytes()
	}
	pb.SinceRevision = r.Since
	if r.Sign {
		pb.Sign = proto.Bool(true)
	}
	if r.Wait {
		pb.WaitSize, pb.WaitMillis, pb.WaitEpoch = r.WaitSize, r.WaitMillis, r.WaitEpoch
	}
	switch {
	case !r.Wait || r.WaitSize != nil:
	case r.Since == nil && r.WaitEpoch == nil:
		pb.WaitSize = proto.Uint32(xlreg.MaxClusterSize) // the registry lowers it to the cluster's size
	case r.WaitMillis == nil:
		pb.WaitMillis = proto.Uint32(math.MaxUint32) // and this to its limit
	}
	return newMessage(OpGetCluster, pb)
}

// Get reads a GetCluster that came over p.
func (m *Message) Get(p xlreg.Protocol) (GetRequest, error) {
	which, err := m.which(p)
	if err != nil {
		return GetRequest{}, err
	}
	ref, err := m.Ref(p)
	if err != nil {
		return GetRequest{}, err
	}
	r := GetRequest{Ref: ref, Which: which, WaitSize: m.pb.WaitSize, WaitMillis: m.pb.WaitMillis}
	if !p.Classic() {
		r.Since, r.WaitEpoch, r.Sign = m.pb.SinceRevision, m.pb.WaitEpoch, m.pb.GetSign()
	}
	none := r.WaitSize == nil && r.WaitMillis == nil
	zero := r.WaitMillis != nil && *r.WaitMillis == 0
	r.Wait = !none && !zero
	return r, nil
}

// which reads the seats that a GetCluster asks for.
func (m *Message) which(p xlreg.Protocol) (xlreg.Seats, error) {
	switch {
	case !p.Classic() && m.pb.WhichSet == nil, p.Classic() && m.pb.Which == nil:
		return xlreg.AllSeats(), nil
	case p.Classic():
		return xlreg.SeatsFromWord(m.pb.GetWhich()), nil
	}
	return seatsFromPB("WhichSet", m.pb.GetWhichSet())
}

func seatsFromPB(field string, b []byte) (xlreg.Seats, error) {
	seats, ok := xlreg.SeatsFromBytes(b)
	if !ok {
		return xlreg.Seats{}, xlreg.Errorf(xlreg.ErrProtocol, "%s of %d bytes, at most %d allowed", field, len(b), xlreg.MaxClusterSize/8)
	}
	return seats, nil
}

// Until is what ends a wait: whichever of these comes first. That the cluster goes away
// does, too.
type Until struct {
	Members  int           // there are so many of them; MaxInt: however many there are
	Revision *uint64       // the cluster has another than this; nil: whatever it has
	Epoch    *uint64       // the same of its epoch
	Limit    time.Duration // so long a time has passed; negative: as long as the registry allows
}

// Until returns what ends the wait for a cluster of at most maxSize members. A request
// that does not wait has a Limit of 0.
func (r *GetRequest) Until(maxSize int) Until {
	u := Until{Members: math.MaxInt, Revision: r.Since, Epoch: r.WaitEpoch, Limit: -1}
	switch {
	case r.WaitSize != nil:
		u.Members = int(min(*r.WaitSize, uint32(maxSize)))
	case r.Since == nil && r.WaitEpoch == nil:
		u.Members = maxSize
	}
	switch {
	case !r.Wait:
		u.Limit = 0
	case r.WaitMillis != nil:
		u.Limit = duration(*r.WaitMillis)
	}
	return u
}

// Met reports whether a cluster with so many members, in this state, ends the wait.
func (u *Until) Met(members int, s xlreg.ClusterState) bool {
	return members >= u.Members ||
		u.Revision != nil && *u.Revision != s.Revision ||
		u.Epoch != nil && *u.Epoch != s.Epoch
}
