package runplan

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/recipe"
)

// Ports say where members listen.
type Ports struct {
	List  []recipe.Port
	Base  int        // the first of consecutive ports; 0: any that are free
	First netip.Addr // the address of member 0, from which the others count on; zero: all share one
	Host  netip.Addr // that one; zero: loopback
}

// Names returns the ports' names, and nil if they have none.
func (p *Ports) Names() []string {
	var names []string
	for _, port := range p.List {
		if port.Name != "" {
			names = append(names, port.Name)
		}
	}
	return names
}

// Addresses returns where the member i listens, each host:port. A port 0 is any that is
// free.
func (p *Ports) Addresses(i int) []string {
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	switch {
	case p.First.IsValid():
		host = nth(p.First, i)
	case p.Host.IsValid():
		host = p.Host
	}
	all := make([]string, len(p.List))
	for k, port := range p.List {
		number := port.Number
		if number == 0 && p.Base != 0 {
			number = p.Base + i*len(p.List) + k
		}
		all[k] = net.JoinHostPort(host.String(), strconv.Itoa(number))
	}
	return all
}

// nth returns the address that comes n after first, and an invalid one past the last.
func nth(first netip.Addr, n int) netip.Addr {
	for range n {
		first = first.Next()
	}
	return first
}

// parsePorts reads a number of ports, or their names, each NAME or NAME=PORT.
func parsePorts(text string) ([]recipe.Port, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > xlreg.MaxEndpoints {
			return nil, fmt.Errorf("want 1 to %d", xlreg.MaxEndpoints)
		}
		return make([]recipe.Port, n), nil
	}
	return namedPorts(strings.Split(text, ","))
}

func namedPorts(list []string) ([]recipe.Port, error) {
	if len(list) > xlreg.MaxEndpoints {
		return nil, fmt.Errorf("%d ports: want at most %d", len(list), xlreg.MaxEndpoints)
	}
	var ports []recipe.Port
	for _, text := range list {
		port, err := recipe.ParsePort(text)
		if err == nil {
			err = port.CheckAmong(ports)
		}
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// check looks at what the ports are together, for n members.
func (p *Ports) check(n int) error {
	fixed := 0
	for _, port := range p.List {
		if port.Number != 0 {
			fixed++
		}
	}
	last := p.Base + n*len(p.List) - 1
	switch {
	case fixed > 0 && !p.First.IsValid() && n > 1:
		return errors.New("ports of fixed numbers need an address for each member: --address 127.0.0.N")
	case p.Base != 0 && fixed > 0:
		return errors.New("--port-base: the ports have fixed numbers already")
	case p.Base < 0 || p.Base > 65535:
		return fmt.Errorf("--port-base %d: want 1 to 65535", p.Base)
	case p.Base != 0 && last > 65535:
		return fmt.Errorf("--port-base %d: the last port of %d members would be %d", p.Base, n, last)
	case p.First.IsValid() && !nth(p.First, n-1).IsValid():
		return fmt.Errorf("--address %v: there are not %d addresses from there on", p.First, n)
	}
	return nil
}
