package registry

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// leases are the seats that end without a sign of life, and the times of the last. They
// are kept in memory alone: a sign of life writes nothing, and a registry that starts
// gives every lease one full term.
//
// Of the servers that share a store one keeps the lease of a seat, and the seat's record
// says which. So a sign of life writes something only if the member has gone to another
// server.
type leases struct {
	clock  Clock
	fleet  *fleet
	orders atomic.Uint64 // that have been given out

	mu      sync.Mutex
	seats   map[seatID]*lease                   // guarded by mu
	holders map[*Session]map[*lease]bool        // guarded by mu
	waiting map[xlreg.ClusterID]map[*lease]bool // guarded by mu; those that wait for a new start
	joins   map[xlreg.KeySum]int                // guarded by mu; how many Joins a sig key has under way
	queue   leaseQueue                          // guarded by mu
	trouble time.Time                           // guarded by mu; when the store last failed
}

// seatID is the seat of a sig key in a cluster. It has one: leases are for 2.0.
type seatID struct {
	cluster xlreg.ClusterID
	sum     xlreg.KeySum
}

// lease is one seat that may end.
type lease struct {
	seatID
	index   int
	epoch   uint64
	run     xlreg.Run
	keeper  records.ServerID // that the seat's record names: this server, or one that has gone
	moved   bool             // by what was heard, the record names another by now
	asked   time.Duration    // 0: for ever
	waiting bool             // it was taken for a new start that has not come about
	holder  *Session         // the connection that took or last renewed it; nil is unknown

	order    uint64 // of the Update that it is of
	renewals uint64 // how often it has been given its whole term

	seen  time.Time // the time of day, which may be set; what follows cannot
	since time.Time // when it was given its whole term
	due   time.Time // when the seat ends
	at    time.Time // when the queue looks at it, which is not after due
	place int       // in the queue; -1 if not there
}

// term returns how long the seat lasts without a sign of life; 0 is for ever.
func (l *lease) term() time.Duration { return termOf(l.asked, l.waiting) }

func termOf(asked time.Duration, waiting bool) time.Duration {
	if waiting && (asked == 0 || asked > freshLease) {
		return freshLease
	}
	return asked
}

// next numbers an Update at the end of its closure. One that has seen what another did has
// the greater number, so that it counts although the other may be the last to say here
// what it did.
func (ls *leases) next() uint64 { return ls.orders.Add(1) }

// keep notes that a session has taken a seat or confirmed it, in the Update with this
// number, and returns the lease that it has.
func (ls *leases) keep(s *Session, c *records.Cluster, seat *records.Seat, order uint64) time.Duration {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.put(s, c, seat, order)
}

// found notes the lease of a seat that is there when the registry starts, unless its node
// has come already.
func (ls *leases) found(c *records.Cluster, seat *records.Seat) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.seats[seatID{c.ID, keySum(seat)}]
	switch {
	case l == nil:
		ls.put(nil, c, seat, 0)
	case l.keeper != seat.Keeper:
		ls.put(nil, c, seat, l.order)
	}
}

// changed takes in what the record of a seat says now. If that is that another server
// keeps the lease, the next sign of life makes this one look.
func (ls *leases) changed(id xlreg.ClusterID, seat *records.Seat) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.seats[seatID{id, keySum(seat)}]; l != nil && l.keeper != seat.Keeper {
		l.moved = true
	}
}

// put does what keep does. A seat that was there when the registry started is no
// session's.
func (ls *leases) put(s *Session, c *records.Cluster, seat *records.Seat, order uint64) time.Duration {
	id := seatID{c.ID, keySum(seat)}
	waiting := seat.Fresh && seat.Epoch > c.Completed
	term := termOf(seat.Token.Seat.Lease, waiting)
	l := ls.seats[id]
	switch {
	case l != nil && l.order > order:
		return term
	case term == 0 && l != nil && !isBeside(l, s, seat):
		ls.forget(id)
	}
	if term == 0 {
		return 0
	}
	if l == nil {
		l = &lease{seatID: id, place: -1}
		ls.add(l)
	}
	l.index, l.epoch, l.run, l.asked, l.order = seat.Index, seat.Epoch, seat.Run(), seat.Token.Seat.Lease, order
	l.keeper, l.moved = seat.Keeper, false
	ls.wait(l, waiting)
	ls.renew(l, s)
	return term
}

// isBeside reports whether a seat is one more of a key that has a lease for another: over a
// classic carrier, where a node is its ID.
func isBeside(l *lease, s *Session, seat *records.Seat) bool {
	return s != nil && s.Protocol.Classic() && l.index != seat.Index
}

// entering notes that a session's node has a Join under way, until left is called. Its
// seats are not freed meanwhile: between the Update and keep nothing says that the seat
// has been confirmed, and the connection it came with may end just then.
func (ls *leases) entering(s *Session) (left func()) {
	sum := s.sum
	if sum == "" {
		return func() {}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.joins == nil {
		ls.joins = make(map[xlreg.KeySum]int)
	}
	ls.joins[sum]++
	return func() { ls.entered(sum) }
}

func (ls *leases) entered(sum xlreg.KeySum) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.joins[sum]--; ls.joins[sum] == 0 {
		delete(ls.joins, sum)
	}
}

func (ls *leases) add(l *lease) {
	if ls.seats == nil {
		ls.seats, ls.holders = make(map[seatID]*lease), make(map[*Session]map[*lease]bool)
		ls.waiting = make(map[xlreg.ClusterID]map[*lease]bool)
	}
	ls.seats[l.seatID] = l
}

// renew gives a lease its whole term anew, and binds it to the session.
func (ls *leases) renew(l *lease, s *Session) {
	ls.hold(l, s)
	l.renewals++
	l.seen, l.since = ls.clock.Now(), ls.clock.Monotonic()
	l.due = l.since.Add(l.term())
	if l.place < 0 {
		l.at = l.due
		heap.Push(&ls.queue, l)
	}
	if l.due.Before(l.at) {
		l.at = l.due
		heap.Fix(&ls.queue, l.place)
	}
}

func (ls *leases) hold(l *lease, s *Session) {
	if l.holder == s {
		return
	}
	ls.release(l)
	if l.holder = s; s == nil {
		return
	}
	if ls.holders[s] == nil {
		ls.holders[s] = make(map[*lease]bool)
	}
	ls.holders[s][l] = true
}

func (ls *leases) release(l *lease) {
	held := ls.holders[l.holder]
	delete(held, l)
	if len(held) == 0 {
		delete(ls.holders, l.holder)
	}
	l.holder = nil
}

// alive notes a sign of life of a session's node in a cluster, and reports whether this
// server keeps a lease of it.
func (ls *leases) alive(s *Session, id xlreg.ClusterID) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.seats[seatID{id, s.sum}]
	if l == nil {
		return false
	}
	ls.renew(l, s)
	return !l.moved && l.keeper == ls.fleet.self
}

// wait says whether a seat waits for the start that it was taken for.
func (ls *leases) wait(l *lease, waiting bool) {
	l.waiting = waiting
	if !waiting {
		delete(ls.waiting[l.cluster], l)
		if len(ls.waiting[l.cluster]) == 0 {
			delete(ls.waiting, l.cluster)
		}
		return
	}
	if ls.waiting[l.cluster] == nil {
		ls.waiting[l.cluster] = make(map[*lease]bool)
	}
	ls.waiting[l.cluster][l] = true
}

func (ls *leases) waitIn(id xlreg.ClusterID) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.waiting[id]) > 0
}

// completed ends the waiting of the seats of an epoch that has become complete: what they
// asked for holds from now on.
func (ls *leases) completed(id xlreg.ClusterID, epoch uint64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.waiting[id] {
		switch {
		case l.epoch != epoch:
		case l.asked == 0:
			ls.forget(l.seatID)
		default:
			ls.wait(l, false)
			l.due = l.since.Add(l.asked)
		}
	}
}

// seenAt returns when there was the last sign of life of a seat; zero without a lease, or
// if another server hears of it.
func (ls *leases) seenAt(id xlreg.ClusterID, sum xlreg.KeySum) time.Time {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.seats[seatID{id, sum}]; l != nil && l.asked > 0 && !l.moved {
		return l.seen.Truncate(time.Second).UTC()
	}
	return time.Time{}
}

// drop forgets the lease of a seat that was gone, or another's, in the Update with this
// number.
func (ls *leases) drop(id seatID, order uint64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.seats[id]; l != nil && l.order <= order {
		ls.forget(id)
	}
}

func (ls *leases) forget(id seatID) {
	l := ls.seats[id]
	if l == nil {
		return
	}
	delete(ls.seats, id)
	ls.release(l)
	ls.wait(l, false)
	if l.place >= 0 {
		heap.Remove(&ls.queue, l.place)
	}
}

// ended returns copies of the leases that a session held whose seats go with it.
func (ls *leases) ended(s *Session) (gone []lease) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.holders[s] {
		if l.waiting {
			gone = append(gone, *l)
		}
		l.holder = nil
	}
	delete(ls.holders, s)
	return gone
}

// over returns copies of up to limit leases that have run out. They are looked at again
// after a while, in case their seats cannot be freed now.
func (ls *leases) over(limit int) (over []lease) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	now := ls.clock.Monotonic()
	for len(ls.queue) > 0 && len(over) < limit && !ls.queue[0].at.After(now) {
		l := ls.queue[0]
		l.due = later(l.due, ls.trouble.Add(l.term()))
		if l.at = l.due; !l.due.After(now) {
			over = append(over, *l)
			l.at = now.Add(leaseRetry)
		}
		heap.Fix(&ls.queue, 0)
	}
	return over
}

// still reports whether a lease is as it was: nobody has renewed it since, or is about to.
func (ls *leases) still(l *lease) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	now := ls.seats[l.seatID]
	return now != nil && ls.joins[l.sum] == 0 && now.renewals == l.renewals && now.run == l.run
}

// troubled notes that the store has failed: whoever could not be heard meanwhile has the
// whole term when it is back.
func (ls *leases) troubled() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.trouble = ls.clock.Monotonic()
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// leaseQueue is a heap of leases, by when they are looked at. One that was renewed is due
// later by then, and moves back: so to renew a lease costs no order.
type leaseQueue []*lease

func (q leaseQueue) Len() int           { return len(q) }
func (q leaseQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q leaseQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is for package heap.
func (q *leaseQueue) Push(x any) {
	l, _ := x.(*lease)
	l.place = len(*q)
	*q = append(*q, l)
}

// Pop is for package heap.
func (q *leaseQueue) Pop() any {
	last := (*q)[len(*q)-1]
	last.place = -1
	*q = (*q)[:len(*q)-1]
	return last
}
