package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"

	"github.com/xlattice/xlreg"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// addresses returns what to register: for each listener the address advertised
// in its place, or else its own; then what else is advertised. Each has to be
// one that others can be sent to.
func addresses(ctx context.Context, listeners []net.Listener, advertise []xlreg.Endpoint, r Resolver) ([]xlreg.Endpoint, error) {
	endpoints := make([]xlreg.Endpoint, max(len(listeners), len(advertise)))
	copy(endpoints, advertise)
	for i, e := range endpoints {
		if e == "" && i >= len(listeners) {
			return nil, fmt.Errorf("%w: advertised endpoint %d is empty and there is no such listener", ErrAddress, i)
		}
		if e == "" {
			own, err := listenerEndpoint(listeners[i])
			if err != nil {
				return nil, fmt.Errorf("listener %d: %w", i, err)
			}
			endpoints[i] = own
			continue
		}
		if err := checkAdvertised(ctx, e, r); err != nil {
			return nil, err
		}
	}
	return endpoints, nil
}

// listenerEndpoint returns the address that a listener is bound to.
func listenerEndpoint(l net.Listener) (xlreg.Endpoint, error) {
	bound, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return "", fmt.Errorf("%w: %q is no IP address and port", ErrAddress, l.Addr())
	}
	addr := bound.Addr().Unmap()
	if addr.IsUnspecified() {
		return "", fmt.Errorf("%w: %v stands for all addresses of this machine: listen on one of them, or advertise one", ErrAddress, bound)
	}
	if addr.Zone() != "" {
		return "", fmt.Errorf("%w: %v is good on this machine only: listen on an address without a zone, or advertise one", ErrAddress, bound)
	}
	if bound.Port() == 0 {
		return "", fmt.Errorf("%w: %v has no port", ErrAddress, bound)
	}
	return xlreg.ParseEndpoint(netip.AddrPortFrom(addr, bound.Port()).String())
}

func checkAdvertised(ctx context.Context, e xlreg.Endpoint, r Resolver) error {
	if err := e.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if addr, ok := e.Addr(); ok {
		return CheckAddress(e, addr)
	}
	if r == nil {
		r = net.DefaultResolver
	}
	addrs, err := r.LookupNetIP(ctx, "ip", e.Host())
	if err != nil {
		return fmt.Errorf("%w: %q does not resolve: %w", ErrAddress, e, err)
	}
	if len(addrs) == 0 {
		return fmt.Errorf("%w: %q does not resolve", ErrAddress, e)
	}
	for _, addr := range addrs {
		if err := CheckAddress(e, addr); err != nil {
			return err
		}
	}
	return nil
}

// CheckAddress refuses addresses that are those of no single machine: all of a
// machine's, those of a group, and broadcast. The error is ErrAddress.
func CheckAddress(e xlreg.Endpoint, addr netip.Addr) error {
	addr = addr.Unmap()
	switch {
	case addr.IsUnspecified():
		return fmt.Errorf("%w: %s stands for all addresses of a machine", ErrAddress, e)
	case addr.IsMulticast():
		return fmt.Errorf("%w: %s is a multicast address, which stands for a group of machines", ErrAddress, e)
	case isBroadcast(addr):
		return fmt.Errorf("%w: %s is the broadcast address, which stands for all machines of a network", ErrAddress, e)
	}
	return nil
}

// isBroadcast reports whether addr is the address of all machines, anywhere or in one of
// the networks that this machine is in.
func isBroadcast(addr netip.Addr) bool {
	if addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false // nothing is known of the networks
	}
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		network, err := netip.ParsePrefix(a.String())
		return err == nil && isLast(network, addr)
	})
}

// isLast reports whether addr is the last address of an IPv4 network. In a network of one
// or two addresses that is an address like any other.
func isLast(network netip.Prefix, addr netip.Addr) bool {
	if !network.Addr().Is4() || network.Bits() > 30 || !network.Contains(addr) {
		return false
	}
	ip := addr.As4()
	return binary.BigEndian.Uint32(ip[:])<<network.Bits() == math.MaxUint32<<network.Bits()
}
