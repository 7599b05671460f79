package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
)

// control lets others look at a run, and say what is to be done with it, from the moment on
// when it has its directory. It hears what happens, and passes it on to those who watch.
type control struct {
	runShow
	commands chan run.Command
	ended    chan struct{}  // closed when no commands are taken any more
	close    func() error   // closes ended; it may be called again
	signals  chan os.Signal // tell the programs to end
	dead     chan struct{}  // closed when the first program has died for good

	mu     sync.Mutex
	cancel context.CancelFunc // ends the run before its programs have begun; guarded by mu, as is all below
	begun  bool               // the programs are about to start, and take commands
	status rundir.Status
	death  error // of the first program that died; nil until then
}

// beControlled begins to answer those who ask about the run, and to watch whether it is to
// end: then the context ends, too.
func (r *clusterRun) beControlled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	c := &control{
		runShow: r.newShow(), commands: make(chan run.Command), ended: make(chan struct{}),
		signals: make(chan os.Signal, 1), dead: make(chan struct{}), cancel: cancel,
	}
	c.close = sync.OnceValue(func() error {
		close(c.ended)
		cancel()
		return nil
	})
	r.onClose(c.close)
	c.status = rundir.Status{PID: os.Getpid(), Cluster: string(r.o.ref().Name), Started: time.Now()}
	if r.o.plan.Recipe != nil {
		c.status.Recipe = r.o.plan.Recipe.Name
	}
	for i, m := range r.o.plan.Members {
		c.status.Members = append(c.status.Members, rundir.Member{
			Name: string(r.o.name(i)), Index: i, Role: m.Role, State: stateForming, Since: c.status.Started,
		})
	}
	r.control, r.show = c, c
	r.keeper.Serve(c)
	r.watch()
	return ctx
}

// stateForming is that of a member which has no seat yet, to those who ask; stateJoined comes
// next.
const stateForming = "forming"

// watch ends the run when its directory is gone, or when whoever has detached it died before
// it was ready.
func (r *clusterRun) watch() {
	if r.temp != nil {
		return
	}
	var left <-chan struct{} // nil: nobody can
	if r.o.life.isDetached() {
		left = r.o.life.starter.Gone()
	}
	ctx, cancel := context.WithCancel(context.Background())
	gone := r.keeper.Gone(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-gone:
			r.warn("%s is gone: the run ends", r.dir)
		case <-left:
		case <-ctx.Done():
			return
		}
		r.control.stop()
	})
	r.onClose(func() error {
		cancel()
		watcher.Wait()
		return nil
	})
}

// stop ends the run, wherever it is.
func (c *control) stop() {
	if !c.interrupt() {
		c.signals <- syscall.SIGTERM // has room: this is called once
	}
}

// interrupt ends a run whose programs have not begun, and reports whether it is one.
func (c *control) interrupt() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun {
		return false
	}
	c.cancel()
	return true
}

// at implements runShow.
func (c *control) at(index int, endpoints []string) {
	c.mu.Lock()
	c.status.Members[index].Endpoints = endpoints
	c.mu.Unlock()
	c.runShow.at(index, endpoints)
}

// joined implements runShow.
func (c *control) joined(index int) {
	c.mu.Lock()
	m := &c.status.Members[index]
	m.State, m.Since = stateJoined, time.Now()
	c.mu.Unlock()
	c.runShow.joined(index)
}

// begin says that the cluster has formed, and that its programs take commands from now on.
func (c *control) begin(cluster string, members []*runMember) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	c.status.Cluster = cluster
	for i, m := range members {
		one := &c.status.Members[i]
		one.Index, one.State, one.Since = m.data.Self.Index, string(run.StateWaiting), time.Now()
		one.Endpoints = texts(m.data.Self.Endpoints)
		if m.log != nil {
			one.Log = m.log.Path()
		}
	}
}

// tell implements runShow: it notes what has happened to a program.
func (c *control) tell(e run.Event) {
	c.mu.Lock()
	m := &c.status.Members[e.Index]
	m.State, m.PID, m.Since, m.Restarts = string(e.State), e.PID, e.At, e.Restarts
	if e.State == run.StateEnded && e.Err == nil {
		e.Err = endedBy(&e)
	}
	if e.Err != nil {
		m.Why = oneLine(e.Err)
	}
	if e.State == run.StateEnded && e.Err != nil && c.death == nil {
		c.death = e.Err
		close(c.dead)
	}
	c.mu.Unlock()
	c.runShow.tell(e)
}

// whileAllLive runs what --after-ready has, which may wait for each program, and cuts it short
// when one of them dies for good, though the others go on.
func (c *control) whileAllLive(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-c.dead:
			cancel()
		case <-ctx.Done():
		}
	})
	err := do(ctx)
	cancel()
	watcher.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, context.Canceled) && c.death != nil {
		return fmt.Errorf("--after-ready is cut short: %w", c.death)
	}
	return err
}

// endedBy says by which command a member was ended; nil if it ended by itself, or with the
// whole run.
func endedBy(e *run.Event) error {
	switch e.Do {
	case run.DoKill:
		return fmt.Errorf("%s was ended by 'xlreg kill'", e.Name)
	case run.DoStop:
		return fmt.Errorf("%s was stopped by 'xlreg stop'", e.Name)
	}
	return nil
}

// Status implements rundir.Controlled.
func (c *control) Status() rundir.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Members = slices.Clone(s.Members)
	return s
}

var (
	errRunEnds = errors.New("the run ends") // and takes no orders any more
	errForming = errors.New("no member has started: the cluster is still forming")
)

// Obey implements rundir.Controlled.
func (c *control) Obey(ctx context.Context, o rundir.Order) error {
	isStop := o.Do == string(run.DoStop) && o.Name == ""
	switch {
	case isStop && c.interrupt():
		return nil
	case !c.hasBegun():
		return errForming
	}
	done := make(chan error, 1)
	command := run.Command{Do: run.Do(o.Do), Name: o.Name, Done: done}
	if o.Signal != 0 {
		command.Signal = syscall.Signal(o.Signal)
	}
	select {
	case c.commands <- command:
	case <-c.ended:
		return errRunEnds
	case <-ctx.Done():
		return errRunEnds
	}
	select {
	case err := <-done:
		return err
	case <-c.ended:
		return errRunEnds
	case <-ctx.Done():
		return errRunEnds
	}
}

func (c *control) hasBegun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}
