package guard

import (
	"net"
	"net/netip"
)

// Source is what limits count by: one IPv4 address or one IPv6 /64, which is
// commonly what one customer of a network has.
type Source struct {
	prefix   netip.Prefix
	loopback bool
}

// SourceOf returns the source that addr belongs to. All addresses that are no IP
// addresses share one.
func SourceOf(addr netip.Addr) Source {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return Source{}
	}
	return Source{prefix: prefix, loopback: addr.IsLoopback()}
}

// SourceOfConn returns the source that a connection comes from.
func SourceOfConn(nc net.Conn) Source {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return Source{}
	}
	return SourceOf(tcp.AddrPort().Addr())
}
