package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

const (
	shortestWait  = 50 * time.Millisecond  // with less time than this left, it is up
	longestMargin = 250 * time.Millisecond // for the answer to arrive before the deadline
	early         = time.Second            // an answer sooner than this may be a server's that cannot wait
	longestFirst  = 5 * time.Second        // of the first request of a wait
	pollFirst     = 50 * time.Millisecond
	pollMost      = time.Second
	sparingFirst  = time.Second     // see FormOptions.Sparing
	sparingPause  = 5 * time.Second // likewise
)

// errSizeUnknown is for the clusters of original servers, which tell the size in
// answer to Create and Join only.
var errSizeUnknown = errors.New("size of the cluster is not known: say how many members to wait for")

// Members returns who is in the cluster now, verified. The zero ref is the
// cluster of this session's last Create or Join. Over 2.0 anyone may ask; over a
// classic carrier the node has to have registered or logged in.
func (c *Client) Members(ctx context.Context, ref xlreg.ClusterRef) (*Roster, error) {
	ref = clusterNamed(ref, c.ticket)
	return call(ctx, c, "get members of "+refText(ref), func() (*Roster, error) { return c.members(ctx, ref) })
}

func (c *Client) members(ctx context.Context, ref xlreg.ClusterRef) (*Roster, error) {
	received, err := c.receive(ctx, wire.GetRequest{Ref: ref, Which: xlreg.AllSeats()}, nil, c.silence)
	if err != nil {
		return nil, err
	}
	return c.verify(received)
}

func (c *Client) verify(r *received) (*Roster, error) {
	return c.verifier.verify(r, c.pinned[r.Cluster.ID])
}

// Wait returns the verified roster as soon as the cluster has size members, or
// if size is 0 as many as it is made for. If ctx ends first the error is an
// *IncompleteError that says who has joined.
//
// It takes one request that the registry answers when it is time, and after five seconds
// another every twenty: a registry that is gone without a word is noticed by its silence.
// They ask for new members only, and the last one for all. A server that
// answers at once, as those before 2.0 do, is asked again after pauses that grow
// from 50 milliseconds to a second.
func (c *Client) Wait(ctx context.Context, ref xlreg.ClusterRef, size int) (*Roster, error) {
	w := waiter{c: c, ref: clusterNamed(ref, c.ticket), size: size}
	return w.wait(ctx)
}

// waiter is one wait for a cluster's members.
type waiter struct {
	c    *Client
	ref  xlreg.ClusterRef
	size int           // 0: the cluster's
	seen func(*Roster) // told of each roster with other members; nil to be told of none

	sparing bool      // see FormOptions
	quiet   time.Time // until when nothing is asked for the sake of seen alone; zero: now

	check func(*Roster) error // of each roster: an error ends the wait; nil: none does
	epoch *uint64             // another one ends the wait, with errEpochMoved; nil: none does

	last *Roster
	poll backoff
}

func (w *waiter) wait(ctx context.Context) (*Roster, error) {
	if err := w.until(ctx); err != nil {
		return nil, fmt.Errorf("wait for %s: %w", refText(w.ref), err)
	}
	return w.last, nil
}

// until waits until the members are there, or returns an *IncompleteError when the
// time is up.
func (w *waiter) until(ctx context.Context) error {
	err := w.run(ctx)
	if err != nil && (ctx.Err() != nil || errors.Is(err, errTimeUp)) {
		return &IncompleteError{Roster: w.last, Size: w.size, Err: endOf(ctx), Index: -1, Heard: w.c.lastHeard()}
	}
	return err
}

func (w *waiter) run(ctx context.Context) error {
	if err := w.c.begin(ctx); err != nil {
		return err
	}
	defer w.c.done()
	w.poll = backoff{first: pollFirst, most: pollMost}
	w.keepQuiet(sparingFirst)
	for !w.complete() {
		if err := w.ask(ctx); err != nil {
			return err
		}
		if left, bounded := timeLeft(ctx); !w.complete() && bounded && left < shortestWait {
			return errTimeUp
		}
	}
	return nil
}

func (w *waiter) complete() bool { return w.last != nil && len(w.last.Members) >= w.size }

// look asks who is there already, without waiting.
func (w *waiter) look(ctx context.Context) error {
	roster, err := w.c.Members(ctx, w.ref)
	if err != nil {
		return err
	}
	if err := w.settleSize(&roster.Cluster); err != nil {
		return err
	}
	w.last = roster
	w.seen(roster)
	return nil
}

// errEpochMoved ends a wait for members of one epoch when another one has begun.
var errEpochMoved = errors.New("another epoch has begun")

// errTimeUp ends a wait whose deadline is so near that asking again is no use.
var errTimeUp = errors.New("time is up")

// endOf returns ctx's error; a wait that ends just before the deadline ends as
// one that did at it.
func endOf(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.DeadlineExceeded
}

// ask makes one waiting request. An answer that is both early and short of what
// was asked for came from a server that cannot wait, or will not any more since
// it is about to stop: after those there is a pause, shorter when there is news.
func (w *waiter) ask(ctx context.Context) error {
	get, patience := w.request(ctx)
	began := time.Now()
	received, err := w.c.receive(ctx, get, w.last, patience+w.c.slack())
	if err != nil {
		return err
	}
	waited := time.Since(began) >= min(early, patience/2)
	if err := w.settleSize(&received.Cluster); err != nil {
		return err
	}
	if w.c.protocol.Classic() && get.Which != xlreg.AllSeats() {
		if received, err = w.join(ctx, received); err != nil {
			return err
		}
	}
	news, err := w.keep(received)
	if err != nil || len(w.last.Members) >= min(int(*get.WaitSize), w.size) {
		return err
	}
	if news || waited {
		w.poll.reset()
	}
	if waited {
		return nil
	}
	return w.poll.pause(ctx, 0)
}

// join adds, over a classic carrier, the members received to those known. A member may have come back meanwhile
// with other endpoints, or left, so once everybody seems to be there all are asked for
// again.
func (w *waiter) join(ctx context.Context, received *received) (*received, error) {
	known := make([]xlreg.Member, len(w.last.Members))
	for i := range known {
		known[i] = w.last.Members[i].Member
	}
	received.Members = merge(known, received.Members)
	if len(received.Members) < w.size {
		return received, nil
	}
	return w.c.receive(ctx, wire.GetRequest{Ref: w.ref, Which: xlreg.AllSeats()}, nil, w.c.silence)
}

// settleSize fills in the size if it was not given, and refuses one that the
// cluster can never have.
func (w *waiter) settleSize(cluster *xlreg.Cluster) error {
	if w.size == 0 {
		w.size = cluster.MaxSize
	}
	if w.size == 0 {
		return errSizeUnknown
	}
	if cluster.MaxSize > 0 && w.size > cluster.MaxSize {
		return checkSize(cluster, w.size)
	}
	return nil
}

// keepQuiet puts off, if that is wanted, what is asked for the sake of seen alone.
func (w *waiter) keepQuiet(pause time.Duration) {
	if w.sparing {
		w.quiet = time.Now().Add(pause)
	}
}

// request asks to wait for everybody; if someone wants to be told on the way,
// at once and then for one more than there were, but not while it keeps quiet. Members that
// are known are not asked for again: in a large cluster on a slow line that alone would fill
// the line.
func (w *waiter) request(ctx context.Context) (wire.GetRequest, time.Duration) {
	size := uint32(w.size)
	if w.size == 0 {
		size = xlreg.MaxClusterSize // the server lowers it to the cluster's size
	}
	most := w.c.longestWait()
	quiet := time.Until(w.quiet)
	switch {
	case w.seen != nil && quiet > 0:
		most = min(most, max(quiet, shortestWait))
	case w.seen != nil:
		size = min(size, uint32(w.count()+1))
	}
	if w.last == nil {
		most = min(most, longestFirst) // it shows that the node is in, and with which index
	}
	patience := waitTime(ctx, most)
	millis := uint32(patience.Milliseconds())
	return wire.GetRequest{Ref: w.ref, Which: w.unknown(), Wait: true, WaitSize: &size, WaitMillis: &millis, WaitEpoch: w.epoch}, patience
}

// unknown returns the seats of which nobody is known. Original servers are asked for all,
// as ever.
func (w *waiter) unknown() xlreg.Seats {
	seats := xlreg.AllSeats()
	if w.last == nil || w.c.original {
		return seats
	}
	for i := range w.last.Members {
		seats = seats.Without(w.last.Members[i].Index)
	}
	return seats
}

func (w *waiter) count() int {
	if w.last == nil {
		return 0
	}
	return len(w.last.Members)
}

// keep verifies what was received, and reports whether it shows other members
// than before.
func (w *waiter) keep(received *received) (news bool, err error) {
	if w.epoch != nil && received.State.Epoch != *w.epoch {
		return false, errEpochMoved
	}
	roster, err := w.c.verify(received)
	if err != nil {
		return false, err
	}
	if w.check != nil {
		if err := w.check(roster); err != nil {
			return false, err
		}
	}
	first := w.last == nil
	news = w.count() != len(roster.Members)
	w.last = roster
	if w.seen != nil && (news || first) {
		w.seen(roster)
		w.keepQuiet(sparingPause)
	}
	return news, nil
}

// longestWait returns how long one request may wait, of the time after which a registry
// that is silent is taken for gone: the rest is for the answer to arrive on a slow line.
// Where the seat has a lease, less than a third of that, since requests renew it.
func (c *Client) longestWait() time.Duration {
	most := longest(c.silence)
	if c.lease > 0 {
		most = min(most, c.lease*3/10)
	}
	return most
}

// longest is longestWait without a lease.
func longest(silence time.Duration) time.Duration { return silence * 2 / 3 }

// shortestSlack is how long an answer may be under way at least.
const shortestSlack = 500 * time.Millisecond

// slack returns how long after the end of a wait its answer may come. With a lease there
// has to be time left then to find the registry anew.
func (c *Client) slack() time.Duration {
	slack := c.silence / 3
	if c.lease > 0 {
		slack = min(slack, max(c.lease/5, shortestSlack))
	}
	return slack
}

// waitTime returns how long a request that begins now may wait: so long that the
// answer arrives while ctx lasts, and no longer than most.
func waitTime(ctx context.Context, most time.Duration) time.Duration {
	left, bounded := timeLeft(ctx)
	if !bounded {
		return most
	}
	return min(max(0, left-min(left/8, longestMargin)), most)
}

func timeLeft(ctx context.Context) (left time.Duration, bounded bool) {
	deadline, bounded := ctx.Deadline()
	return time.Until(deadline), bounded
}
