package overview

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// How many changes are known, how many a follower is told at once, and how long changes
// are gathered after others were told. The first after a silence is told at once.
const (
	ringLen  = 1 << 13
	batchLen = 512
	gather   = 100 * time.Millisecond
)

// news is the last changes, in the order in which they came. What is told is the newest
// state of each cluster: an earlier change of the same one is forgotten. So a reader who
// is slow costs nothing but reads less.
type news struct {
	boot string // differs from one run of the program to the next
	seq  uint64 // of the last change
	told uint64 // of the last change that followers are told
	lost uint64 // changes up to this one are not known any more
	ring []change
	wake chan struct{} // closed when told has grown

	// What those who follow at the same pace are told is made for the first of them.
	from, to uint64
	batch    []api.Change
}

// change is a cluster that has changed, or is gone.
type change struct {
	cluster *entry // nil if it is gone, or if a later change is known
	gone    string // the ID of one that is gone
}

func newNews() news {
	var boot [4]byte
	rand.Read(boot[:]) // never fails
	return news{boot: hex.EncodeToString(boot[:]), ring: make([]change, ringLen), wake: make(chan struct{})}
}

func (n *news) at(seq uint64) *change { return &n.ring[seq%ringLen] }

func (n *news) add(e *entry) {
	e.seq = n.next()
	*n.at(e.seq) = change{cluster: e}
}

func (n *news) addGone(id string) { *n.at(n.next()) = change{gone: strings.Clone(id)} }

func (n *news) next() uint64 {
	n.seq++
	if n.seq-n.lost > ringLen {
		n.lost = n.seq - ringLen
	}
	return n.seq
}

// forget drops a change that a later one makes superfluous. It is told all the same if it
// is in a batch that has been made already.
func (n *news) forget(seq uint64) {
	if seq > n.lost {
		*n.at(seq) = change{}
	}
}

// restart makes every revision unknown that there has been.
func (n *news) restart() {
	n.seq++
	n.lost, n.batch = n.seq, nil
	clear(n.ring)
	n.tell()
}

// tell wakes those who follow.
func (n *news) tell() {
	n.told = n.seq
	close(n.wake)
	n.wake = make(chan struct{})
}

func (n *news) revision(seq uint64) string { return n.boot + "-" + strconv.FormatUint(seq, 10) }

// parse returns which change a revision comes after; false if it is of another run, or of
// none that there has been.
func (n *news) parse(revision string) (seq uint64, ok bool) {
	boot, text, _ := strings.Cut(revision, "-")
	seq, err := strconv.ParseUint(text, 10, 64)
	return seq, err == nil && boot == n.boot && seq <= n.seq && text == strconv.FormatUint(seq, 10)
}

// after returns what is told after a change, and up to which one that is.
func (n *news) after(seq uint64) (changes []api.Change, upTo uint64) {
	if seq >= n.told {
		return nil, seq
	}
	if n.batch == nil || n.from != seq || n.to < n.told && len(n.batch) < batchLen {
		n.makeBatch(seq)
	}
	return n.batch, n.to
}

func (n *news) makeBatch(seq uint64) {
	n.from, n.to, n.batch = seq, seq, make([]api.Change, 0, min(batchLen, n.told-seq))
	for n.to < n.told && len(n.batch) < batchLen {
		n.to++
		c := n.at(n.to)
		told := api.Change{Revision: n.revision(n.to)}
		switch {
		case c.cluster != nil:
			brief := c.cluster.brief()
			told.Cluster = &brief
		case c.gone != "":
			told.Gone = hex.EncodeToString([]byte(c.gone))
		default:
			continue
		}
		n.batch = append(n.batch, told)
	}
}

// hurry has the news told soon. mu is held.
func (o *Overview) hurry() {
	select {
	case o.pace <- struct{}{}:
	default: // it is due already
	}
}

// tell wakes those who follow when there are news for them, until ctx ends.
func (o *Overview) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.pace:
		}
		o.mu.Lock()
		o.news.tell()
		o.mu.Unlock()
		pause(ctx, gather)
	}
}

// Revision changes with each change of a cluster.
func (o *Overview) Revision() string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.news.revision(o.news.seq)
}

// look is what a follower finds out at once.
type look struct {
	changes []api.Change
	upTo    uint64
	unknown bool // what came after the revision is not known
	wake    <-chan struct{}
}

func (o *Overview) look(seq uint64) look {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := look{upTo: o.news.seq, unknown: seq < o.news.lost, wake: o.news.wake}
	if !l.unknown {
		l.changes, l.upTo = o.news.after(seq)
	}
	return l
}

// Follow is for admin.Watcher. Those who follow at the same pace are given the same slice,
// which nobody may change.
func (o *Overview) Follow(ctx context.Context, since string, f func(restart bool, changes []api.Change) error) error {
	o.ask()
	if err := o.wait(ctx, o.loaded); err != nil {
		return err
	}
	o.mu.RLock()
	at, known := o.news.parse(since)
	o.mu.RUnlock()
	for {
		l := o.look(at)
		restart := l.unknown || !known
		if restart {
			l = o.newest()
		}
		moved := l.upTo != at
		known, at = true, l.upTo
		switch {
		case restart || len(l.changes) > 0:
			if err := f(restart, l.changes); err != nil {
				return err
			}
		case !moved:
			if err := o.wait(ctx, l.wake); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// newest is where a follower begins who is to read everything anew.
func (o *Overview) newest() look {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return look{upTo: o.news.seq, wake: o.news.wake}
}

// wait waits until a channel is closed.
func (o *Overview) wait(ctx context.Context, closed <-chan struct{}) error {
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-o.done:
		return fmt.Errorf("%w: the registry is stopping", api.ErrUnavailable)
	}
}

// Wait is for admin.Watcher.
func (o *Overview) Wait(ctx context.Context, since string, limit time.Duration) error {
	o.ask()
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		l := o.newest()
		if o.Revision() != since || limit <= 0 {
			return nil
		}
		if err := o.wait(timed, l.wake); err != nil {
			if timed.Err() != nil {
				return ctx.Err() // nil if just the time is over
			}
			return err
		}
	}
}
