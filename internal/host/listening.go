package host

import (
	"errors"
	"log/slog"
	"net"
)

// listening is the open ports of a registry, and how to open them again.
type listening struct {
	cfg       *Config
	log       *slog.Logger
	bound     []string // with the ports that were chosen
	listeners []net.Listener
}

// listenOn opens the ports. What it has opened is returned with an error, too.
func listenOn(cfg *Config, log *slog.Logger) (listening, error) {
	l := listening{cfg: cfg, log: log}
	if len(cfg.Listen) == 0 {
		return l, errors.New("no address to listen on")
	}
	err := l.open(cfg.Listen)
	for _, open := range l.listeners {
		l.bound = append(l.bound, open.Addr().String())
	}
	return l, err
}

// again opens the ports that were open.
func (l *listening) again() error {
	l.listeners = nil
	if err := l.open(l.bound); err != nil {
		return errors.Join(err, l.close())
	}
	return nil
}

func (l *listening) open(addrs []string) error {
	for _, addr := range addrs {
		open, err := listenTCP(addr)
		if err != nil {
			return err // names the address
		}
		if len(l.cfg.ProxyFrom) > 0 {
			open = newProxyListener(open, l.cfg.ProxyFrom, l.cfg.Limits.WithDefaults().Hello, l.log)
		}
		l.listeners = append(l.listeners, open)
	}
	return nil
}

// close closes the ports. It may be called again.
func (l *listening) close() error {
	var errs []error
	for _, open := range l.listeners {
		if err := open.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
