package torture

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// day is longer than any step that has to do no harm.
const day = 24 * time.Hour

// clock is one that somebody sets wrong.
type clock struct {
	stopped time.Time // when it stands still; zero: it goes
	offset  atomic.Int64
}

// Now tells the time of day alone: what was measured without it would not notice
// the steps.
func (c *clock) Now() time.Time {
	now := c.stopped
	if now.IsZero() {
		now = time.Now().Round(0)
	}
	return now.Add(time.Duration(c.offset.Load()))
}

func (c *clock) set(offset time.Duration) { c.offset.Store(int64(offset)) }

// steps are those of an hour either way.
func steps() []time.Duration { return []time.Duration{time.Hour, 0, -time.Hour, 0} }

// serveWrong runs a registry in memory by a clock.
func serveWrong(t *testing.T, c *clock, change func(*host.Config)) *inside {
	t.Helper()
	data := memory.New()
	t.Cleanup(func() { must(t, data.Close()) })
	return serve(t, func(cfg *host.Config) {
		cfg.Store, cfg.Now = data, c.Now
		if change != nil {
			change(cfg)
		}
	})
}

// stepAll steps the clock through all steps again and again until the test ends.
func stepAll(ctx context.Context, c *clock) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			c.set(steps()[i%len(steps())])
			pause, end := context.WithTimeout(ctx, 20*time.Millisecond)
			<-pause.Done()
			end()
		}
		c.set(0)
	}()
	return func() {
		cancel()
		<-done
	}
}

// The registry's clock steps all the time while members register, join, wait, leave
// and log in again, and theirs step in between: nothing is refused, lost or wrong.
func TestClockSteps(t *testing.T) {
	alongside(t)
	seed := newSeed(t)
	theirs, ours := new(clock), new(clock)
	r := serveWrong(t, ours, nil)
	w := newWorld()
	workers := newWorkers(t, w, either(9, 36), seed)
	for _, k := range workers {
		k.now = theirs.Now
	}
	defer stepAll(t.Context(), ours)()
	for range either(1, 5) {
		for _, step := range steps() {
			theirs.set(step)
			workFor(t, r.target, workers, time.Duration(either(250, 2000))*time.Millisecond)
			w.compare(t, r.target)
		}
	}
	t.Log(w)
}

// A wait lasts as long as it was to, and ends when it is over, whatever the clock
// says meanwhile.
func TestClockStepsWhileMembersWait(t *testing.T) {
	alongside(t)
	ours := new(clock)
	r := serveWrong(t, ours, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := newFormation(t, 6)
	for i := range 5 {
		f.begin(ctx, r.target, i)
	}
	until(t, "five wait", func() bool { return r.Stats().Waiting == 5 })
	before := f.ids(t, r.target)
	for _, step := range steps() {
		ours.set(step)
		if took := waitShortly(ctx, t, r); took < 250*time.Millisecond || took > time.Minute {
			t.Errorf("with the clock at %v a wait took %v", step, took)
		}
		until(t, "the five wait on alone", func() bool { return r.Stats().Waiting == 5 })
	}
	ours.set(time.Hour)
	f.begin(ctx, r.target, 5)
	must(t, f.members.Wait())
	f.check(t, before)
	joined := f.rosters[0].ByName("m5").Token.Seat.Joined
	if ahead := time.Until(joined); ahead < time.Hour-patience || ahead > time.Hour {
		t.Errorf("m5 joined at %v, which is %v from now", joined, ahead)
	}
}

// waitShortly waits for members who do not come, and returns for how long.
func waitShortly(ctx context.Context, t *testing.T, r *inside) time.Duration {
	t.Helper()
	c, err := client.Dial(ctx, r.target, client.Options{})
	must(t, err)
	defer c.Close()
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
	defer cancel()
	_, err = c.Wait(ctx, xlreg.ClusterRef{Name: "c"}, 0)
	var incomplete *client.IncompleteError
	if !errors.As(err, &incomplete) {
		t.Fatalf("a wait for nobody ended with %v", err)
	}
	return time.Since(began)
}

// Who has used up what one address may make has to wait as long as ever when the
// clock goes back, not an hour more; a step forward makes nobody's share larger
// than it can be.
func TestClockStepsAndLimits(t *testing.T) {
	alongside(t)
	const share = 6
	ours := &clock{stopped: time.Now().Round(0)}
	r := serveWrong(t, ours, func(cfg *host.Config) { cfg.Limits = guard.Limits{LoopbackPerMinute: share} })
	for _, step := range []time.Duration{0, time.Hour, 2 * time.Hour} {
		ours.set(step)
		for range share {
			must(t, registerNew(t, r))
		}
		wantTooMany(t, registerNew(t, r))
	}
	ours.set(time.Hour)
	retry := wantTooMany(t, registerNew(t, r))
	ours.set(time.Hour + retry + time.Second)
	must(t, registerNew(t, r))
	wantTooMany(t, registerNew(t, r))
}

// wantTooMany returns when to come back.
func wantTooMany(t *testing.T, err error) time.Duration {
	t.Helper()
	retry := xlreg.RetryAfter(err)
	if !errors.Is(err, xlreg.ErrTooManyRequests) || retry <= 0 || retry > time.Minute {
		t.Fatalf("got %v, to be tried again in %v", err, retry)
	}
	return retry
}

func registerNew(t *testing.T, r *inside) error {
	t.Helper()
	k := newWorkers(t, newWorld(), 1, 0)[0]
	c, err := client.Dial(t.Context(), r.target, client.Options{Node: k.node})
	must(t, err)
	defer c.Close()
	_, err = c.Register(t.Context())
	return err
}

// How far a client's clock may be from the registry's: an hour beyond the dates of
// the registry's certificate. Past that the client says so when its time is up: until then
// the clock may be set. A registry whose clock was wrong is believed as soon as it is set
// right.
func TestClockAndTheRegistrysCertificate(t *testing.T) {
	alongside(t)
	ours := new(clock)
	r := serveWrong(t, ours, nil)
	for _, c := range []struct {
		registry, client time.Duration
		want             string // what the error says; empty: none
	}{
		{0, -day - 50*time.Minute, ""},
		{0, -day - 70*time.Minute, "behind the registry"},
		{0, 6*day + 50*time.Minute, ""},
		{0, 6*day + 70*time.Minute, "ahead of the registry"},
		{0, time.Hour, ""},
		{0, -time.Hour, ""},
		{time.Hour, -time.Hour, ""},
		{-time.Hour, time.Hour, ""},
		{8 * day, 0, "behind the registry"},
		{0, 0, ""},
		{-8 * day, 0, "ahead of the registry"},
		{0, 0, ""},
		{8 * day, 8 * day, ""},
	} {
		ours.set(c.registry)
		err := dialAt(t, r, c.client, c.want == "")
		refused := errors.Is(err, session.ErrClock)
		if refused != (c.want != "") || err == nil && refused || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("registry at %v, client at %v: %v, want %q", c.registry, c.client, err, c.want)
		}
	}
}

// dialAt dials with a clock that is off, for a moment only where that is to fail.
func dialAt(t *testing.T, r *inside, offset time.Duration, succeed bool) error {
	t.Helper()
	theirs := new(clock)
	theirs.set(offset)
	limit := 5 * time.Second // within which one handshake comes to its end on a busy machine, too
	if succeed {
		limit = patience
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := client.Dial(ctx, r.target, client.Options{Now: theirs.Now})
	if err == nil {
		c.Close()
	}
	return err
}

// Members whose clocks differ by an hour speak TLS with each other. One whose clock
// shows a time at which the other's certificate is not valid says which and when;
// one whose own has expired shows a new one.
func TestClockAndTheMembersCertificates(t *testing.T) {
	alongside(t)
	r := serveWrong(t, new(clock), nil)
	var clocks [2]clock
	members := formByClocks(t, r, &clocks)
	for _, c := range []struct {
		name          string
		first, second time.Duration
		want          string
	}{
		{"right", 0, 0, ""},
		{"one ahead", time.Hour - time.Minute, 0, ""},
		{"one behind", -time.Hour + time.Minute, 0, ""},
		{"both ahead", time.Hour, time.Hour, ""},
		{"both behind", -time.Hour + time.Minute, -time.Hour + time.Minute, ""},
		{"one a year behind", -365 * day, 0, `certificate of "m1" is not valid before`},
		{"one a year ahead", 365 * day, 0, `certificate of "m1" expired at`},
		{"both a year ahead", 365 * day, 365 * day, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			clocks[0].set(c.first)
			clocks[1].set(c.second)
			err := handshake(t, members[0], members[1])
			refused := errors.Is(err, client.ErrPeerRefused)
			if refused != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// formByClocks forms a cluster of two, each by its own clock and with its own key.
func formByClocks(t *testing.T, r *inside, clocks *[2]clock) [2]*client.Membership {
	t.Helper()
	var members [2]*client.Membership
	done := make(chan error, len(members))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := newFormation(t, len(members))
	for i, node := range f.nodes {
		go func() (err error) {
			defer func() { done <- err }()
			members[i], err = client.Form(ctx, r.target, client.FormOptions{
				Options: client.Options{Node: node, Now: clocks[i].Now},
				Cluster: xlreg.ClusterRef{Name: "c"}, Size: len(members),
			})
			return err
		}()
	}
	must(t, errors.Join(<-done, <-done))
	return members
}

// handshake has two members shake hands, and returns what the one who calls says.
func handshake(t *testing.T, caller, called *client.Membership) error {
	t.Helper()
	callerConfig, err := caller.TLSConfig()
	must(t, err)
	calledConfig, err := called.TLSConfig()
	must(t, err)
	near, far := net.Pipe()
	defer near.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		_ = tls.Server(far, calledConfig).HandshakeContext(t.Context()) // the caller's word counts
	}()
	err = tls.Client(near, callerConfig).HandshakeContext(t.Context())
	near.Close()
	<-done
	return err
}
