package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
)

const offlineHelp = "A member that has joined before keeps the roster in its node's directory. With --offline it\n" +
	"starts from that, and does not wait for the registry; without, it does so when the registry\n" +
	"cannot be reached for --offline-after. It joins again as soon as the registry is back."

// offlineTime is how long a registry may be out of reach until a member starts from the
// roster that it keeps.
const offlineTime = 30 * time.Second

// offlineFlags are the flags of join about starts without the registry, as given.
type offlineFlags struct {
	now   bool
	after time.Duration
}

func (f *offlineFlags) register(flags *pflag.FlagSet) {
	flags.BoolVar(&f.now, "offline", false, "start from the roster that this node keeps, and join when the registry is there")
	flags.DurationVar(&f.after, "offline-after", offlineTime, "start from it if the registry cannot be reached for this `TIME`; 0 is never")
}

// check holds the flags against the others.
func (f *offlineFlags) check(g *globals, j *joinFlags) error {
	switch {
	case f.after < 0:
		return cli.UsageError(fmt.Errorf("--offline-after %v: want 0, for never, or more", f.after))
	case !f.now:
		return nil
	case j.fresh:
		return cli.UsageError(errors.New("--offline starts from what was, and --fresh from what is: leave one away"))
	case j.launch.refresh:
		return cli.UsageError(errors.New("--refresh tells the registry of a new certificate, and --offline does not ask it: leave one away"))
	case g.Protocol.Classic():
		return cli.UsageError(fmt.Errorf("--offline: %w", client.ErrNeeds20))
	}
	return nil
}

// printSaved shows the roster that the node keeps, as join shows the registry's.
func (g *globals) printSaved(ctx context.Context, o *joining, l *joinLaunch) (err error) {
	if o.Node, err = g.openNodeFor(ctx, o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Node.Close()) }()
	saved, err := o.loadSaved()
	if err != nil {
		return err
	}
	g.warn("the registry was not asked: this is %s", savedWords(saved))
	return g.printJoined(saved.Roster, o.place.registry(), o, l)
}

// openNodeFor opens the node that joins. Without the registry it has to be there already.
func (g *globals) openNodeFor(ctx context.Context, o *joining) (*identity.Node, error) {
	if o.offline.now {
		return g.openOldNode()
	}
	return g.openNode(ctx)
}

// joinOrResume joins and waits for the others, or starts from the saved roster: at once, or
// when the registry is away for too long.
func (g *globals) joinOrResume(ctx context.Context, o *joining, l *joinLaunch) (*client.Membership, error) {
	if o.offline.now {
		saved, err := o.loadSaved()
		if err != nil {
			return nil, err
		}
		g.warn("the registry is not asked: starting from %s", savedWords(saved))
		return g.resume(o, saved)
	}
	kept := seatsOf(o.Node, o.place.registry()).findSaved(o.place.ref)
	if o.offline.after == 0 || o.Fresh || g.Protocol.Classic() || kept == "" {
		return g.joinAll(ctx, o, l.wait)
	}
	o.Run = freshRun() // both ways: it is one start
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.away = newAway(o.offline.after, func() *client.SavedRoster { return g.savedInNeed(o) }, cancel)
	m, err := g.joinAll(ctx, o, l.wait)
	if saved := o.away.end(); saved != nil && err != nil {
		g.warn("the registry cannot be reached for %v: starting from %s", o.offline.after, savedWords(saved))
		return g.resume(o, saved)
	}
	return m, err
}

// note tells of something that needs nobody's care.
func (g *globals) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if g.Output == "json" {
		tellJSON(g.Err, map[string]string{"note": text})
		return
	}
	fmt.Fprintln(g.Err, "xlreg:", strings.Map(printable, text))
}

// save keeps the roster as it is now for a start without the registry. That it cannot be kept
// is no reason to stop.
func (f *following) save() {
	if err := f.saver.refresh(); err != nil {
		f.warn("the roster is not kept for a start without the registry: %s", oneLine(err))
	}
}

func freshRun() xlreg.Run {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return xlreg.Run(b[:])
}

// savedInNeed returns the saved roster for a registry that does not come, and nil, with a
// warning, if it is of no use.
func (g *globals) savedInNeed(o *joining) *client.SavedRoster {
	saved, err := o.loadSaved()
	if err != nil {
		g.warn("the registry cannot be reached for %v, and there is no start without it: %s", o.offline.after, oneLine(err))
		return nil
	}
	return saved
}

// resume makes the node a member again by a roster of before.
func (g *globals) resume(o *joining, saved *client.SavedRoster) (*client.Membership, error) {
	if o.Run == "" {
		o.Run = freshRun()
	}
	options := o.FormOptions
	options.Advertise, options.Progress, options.Logger = nil, nil, nil
	var once sync.Once
	options.Joined = func(c xlreg.Cluster) {
		once.Do(func() { g.note("the registry is back, and %s follows %s again", o.Node.Name(), c.Name) })
	}
	m, err := client.Resume(o.place.target, saved, options)
	if err != nil {
		return nil, err
	}
	c := m.Cluster()
	err = seatsOf(o.Node, o.place.registry()).write(&c, &keptSeat{
		Run: hex.EncodeToString([]byte(o.Run)), LeaseMillis: o.Lease.Milliseconds(), Labels: o.Labels,
	})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// settleSaved takes the addresses of the roster that the node keeps for its own.
func (o *joining) settleSaved() error {
	saved, err := o.loadSaved()
	if err != nil {
		return err
	}
	o.Advertise = saved.Self.Token.Endpoints
	if len(o.listen) > len(o.Advertise) {
		return errTooManyListen(len(o.listen), len(o.Advertise))
	}
	seen := make([]xlreg.Endpoint, len(o.Advertise))
	copy(seen, o.Advertise)
	for i, a := range o.given {
		if a.host == observedHost {
			seen[i] = xlreg.Endpoint(observedHost + ":" + a.port)
		}
	}
	o.listen = listenWhereObserved(o.listen, seen)
	return nil
}

// away notices that a registry cannot be reached for some time.
type away struct {
	patience time.Duration
	cancel   context.CancelFunc
	load     func() *client.SavedRoster

	mu    sync.Mutex // guards all below
	timer *time.Timer
	up    bool // the registry has answered, and has not failed since
	ended bool
	saved *client.SavedRoster // what to start from; nil: nothing
}

// newAway begins to wait for the registry. It must be ended. When the patience is over it
// calls load, and then cancel if there is something to start from.
func newAway(patience time.Duration, load func() *client.SavedRoster, cancel context.CancelFunc) *away {
	a := &away{patience: patience, load: load, cancel: cancel}
	a.timer = time.AfterFunc(patience, func() { a.over() })
	return a
}

// over is for a registry that has not come.
func (a *away) over() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.up {
		return
	}
	if a.saved = a.load(); a.saved != nil {
		a.cancel()
	}
}

// heard says that the registry has answered. A nil away does not care.
func (a *away) heard() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.up = true
	a.timer.Stop()
}

// failed says that something has to be tried again. An error that the registry has sent is
// a sign of life like any other.
func (a *away) failed(err error) {
	if a == nil {
		return
	}
	if _, answered := xlreg.KindOf(err); answered {
		a.heard()
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.up && !a.ended {
		a.up = false
		a.timer.Reset(a.patience)
	}
}

// end stops waiting, and returns what to start from.
func (a *away) end() *client.SavedRoster {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.timer.Stop()
	return a.saved
}
