package main

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/xlattice/xlreg/internal/notify"
)

// Names of sockets, as FileDescriptorName= of a socket unit gives them. All others are
// names that systemd gives to sockets without one, and those are the registry's.
const (
	socketRegistry = "registry"
	socketHTTP     = "http"
	socketHealth   = "health"
)

// passedSockets are what the service manager has opened and passed to this process, by
// their names.
type passedSockets map[string][]net.Listener

// takeSockets takes over the sockets that the service manager has passed, if any. They
// are the caller's to close.
func takeSockets() (passedSockets, error) {
	all, err := notify.Sockets()
	if err != nil {
		return nil, err
	}
	p := make(passedSockets)
	var unknown error
	for _, s := range all {
		name, err := purposeOf(s.Name)
		unknown = errors.Join(unknown, err)
		p[name] = append(p[name], s.Listener)
	}
	if unknown != nil {
		p.close()
		return nil, unknown
	}
	return p, nil
}

// purposeOf returns what a socket is for. One without a name of its own is called like its
// unit, or, where there is no unit, unknown.
func purposeOf(name string) (string, error) {
	switch {
	case name == socketHTTP, name == socketHealth:
		return name, nil
	case name == socketRegistry, name == "", name == "unknown", strings.HasSuffix(name, ".socket"):
		return socketRegistry, nil
	}
	return name, fmt.Errorf("the service manager has passed a socket named %q: want %s, %s or %s in FileDescriptorName=",
		name, socketRegistry, socketHTTP, socketHealth)
}

// take returns the one socket with a name, or nil if none was passed. It is the caller's.
// A flag that says where to listen as well would be ignored, so it is refused.
func (p passedSockets) take(name, flag, given string) (net.Listener, error) {
	found := p[name]
	switch {
	case len(found) == 0:
		return nil, nil //nolint:nilnil // the flag decides
	case given != "":
		return nil, fmt.Errorf("--%s %s: the service manager has passed a socket named %s, so leave the flag out", flag, given, name)
	case len(found) > 1:
		return nil, fmt.Errorf("the service manager has passed %d sockets named %s, want one", len(found), name)
	}
	delete(p, name)
	return found[0], nil
}

// takeRegistry returns the sockets for clients, which are the caller's.
func (p passedSockets) takeRegistry(cfg *serveConfig) ([]net.Listener, error) {
	found := p[socketRegistry]
	if len(found) > 0 && cfg.listenGiven {
		return nil, fmt.Errorf("--listen %s: the service manager has passed sockets, so leave the flag out", strings.Join(cfg.listen, ","))
	}
	delete(p, socketRegistry)
	return found, nil
}

// close closes the sockets that nobody has taken.
func (p passedSockets) close() {
	for _, listeners := range p {
		for _, l := range listeners {
			_ = l.Close() // the service manager still has it
		}
	}
}

// unused returns an error if there are sockets that nobody has taken.
func (p passedSockets) unused() error {
	for name := range p {
		return fmt.Errorf("the service manager has passed a socket named %s, and nothing is served there", name)
	}
	return nil
}
