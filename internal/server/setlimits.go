package server

import (
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/session"
)

// SetLimits has other limits count from now on, but for Handshakes, which stays. What is
// open already stays open, with the timeouts that it began with.
func (s *Server) SetLimits(l guard.Limits) {
	l = l.WithDefaults()
	l.Handshakes = s.limits.Load().Handshakes
	s.limits.Store(&l)
	s.admission.SetLimits(&l)
	s.refuser.bounds.SetLimits(&l)
	s.meters.set(&l, s.now())
	s.session.SetLimits(sessionLimits(&l))
}

// sessionLimits are those of the limits that a session has to know.
func sessionLimits(l *guard.Limits) session.Limits {
	return session.Limits{Message: l.Message, Idle: l.Idle, Write: l.Write}
}
