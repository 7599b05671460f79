package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
)

const offlineHelp = "A member that has started COMMAND before keeps the roster in its node's directory. With\n" +
	"--offline it starts from that, and does not wait for the registry. With COMMAND it does so by\n" +
	"itself once the registry could not be reached for --offline-after, within --wait. It joins\n" +
	"again when the registry is back."

// offlineTime is how long a registry may be out of reach before a member starts from the
// roster that it keeps.
const offlineTime = 30 * time.Second

// settlePause is how often a machine without a route to the registry looks for one.
const settlePause = 500 * time.Millisecond

// offlineFlags are the flags of join about starts without the registry, as given.
type offlineFlags struct {
	now   bool
	after time.Duration

	late bool // not a flag: after has passed, and so it is now
}

// why says why a member starts from the roster that it keeps, and asks nobody.
func (f *offlineFlags) why() string {
	if f.late {
		return fmt.Sprintf("the registry cannot be reached for %v", f.after)
	}
	return "the registry is not asked"
}

func (f *offlineFlags) register(flags *pflag.FlagSet) {
	flags.BoolVar(&f.now, "offline", false, "start from the roster that this node keeps, and join when the registry is back")
	flags.DurationVar(&f.after, "offline-after", offlineTime, "do so by itself if the registry cannot be reached for this `TIME`; 0 means never")
}

// check refuses flags that do not go together with others.
func (f *offlineFlags) check(g *globals, j *joinFlags) error {
	switch {
	case f.after < 0:
		return cli.UsageError(fmt.Errorf("--offline-after %v: want 0, for never, or more", f.after))
	case !f.now:
		return nil
	case j.fresh:
		return cli.UsageError(errors.New("--offline starts from what was, and --fresh from what is: leave one out"))
	case j.launch.refresh:
		return cli.UsageError(errors.New("--refresh tells the registry of a new certificate, and --offline does not ask it: leave one out"))
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
		g.warn("%s: starting from %s", o.offline.why(), savedWords(saved))
		return g.resume(o, saved)
	}
	if !g.mayResume(o) {
		return g.joinAll(ctx, o, l.wait)
	}
	o.Run = newStart() // both ways: it is one start
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

// mayResume reports whether o's node may start without the registry when that does not come.
func (g *globals) mayResume(o *joining) bool {
	kept := seatsOf(o.Node, o.place.registry()).findSaved(o.place.ref)
	return o.offline.after != 0 && !o.Fresh && !g.Protocol.Classic() && kept != ""
}

// settleOrResume settles. If this machine gets no route to the registry for as long as that may
// be away, and there is a roster to start from, it does so with the addresses of that roster. It
// returns how much is left of the wait.
func (g *globals) settleOrResume(ctx context.Context, o *joining, wait time.Duration) (left time.Duration, err error) {
	patience := o.offline.after
	if !g.mayResume(o) || wait <= patience {
		return g.settleWithin(ctx, o, wait)
	}
	left, err = g.settleWithin(ctx, o, patience)
	switch {
	case !errors.Is(err, errNoWay):
		return wait - (patience - left), err
	case g.savedInNeed(o) == nil:
		return g.settleWithin(ctx, o, wait-patience)
	}
	o.offline.now, o.offline.late = true, true
	return wait, o.settleSaved()
}

// settleWithin settles. While this machine, which may have just been started, has no route to
// the registry, it tries again. It returns how much is left of the wait, and at least a moment,
// since no time at all would mean not to wait.
func (g *globals) settleWithin(ctx context.Context, o *joining, wait time.Duration) (left time.Duration, err error) {
	err = g.settle(ctx, o)
	if !errors.Is(err, errNoWay) || wait == 0 {
		return wait, err
	}
	g.note("this machine has no route to the registry yet: trying again for %v", wait)
	end := time.Now().Add(wait)
	for errors.Is(err, errNoWay) {
		if time.Now().After(end) {
			return 0, cli.Mark(err, errDeadline)
		}
		if err := pause(ctx, min(settlePause, time.Until(end))); err != nil {
			return 0, err
		}
		err = g.settle(ctx, o)
	}
	return max(time.Until(end), 1), err
}

// note says something that nobody has to do anything about.
func (g *globals) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if g.Output == "json" {
		tellJSON(g.Err, map[string]string{"note": text})
		return
	}
	fmt.Fprintln(g.Err, "xlreg:", cli.Printable(text))
}

// save keeps the roster as it is now for a start without the registry. That it cannot be kept
// is no reason to stop.
func (f *following) save() {
	if err := f.saver.refresh(); err != nil {
		f.warn("the roster is not kept for a start without the registry: %s", oneLine(err))
	}
}

// savedInNeed returns the saved roster, for a start while the registry does not answer. If it
// is of no use, savedInNeed says so and returns nil.
func (g *globals) savedInNeed(o *joining) *client.SavedRoster {
	saved, err := o.loadSaved()
	if err != nil {
		g.warn("the registry cannot be reached for %v, and this node cannot start without it: %s", o.offline.after, oneLine(err))
		return nil
	}
	return saved
}

// resume makes the node a member again, by a roster that was saved.
func (g *globals) resume(o *joining, saved *client.SavedRoster) (*client.Membership, error) {
	if o.Run == "" {
		o.Run = newStart()
	}
	options := o.FormOptions
	options.Advertise, options.Progress, options.Logger = nil, nil, nil
	news := &strangerNews{globals: g, who: o.Node.Name(), cluster: saved.Cluster.Name}
	var once sync.Once
	options.Joined = func(xlreg.Cluster) { once.Do(news.back) }
	options.Stranger = news.stranger
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

// settleSaved takes the member's addresses from the roster that the node keeps.
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

// over is called when the registry has not answered in time.
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

// heard says that the registry has answered. On nil it does nothing, as failed.
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
