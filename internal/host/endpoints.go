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
	for _, l := range h.listeners {
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
	var global, loopback []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		switch found := prefix.Addr().Unmap(); {
		case ip.Is4() && !found.Is4():
		case found.IsLoopback():
			loopback = append(loopback, found)
		case found.IsGlobalUnicast():
			global = append(global, found)
		}
	}
	if len(global) == 0 {
		return loopback, nil
	}
	return global, nil
}
