package server

import (
	"net"
	"net/netip"
	"runtime"
)

// source is what limits count by: one IPv4 address or one IPv6 /64, since that
// is what one customer of a network commonly has.
type source struct {
	prefix   netip.Prefix
	loopback bool
}

func sourceOf(addr netip.Addr) source {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil { // no IP address: all such share one
		return source{}
	}
	return source{prefix: prefix, loopback: addr.IsLoopback()}
}

func addrOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr()
}

func processors() int { return runtime.GOMAXPROCS(0) }
