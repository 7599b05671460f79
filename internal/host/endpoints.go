package host

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/xlattice/xlreg"
)

// endpoints returns where clients find the registry: public, or else the
// addresses bound, and for one that means every interface those of all.
func (h *Host) endpoints(public []xlreg.Endpoint) ([]xlreg.Endpoint, error) {
	if len(public) > 0 {
		return public, nil
	}
	var bound []xlreg.Endpoint
	for _, l := range h.listen.listeners {
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("listener on %v: want a TCP address", l.Addr())
		}
		ips, err := reachable(addr.AddrPort().Addr())
		if err != nil {
			return nil, err
		}
		for _, ip := range ips {
			bound = append(bound, xlreg.Endpoint(netip.AddrPortFrom(ip, uint16(addr.Port)).String()))
		}
	}
	return bound[:min(len(bound), xlreg.MaxEndpoints)], nil
}

// reachable returns the addresses at which one bound to ip is found.
func reachable(ip netip.Addr) ([]netip.Addr, error) {
	if !ip.IsUnspecified() {
		return []netip.Addr{ip.Unmap().WithZone("")}, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses of this machine: %w", err)
	}
	var own []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return choose(own, ip.Is4()), nil
}

// choose returns those of a machine's own addresses that others can use, IPv4
// alone if so wanted; on a machine that has none, those it can use itself.
func choose(own []netip.Addr, only4 bool) []netip.Addr {
	var global, loopback []netip.Addr
	for _, a := range own {
		switch {
		case only4 && !a.Is4():
		case a.IsLoopback():
			loopback = append(loopback, a)
		case a.IsGlobalUnicast():
			global = append(global, a)
		}
	}
	if len(global) == 0 {
		return loopback
	}
	return global
}
