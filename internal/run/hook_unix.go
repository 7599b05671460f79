//go:build unix

package run

import "context"

// hook is what is called once all programs are ready.
type hook struct {
	cancel   context.CancelFunc
	cut      func() error // why the callbacks were cut short; nil if they were not
	running  bool
	begun    bool
	finished bool
}

// awaited reports whether there are callbacks that have not been called yet.
func (h *hook) awaited(o *Options) bool { return !h.begun && (o.AfterReady != nil || o.Then != nil) }

func (h *hook) stop() {
	if h.cancel != nil {
		h.cancel()
	}
}

// startHook calls the callbacks once every program has been ready. One that somebody has
// told to end is not waited for.
func (s *supervisor) startHook() {
	h := &s.hook
	unready := func(u *unit) bool { return !u.wasReady && (u.asked == "" || u.state != StateEnded) }
	if !h.awaited(&s.o) || s.ending() || s.any(unready) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cut, h.cancel, h.running, h.begun = ctx.Err, cancel, true, true
	s.help(func() {
		s.teller.flush() // that all are ready is told before what the callbacks say
		err := s.o.callbacks(ctx)
		s.notices <- notice{hooked: true, err: err}
	})
}

func (o *Options) callbacks(ctx context.Context) error {
	if o.AfterReady != nil {
		if err := o.AfterReady(ctx); err != nil {
			return err
		}
	}
	if o.Then == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return o.Then(ctx)
}

// hooked handles the return of the callbacks. If they were cut short, something else has
// ended the run.
func (s *supervisor) hooked(err error) {
	h := &s.hook
	cut := h.cut() != nil // as when all programs have ended well meanwhile
	h.cancel()
	h.running = false
	switch {
	case s.ending() || cut:
	case s.o.Then != nil && err == nil:
		s.first, h.finished = nil, true // failures that the run went on after do not count
		s.stopAll()
	case err != nil:
		s.first, h.finished = err, true
		s.stopAll()
	}
}
