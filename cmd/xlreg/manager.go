package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/notify"
)

// manager is the service manager that has started this process, if one has.
type manager struct {
	notifier  *notify.Notifier // nil if there is no manager, or it wants to be told nothing
	listeners []net.Listener   // of the sockets passed, those for clients
	passed    passedSockets    // the others
	log       *slog.Logger
}

// findManager takes over what the service manager has passed, and says that the registry
// is about to open.
func findManager(cfg *serveConfig) (*manager, error) {
	m := &manager{log: cfg.log}
	var err error
	if m.notifier, err = notify.FromEnvironment(); err != nil {
		return nil, err
	}
	if m.passed, err = takeSockets(); err != nil {
		return nil, err
	}
	if m.listeners, err = m.passed.takeRegistry(cfg); err != nil {
		m.close()
		return nil, err
	}
	m.heard(m.notifier.Status("opens the data"))
	return m, nil
}

// close closes the sockets, but for those that somebody else has taken.
func (m *manager) close() {
	m.passed.close()
	for _, l := range m.listeners {
		_ = l.Close() // the service manager still has it
	}
}

// heard logs that the service manager could not be told something. Nobody who is served
// need suffer for it.
func (m *manager) heard(err error) {
	if err != nil {
		m.log.Warn("the service manager was not told", "err", err)
	}
}

// attend tells the service manager that the registry is open, how it is, and that it
// stops when ctx ends.
func (m *manager) attend(ctx context.Context, h *host.Host) error {
	m.heard(m.notifier.Ready(statusOf(h)))
	look := func(ctx context.Context) (string, error) {
		if err := h.Alive(ctx); err != nil {
			return "", err
		}
		return statusOf(h), nil
	}
	m.notifier.Watch(ctx, look, m.heard)
	<-ctx.Done()
	m.heard(m.notifier.Stopping("answers the last requests"))
	return nil
}

// reloading tells the service manager that flags are read anew; done, that it is over.
func (m *manager) reloading(h *host.Host) (done func()) {
	m.heard(m.notifier.Reloading())
	return func() { m.heard(m.notifier.Ready(statusOf(h))) }
}

// statusOf says in one line what the registry does.
func statusOf(h *host.Host) string {
	if !h.Connected() {
		return "serves no clients: the store cannot be reached"
	}
	s := h.Stats()
	return fmt.Sprintf("serves clients: %d connected, %d of them wait for members", s.Open, s.Waiting)
}
