package wire

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

// EncodedRoster is a roster whose tokens are encoded once, for all who read it over one
// protocol, and for the rosters that follow it. It is never changed.
type EncodedRoster struct {
	protocol xlreg.Protocol
	cluster  xlreg.Cluster
	state    xlreg.ClusterState
	sum      keys.Sum        // zero over a classic carrier
	taken    xlreg.Seats     // whose seats are taken, of those that readers may see
	members  []encodedMember // in the order of their indexes
	size     int             // of all their fields
	whole    func() []byte   // the fields in one piece, for long answers to share
}

type encodedMember struct {
	member *xlreg.Member // of the roster, which is never changed
	field  []byte        // its Tokens field
	sum    keys.Sum      // of its seat; zero over a classic carrier
	at     int           // where field stands in the whole
}

// EncodeRoster encodes what readers over p may see of r,. Over a classic carrier
// members and clusters that only 2.0 has are left out.
func EncodeRoster(r *xlreg.Roster, p xlreg.Protocol) (*EncodedRoster, error) {
	return (&EncodedRoster{protocol: p}).Next(r)
}

// Next encodes r for the same readers as e. It is meant for a roster that follows e's:
// tokens that are in both are neither encoded nor hashed again.
func (e *EncodedRoster) Next(r *xlreg.Roster) (*EncodedRoster, error) {
	p := e.protocol
	if p.Classic() && !r.Cluster.Classic() {
		return nil, xlreg.Errorf(xlreg.ErrNoSuchClusterID, "it is not one for protocol %v", p)
	}
	next := &EncodedRoster{protocol: p, cluster: r.Cluster, state: r.State}
	next.members = make([]encodedMember, 0, len(r.Members))
	old := e.members
	for i := range r.Members {
		for len(old) > 0 && old[0].member.Index < r.Members[i].Index {
			old = old[1:]
		}
		if err := next.add(&r.Members[i], old); err != nil {
			return nil, fmt.Errorf("encode member %d: %w", r.Members[i].Index, err)
		}
	}
	if !p.Classic() {
		next.sum = next.sumSeats()
	}
	next.whole = sync.OnceValue(next.join)
	return next, nil
}

// add adds m, as it is in old if that begins with the same token, and does nothing if
// readers may not see m.
func (e *EncodedRoster) add(m *xlreg.Member, old []encodedMember) error {
	added := encodedMember{member: m}
	switch {
	case len(old) > 0 && old[0].member.Index == m.Index && sameToken(&old[0].member.Token, &m.Token):
		added.field, added.sum = old[0].field, old[0].sum
	case !visible(&m.Token, e.protocol):
		return nil
	default:
		field, err := encodeToken(&m.Token, e.protocol)
		if err != nil {
			return err
		}
		added.field = field
		if !e.protocol.Classic() {
			added.sum = keys.SeatSum(&m.Token)
		}
	}
	added.at = e.size
	e.size += len(added.field)
	e.taken = e.taken.With(m.Index)
	e.members = append(e.members, added)
	return nil
}

// visible reports whether readers over p may see a member: over a classic carrier its
// keys have to be ones that are known there.
func visible(t *xlreg.Token, p xlreg.Protocol) bool {
	return !p.Classic() || keys.CheckTokenFor(t, p) == nil
}

// encodeToken returns a Tokens field.
func encodeToken(t *xlreg.Token, p xlreg.Protocol) ([]byte, error) {
	token, err := proto.Marshal(rosterToken(t, p))
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, protowire.SizeTag(tokensField)+protowire.SizeBytes(len(token)))
	b = protowire.AppendTag(b, tokensField, protowire.BytesType)
	return protowire.AppendBytes(b, token), nil
}

func (e *EncodedRoster) sumSeats() keys.Sum {
	seats := make([]keys.Seat, len(e.members))
	for i := range e.members {
		seats[i] = keys.Seat{Index: e.members[i].member.Index, Sum: e.members[i].sum}
	}
	return keys.SumSeats(&e.cluster, &e.state, seats)
}

// sameToken reports whether a and b are the same to every reader. What two rosters share
// is found to be equal without a look at it.
func sameToken(a, b *xlreg.Token) bool {
	return a.Name == b.Name && a.Attrs == b.Attrs && a.ID == b.ID &&
		a.CommsKey == b.CommsKey && a.SigKey == b.SigKey &&
		slices.Equal(a.Endpoints, b.Endpoints) &&
		bytes.Equal(a.Labels, b.Labels) &&
		bytes.Equal(a.Certificate, b.Certificate) &&
		bytes.Equal(a.CommsSig, b.CommsSig) &&
		bytes.Equal(a.DigSig2, b.DigSig2) &&
		sameSeat(&a.Seat, &b.Seat)
}

func sameSeat(a, b *xlreg.SeatState) bool {
	return a.Joined.Equal(b.Joined) && bytes.Equal(a.Admission, b.Admission) &&
		a.Lease == b.Lease && a.Seen.Equal(b.Seen) && a.Run == b.Run
}

// join returns the fields of all members in one piece.
func (e *EncodedRoster) join() []byte {
	b := make([]byte, 0, e.size)
	for i := range e.members {
		b = append(b, e.members[i].field...)
	}
	return b
}

// Message returns the ClusterMembers with those of which who are there, lowest
// first, as many as fit into limit bytes.
func (e *EncodedRoster) Message(which xlreg.Seats, limit int) *Message {
	m := newMessage(OpClusterMembers, e.head())
	e.fill(m, which, limit)
	return m
}

// Delta returns the ClusterMembers for a reader that knows the roster of revision since,
// after which the seats in changed did: their tokens, of those of which. It reports false
// if those do not fit into limit bytes.
func (e *EncodedRoster) Delta(changed, which xlreg.Seats, since uint64, limit int) (*Message, bool) {
	m := newMessage(OpClusterMembers, e.head())
	m.pb.SinceRevision = proto.Uint64(since)
	which = which.And(changed)
	given := e.fill(m, which, limit)
	return m, given == which.And(e.taken) && m.Size() <= limit
}

// Taken returns whose seats are taken, of those that readers may see.
func (e *EncodedRoster) Taken() xlreg.Seats { return e.taken }

// Sum returns the roster's sum, which a registry signs; zero over a classic carrier.
func (e *EncodedRoster) Sum() keys.Sum { return e.sum }

func (e *EncodedRoster) head() *xlregpb.XLRegMsg {
	pb := clusterToPB(&e.cluster, e.state, e.protocol)
	if !e.protocol.Classic() {
		pb.SeatSet, pb.Sum = e.taken.Bytes(), e.sum[:]
	}
	return pb
}

// fill adds to m the tokens of those of which who are there, as many as fit, and says
// whose they are.
func (e *EncodedRoster) fill(m *Message, which xlreg.Seats, limit int) (given xlreg.Seats) {
	e.setGiven(m, xlreg.AllSeats()) // the longest, for Size
	room := limit - m.Size()
	var chosen []encodedMember
	members := e.members
	if which.IsEmpty() {
		members = nil // most answers to those who watch: nothing has changed
	}
	for _, member := range members {
		if !which.Has(member.member.Index) {
			continue
		}
		if len(member.field) > room {
			break
		}
		room -= len(member.field)
		chosen = append(chosen, member)
		given = given.With(member.member.Index)
	}
	m.tokens = e.tokens(chosen)
	e.setGiven(m, given)
	return given
}

func (e *EncodedRoster) setGiven(m *Message, given xlreg.Seats) {
	if e.protocol.Classic() {
		m.pb.Which = proto.Uint64(given.Word())
		return
	}
	m.pb.WhichSet = given.Bytes()
}

// shared is from how many bytes on an answer is worth the whole roster in one piece.
const shared = 64 << 10

// tokens returns the fields of these members in one piece. Of a long answer, whose
// members follow each other in the roster, all readers share it.
func (e *EncodedRoster) tokens(chosen []encodedMember) []byte {
	if len(chosen) == 0 {
		return nil
	}
	first, last := chosen[0], chosen[len(chosen)-1]
	size := 0
	for i := range chosen {
		size += len(chosen[i].field)
	}
	end := last.at + len(last.field)
	switch {
	case len(chosen) == 1:
		return first.field[:size:size]
	case size == end-first.at && (size >= shared || 2*size >= e.size):
		return e.whole()[first.at:end:end]
	}
	b := make([]byte, 0, size)
	for i := range chosen {
		b = append(b, chosen[i].field...)
	}
	return b
}
