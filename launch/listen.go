package launch

import (
	"net"
	"net/netip"
)

// EveryAddress returns what stands for every address of this machine, for a program to listen
// on: that of IPv4, which all programs take, unless nobody could reach the machine by it.
func EveryAddress() netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.IPv4Unspecified()
	}
	return everyAddressOf(addrs)
}

func everyAddressOf(addrs []net.Addr) netip.Addr {
	every := netip.IPv4Unspecified()
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().Unmap().IsGlobalUnicast() { // loopback, or for one link only
			continue
		}
		if prefix.Addr().Unmap().Is4() {
			return netip.IPv4Unspecified()
		}
		every = netip.IPv6Unspecified()
	}
	return every
}
