package client

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// How long to wait until a registry is looked for again at whose address somebody else
// answers. That may be for hours, and that one has done nothing to be asked all the time.
const (
	strangerFirstPause = time.Second
	strangerMostPause  = 30 * time.Second
)

// isStranger reports whether a session failed with err because somebody else than the registry
// answers at its address, or at one of them, and at none the registry itself. What the registry
// says once it has proved its identity is another matter.
func isStranger(err error) bool {
	return errors.Is(err, ErrUntrusted) || errors.Is(err, ErrNotARegistry)
}

// strangers are those who answer at the address of a registry that a client was with before,
// because the address was given to another machine, for example. A new client is told so and
// stops. This one goes on: otherwise whoever has the address for a second would rid the
// registry of everybody who follows it.
type strangers struct {
	log     *slog.Logger
	cluster string
	tell    func(error)   // see FormOptions.Stranger; may be nil
	lease   time.Duration // of the client's seat; 0: none

	met    bool // somebody else has answered since the registry last did
	pauses backoff
}

// outlast does something until it succeeds, ctx ends, or it fails for another reason than that
// somebody else answers, which counts only while known reports that the registry was there
// before.
func (s *strangers) outlast(ctx context.Context, known func() bool, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || !isStranger(err) || !known() {
			return err
		}
		s.meet(err)
		s.pauses.most = s.mostPause()
		if s.pauses.pause(ctx, 0) != nil {
			return err
		}
	}
}

func always() bool { return true }

// mostPause is the longest pause. A registry that is started again gives each lease a whole
// term, in which the client has to come back.
func (s *strangers) mostPause() time.Duration {
	if s.lease == 0 {
		return strangerMostPause
	}
	return max(strangerFirstPause, min(strangerMostPause, s.lease/3))
}

// meet tells of whoever answers, once until the registry is back.
func (s *strangers) meet(err error) {
	if s.met {
		return
	}
	s.met, s.pauses = true, backoff{first: strangerFirstPause}
	s.log.Warn("somebody else answers at the registry's address, which is tried again now and then",
		"cluster", s.cluster, "err", err)
	if s.tell != nil {
		s.tell(err)
	}
}

// gone is called when the registry has proved its identity. Whoever has been warned is told so
// as loudly.
func (s *strangers) gone() {
	if !s.met {
		return
	}
	s.met = false
	s.log.Warn("the registry answers at its address again", "cluster", s.cluster)
	if s.tell != nil {
		s.tell(nil)
	}
}
