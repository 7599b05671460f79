package host

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
)

// listening is the open ports of a registry, and how to open them again.
type listening struct {
	cfg       *Config
	log       *slog.Logger
	bound     []string // with the ports that were chosen
	held      []held   // what the service manager has opened, in place of cfg.Listen
	listeners []net.Listener
	door      *door // of held
}

// listenOn opens the ports. What it has opened is returned with an error, too.
func listenOn(cfg *Config, log *slog.Logger) (listening, error) {
	l := listening{cfg: cfg, log: log, door: new(door)}
	if len(cfg.Listen)+len(cfg.Listeners) == 0 {
		return l, errors.New("no address to listen on")
	}
	err := l.openFirst()
	for _, open := range l.listeners {
		l.bound = append(l.bound, open.Addr().String())
	}
	return l, err
}

func (l *listening) openFirst() (err error) {
	if len(l.cfg.Listeners) == 0 {
		return l.open(l.cfg.Listen)
	}
	if l.held, err = hold(l.cfg.Listeners); err != nil {
		return err
	}
	l.door.held = l.held
	return l.open(nil)
}

// again opens the ports that were open.
func (l *listening) again() error {
	l.listeners = nil
	addrs := l.bound
	if len(l.held) > 0 {
		addrs = nil
	}
	if err := l.open(addrs); err != nil {
		return errors.Join(err, l.close())
	}
	return nil
}

// open opens addresses, and beside them what is held.
func (l *listening) open(addrs []string) error {
	for _, addr := range addrs {
		open, err := listenTCP(addr)
		if err != nil {
			return err // names the address
		}
		l.add(open)
	}
	for _, h := range l.held {
		open, err := h.again()
		if err != nil {
			return fmt.Errorf("listener on %v: %w", h.Addr(), err)
		}
		l.add(open)
	}
	return nil
}

func (l *listening) add(open net.Listener) {
	if len(l.cfg.ProxyFrom) > 0 {
		open = newProxyListener(open, l.cfg.ProxyFrom, l.cfg.Limits.WithDefaults().Hello, l.log)
	}
	l.listeners = append(l.listeners, open)
}

// close closes the ports. It may be called again.
func (l *listening) close() error {
	var errs []error
	for _, open := range slices.Concat(l.listeners, l.cfg.Listeners) {
		if err := open.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
