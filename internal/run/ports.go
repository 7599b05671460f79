package run

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"

	"github.com/xlattice/xlreg/internal/freeport"
)

// Ports are TCP ports that are held, so that no other program takes them.
type Ports struct {
	listeners []*net.TCPListener
	hands     []*freeport.Port // that keep other runs away, until Close
	refusing  sync.WaitGroup
}

// Reserve takes n free ports on host. They lie below those that the system gives to
// outgoing connections, and until Close no other process that reserves its ports here gets
// them: so nobody takes one by chance between Release and the start of the program that is
// to listen there.
func Reserve(host string, n int) (*Ports, error) {
	p := new(Ports)
	for range n {
		if err := p.reserve(host); err != nil {
			return nil, errors.Join(fmt.Errorf("reserve a port: %w", err), p.Close())
		}
	}
	return p, nil
}

func (p *Ports) reserve(host string) error {
	port, err := freeport.Take()
	if err != nil {
		return err
	}
	p.hands = append(p.hands, port)
	return p.listen(net.JoinHostPort(host, strconv.Itoa(port.Number())))
}

// Hold takes the ports of addresses of this machine, each host:port. A host may also
// be a name, or the address of a router in front of this machine, which cannot be
// bound here: then the port is taken on all addresses.
func Hold(addrs ...string) (*Ports, error) {
	p := new(Ports)
	for _, addr := range addrs {
		if err := p.hold(addr); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

func (p *Ports) hold(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err // names the address
	}
	if err := p.holdPort(host, port); err != nil {
		return fmt.Errorf("hold port %s of %s: %w", port, addr, err)
	}
	return nil
}

func (p *Ports) holdPort(host, port string) error {
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	if hand := freeport.Hold(number); hand != nil { // nil: another run has a port of that number, perhaps at another address
		p.hands = append(p.hands, hand)
	}
	return p.bind(host, port)
}

func (p *Ports) bind(host, port string) error {
	err := error(syscall.EADDRNOTAVAIL)
	if _, notIP := netip.ParseAddr(host); notIP == nil {
		err = p.listen(net.JoinHostPort(host, port))
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		err = p.listen(net.JoinHostPort("", port))
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

// Addrs returns where the ports are, each as host:port.
func (p *Ports) Addrs() []string {
	all := make([]string, len(p.listeners))
	for i, l := range p.listeners {
		all[i] = l.Addr().String()
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

// Refuse closes connections to the ports as soon as they are made, until Release, so that
// whoever tries them sees that no program serves there yet. Ports whose connections a program
// is to take over are not for it.
func (p *Ports) Refuse() {
	for _, l := range p.listeners {
		p.refusing.Go(func() {
			for {
				c, err := l.AcceptTCP()
				if err != nil {
					return
				}
				_ = c.SetLinger(0) // so that nothing of it is in the way of the program
				_ = c.Close()
			}
		})
	}
}

// Release stops listening on the ports, for the programs that are to do so. It may be
// called again.
func (p *Ports) Release() error {
	var errs []error
	for _, l := range p.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	p.refusing.Wait()
	return errors.Join(errs...)
}

// ReleaseLike stops listening on those ports that have the number of one of other's. A program
// that listens on all addresses of this machine cannot do so while its port is held at one.
func (p *Ports) ReleaseLike(other *Ports) error {
	numbers := make(map[int]bool)
	for _, l := range other.listeners {
		numbers[portNumber(l)] = true
	}
	var errs []error
	for _, l := range p.listeners {
		if !numbers[portNumber(l)] {
			continue
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func portNumber(l *net.TCPListener) int { return l.Addr().(*net.TCPAddr).Port }

// Close lets the ports go for good. It may be called again.
func (p *Ports) Close() error {
	errs := []error{p.Release()}
	for _, hand := range p.hands {
		errs = append(errs, hand.Close())
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
