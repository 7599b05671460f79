package registry

import (
	"context"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// JoinRequest is what a node asks for when it joins a cluster.
type JoinRequest struct {
	Ref   xlreg.ClusterRef
	Run   xlreg.Run     // which start of its program it is; empty if it does not say
	Fresh bool          // to meet members of this start only; needs Run
	Lease time.Duration // how long the seat is to last without a sign of life; 0: for ever

	// Admission is the owner's leave as it came, and Parsed what it says; the zero
	// value if it says nothing that can be read.
	Admission []byte
	Parsed    xlreg.Admission
}

// Seat is a place in a cluster.
type Seat struct {
	Cluster xlreg.Cluster
	State   xlreg.ClusterState
	Index   int
	Lease   time.Duration // that holds now; 0: none
}

// joinedWithin is how old the time of a member's last Join may become before a Join
// that changes nothing else is written down: a member that asks again and again costs
// a write a minute, and its time is right to the minute. The Join that takes a seat is
// always written, with its exact time.
const joinedWithin = time.Minute

// Join gives the session's node a seat in the cluster, or the seat it has already, with
// what the session registered or, if it logged in, with what the node registered last.
func (r *Registry) Join(ctx context.Context, s *Session, req JoinRequest, allow Allowance) (seat Seat, did Effect, err error) {
	j := joining{Registry: r, session: s, req: &req, now: r.clock.Now().UTC().Truncate(time.Millisecond)}
	if j.leave, err = r.checkAdmission(ctx, s, &req); err != nil {
		return Seat{}, Unchanged, err
	}
	defer r.leases.entering(s)()
	err = r.update(ctx, func(tx records.Writer) error {
		if err := j.do(tx); err != nil {
			return err
		}
		j.order = r.leases.next()
		return allow.check(j.did)
	})
	if err != nil {
		return Seat{}, Unchanged, err
	}
	if j.did == Changed {
		j.tell()
		r.rosters.drop(j.cluster.ID)
	}
	lease := r.leases.keep(s, &j.cluster, &j.seat, j.order)
	if j.cluster.Complete() {
		r.leases.completed(j.cluster.ID, j.cluster.State.Epoch)
	}
	return Seat{j.cluster.Cluster, j.cluster.State, j.seat.Index, lease}, j.did, nil
}

// joining is one Join on its way. Its closure may run more than once, and each run sets
// what the one before has left.
type joining struct {
	*Registry
	session *Session
	req     *JoinRequest
	leave   error // why the admission does not hold, as far as nothing kept bears on it
	now     time.Time

	event   EventKind
	did     Effect
	cluster records.Cluster
	seat    records.Seat
	left    []records.Seat // of the current epoch, that its key had besides
	formed  bool           // the cluster is full for the first time
	order   uint64         // among the Updates that bear on leases
}

// tell says what the Join has done.
func (j *joining) tell() {
	by := j.session.Actor()
	for i := range j.left {
		j.Registry.tell(by, EventLeft, &j.cluster, &j.left[i])
	}
	j.Registry.tell(by, j.event, &j.cluster, &j.seat)
	if j.formed {
		j.Registry.formed(by, &j.cluster)
	}
}

func (j *joining) do(tx records.Writer) (err error) {
	j.did, j.left, j.formed = Unchanged, nil, false
	if j.cluster, err = find(tx.Reader, j.req.Ref, j.session.Protocol); err != nil {
		return err
	}
	token, err := j.token(tx.Reader)
	if err != nil {
		return err
	}
	cl := claim{token: token, run: j.req.Run, fresh: j.req.Fresh}
	if cl.seats, cl.left, err = tx.SeatsOfKey(&j.cluster, j.session.sum); err != nil {
		return err
	}
	if cl.holder, err = occupant(tx.SeatNamed(&j.cluster, token.Name)); err != nil {
		return err
	}
	if err := j.admit(tx, &cl); err != nil {
		return err
	}
	p, err := j.choose(&cl)
	if err != nil {
		return err
	}
	return j.take(tx, &cl, &p)
}

func (j *joining) choose(cl *claim) (place, error) {
	if j.session.Protocol.Classic() {
		return chooseClassic(&j.cluster, cl)
	}
	return choose(&j.cluster, cl)
}

// token returns what the node takes its seat with.
func (j *joining) token(tx records.Reader) (*xlreg.Token, error) {
	if j.session.node == "" {
		return nil, xlreg.ErrIdentityRequired
	}
	if j.session.own != nil {
		return j.session.own, nil
	}
	n, err := tx.Node(j.session.node)
	return &n.Token, orKind(err, xlreg.ErrIdentityRequired)
}

// take takes the place, unless that would say nothing new.
func (j *joining) take(tx records.Writer, cl *claim, p *place) error {
	c := &j.cluster
	if p.opens {
		openEpoch(c)
	}
	s := seatFor(c, cl, p)
	if s.Keeper = ""; j.bounds.lease(j.req.Lease) > 0 || s.Fresh {
		s.Keeper = j.fleet.self
	}
	s.Token.Seat.Joined, s.Token.Seat.Lease, s.Token.Seat.Admission = j.now, j.bounds.lease(j.req.Lease), j.req.Admission
	j.event, j.seat = eventOf(p.before, s.Token.ID), s
	same := p.before != nil && len(p.frees) == 0 && sameSeat(p.before, &s)
	if same {
		return j.confirm(tx, p.before)
	}
	if p.before == nil {
		if err := j.totals.roomForSeat(); err != nil {
			return err
		}
	}
	j.did = Changed
	raise(c, j.now)
	j.seat.Revision = c.State.Revision
	j.left = membersAmong(c, p.frees)
	if err := tx.VacateSeats(c, p.frees); err != nil {
		return err
	}
	members := c.Taken.Len()
	if err := tx.PutSeat(c, &j.seat); err != nil {
		return err
	}
	if c.Taken.Len() >= c.MaxSize {
		if j.formed = c.Completed == 0 && members < c.MaxSize; j.formed {
			c.Formed = j.now
		}
		c.Completed = c.State.Epoch
	}
	c.Touched = records.Day(j.now)
	return tx.PutCluster(c)
}

// confirm writes down the time of a Join that changes nothing else, if that is due. The
// seat keeps the signatures that it has: new ones would be another sum of one revision.
func (j *joining) confirm(tx records.Writer, before *records.Seat) error {
	joined, fresh, keeper := j.seat.Token.Seat.Joined, j.seat.Fresh, j.seat.Keeper
	j.seat = *before
	if before.Fresh == fresh && before.Keeper == keeper && isRecent(before.Token.Seat.Joined, j.now) {
		return nil
	}
	j.did = Changed
	j.seat.Token.Seat.Joined, j.seat.Fresh, j.seat.Keeper = joined, fresh, keeper
	return tx.PutSeat(&j.cluster, &j.seat)
}

// membersAmong returns those of some seats that are members.
func membersAmong(c *records.Cluster, seats []records.Seat) (members []records.Seat) {
	for i := range seats {
		if seats[i].Epoch == c.State.Epoch {
			members = append(members, seats[i])
		}
	}
	return members
}

// eventOf names what a Join is for whoever had the seat before, or nobody.
func eventOf(before *records.Seat, id xlreg.NodeID) EventKind {
	switch {
	case before == nil:
		return EventJoined
	case before.Token.ID == id:
		return EventRejoined
	}
	return EventTookOver
}

func isRecent(joined, now time.Time) bool {
	age := now.Sub(joined)
	return age >= 0 && age < joinedWithin
}

// occupant returns the seat that was looked for, nil if there is none.
func occupant(s records.Seat, err error) (*records.Seat, error) {
	if records.IsNotFound(err) {
		return nil, nil
	}
	return &s, err
}

// Leave frees the seats of the session's node in the cluster, in every epoch, and returns
// the cluster's ID. Over a classic carrier nobody leaves.
func (r *Registry) Leave(ctx context.Context, s *Session, ref xlreg.ClusterRef, allow Allowance) (id xlreg.ClusterID, err error) {
	var c records.Cluster
	var seats []records.Seat
	var order uint64
	now := r.clock.Now()
	err = r.update(ctx, func(tx records.Writer) (err error) {
		if c, err = find(tx.Reader, ref, s.Protocol); err != nil {
			return err
		}
		if s.node == "" {
			return xlreg.ErrIdentityRequired
		}
		if seats, _, err = tx.SeatsOfKey(&c, s.sum); err != nil {
			return err
		}
		if len(seats) == 0 {
			return xlreg.ErrNotMember
		}
		if err := allow.check(Changed); err != nil {
			return err
		}
		order = r.leases.next()
		return free(tx, &c, seats, now)
	})
	if err != nil {
		return c.ID, err
	}
	r.freed(s.Actor(), EventLeft, &c, seats, order)
	return c.ID, nil
}

// free vacates seats and puts the cluster's record. A cluster that is to go with its last
// member goes. Seats of earlier epochs are seen by nobody, so that they raise no revision.
func free(tx records.Writer, c *records.Cluster, seats []records.Seat, now time.Time) error {
	members := c.Taken.Len()
	if err := tx.VacateSeats(c, seats); err != nil {
		return err
	}
	c.Touched = records.Day(now)
	if c.Taken.Len() == members {
		return tx.PutCluster(c)
	}
	raise(c, now)
	if goesWithLast(c) {
		return drop(tx, c, now)
	}
	return tx.PutCluster(c)
}

// goesWithLast reports whether a cluster that has just lost a member goes with it.
func goesWithLast(c *records.Cluster) bool {
	return c.Taken.IsEmpty() && c.Attrs&xlreg.ClusterEphemeral != 0 && c.Kept == 0
}

// freed says what has happened to seats in the Update with this number, and forgets their
// leases. The cluster may have gone with them.
func (r *Registry) freed(by Actor, kind EventKind, c *records.Cluster, seats []records.Seat, order uint64) {
	for i := range seats {
		r.tell(by, kind, c, &seats[i])
		r.leases.drop(seatID{c.ID, keySum(&seats[i])}, order)
	}
	if !c.Deleted.IsZero() {
		r.happened(by, EventDeleted, c)
		r.purgeSoon(c.ID)
	}
}
