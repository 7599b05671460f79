package launch

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/xlattice/xlreg"
)

// Ports are ports that are held, so that nobody else takes them.
type Ports struct{ listeners []*net.TCPListener }

// Reserve takes n free ports on host.
func Reserve(host string, n int) (*Ports, error) {
	p := new(Ports)
	for range n {
		if err := p.listen(net.JoinHostPort(host, "0")); err != nil {
			return nil, errors.Join(fmt.Errorf("reserve a port: %w", err), p.Close())
		}
	}
	return p, nil
}

// Hold takes the ports of endpoints that are this machine's. Where a host is a
// name, or an address that this machine does not have itself because it is behind
// another that does, the port is taken on all addresses.
func Hold(endpoints []xlreg.Endpoint) (*Ports, error) {
	p := new(Ports)
	for _, e := range endpoints {
		if err := p.hold(e); err != nil {
			return nil, errors.Join(fmt.Errorf("hold port %d of %s: %w", e.Port(), e, err), p.Close())
		}
	}
	return p, nil
}

func (p *Ports) hold(e xlreg.Endpoint) error {
	_, isAddr := e.Addr()
	err := error(syscall.EADDRNOTAVAIL)
	if isAddr {
		err = p.listen(string(e))
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		err = p.listen(net.JoinHostPort("", strconv.Itoa(e.Port())))
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: stop the program that has it, or choose another port", syscall.EADDRINUSE)
	}
	return err
}

func (p *Ports) listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	p.listeners = append(p.listeners, l.(*net.TCPListener)) // what net.Listen returns for tcp
	return nil
}

// Endpoints returns where the ports are.
func (p *Ports) Endpoints() []xlreg.Endpoint {
	all := make([]xlreg.Endpoint, len(p.listeners))
	for i, l := range p.listeners {
		all[i] = xlreg.Endpoint(l.Addr().String())
	}
	return all
}

// Files returns the open ports as files for another process, which are the
// caller's to close.
func (p *Ports) Files() ([]*os.File, error) {
	var files []*os.File
	for _, l := range p.listeners {
		f, err := l.File()
		if err != nil {
			return nil, errors.Join(err, closeAll(files))
		}
		files = append(files, f)
	}
	return files, nil
}

// Close lets the ports go. It may be called again.
func (p *Ports) Close() error {
	var errs []error
	for _, l := range p.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
