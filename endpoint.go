package xlreg

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Endpoint is a TCP address as it travels: host:port, where host is an IPv4
// address, an IPv6 address in brackets without a zone, or a DNS name, and port
// is 1 to 65535 without leading zeros. It is 261 bytes long at most.
type Endpoint string

var errEndpointForm = errors.New("want host:port with an IPv4 address, [IPv6] or a DNS name")

// ParseEndpoint returns s as an Endpoint, unchanged, or an error that says what
// is wrong with it.
func ParseEndpoint(s string) (Endpoint, error) {
	if len(s) > MaxEndpointLen {
		return "", fmt.Errorf("endpoint of %d bytes: at most %d allowed", len(s), MaxEndpointLen)
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return "", fmt.Errorf("endpoint %q: %w", s, errEndpointForm)
	}
	if err := checkPort(s[colon+1:]); err != nil {
		return "", fmt.Errorf("endpoint %q: %w", s, err)
	}
	if err := checkHost(s[:colon]); err != nil {
		return "", fmt.Errorf("endpoint %q: %w", s, err)
	}
	return Endpoint(s), nil
}

// EndpointOf returns the endpoint at an address and a port, which is not 0. An IPv6
// address loses its zone, which means nothing elsewhere.
func EndpointOf(at netip.AddrPort) Endpoint {
	return Endpoint(netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()).String())
}

// Validate reports whether e could have come from ParseEndpoint.
func (e Endpoint) Validate() error {
	_, err := ParseEndpoint(string(e))
	return err
}

// ValidateEndpoints reports whether there are no more than MaxEndpoints, each well
// formed.
func ValidateEndpoints(endpoints []Endpoint) error {
	if len(endpoints) > MaxEndpoints {
		return fmt.Errorf("%d endpoints, at most %d allowed", len(endpoints), MaxEndpoints)
	}
	for _, e := range endpoints {
		if err := e.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Host returns the host without brackets.
func (e Endpoint) Host() string {
	host := string(e)[:max(0, strings.LastIndexByte(string(e), ':'))]
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// Port returns the port, or 0 if e is not well formed.
func (e Endpoint) Port() int {
	n, err := strconv.ParseUint(string(e)[strings.LastIndexByte(string(e), ':')+1:], 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// Addr returns the host as an IP address, and false when it is a DNS name.
func (e Endpoint) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(e.Host())
	return a, err == nil
}

func checkPort(s string) error {
	if s == "" || s[0] == '0' {
		return fmt.Errorf("port %q: want 1 to 65535 without leading zeros", s)
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return fmt.Errorf("port %q: want digits only", s)
		}
	}
	if _, err := strconv.ParseUint(s, 10, 16); err != nil {
		return fmt.Errorf("port %q: want 1 to 65535", s)
	}
	return nil
}

func checkHost(host string) error {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		return checkIPv6(inner)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if !a.Is4() {
			return errEndpointForm
		}
		return nil
	}
	return checkDNSName(host)
}

func checkIPv6(inner string) error {
	inner, ok := strings.CutSuffix(inner, "]")
	if !ok {
		return errEndpointForm
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return errEndpointForm
	}
	return nil
}

// checkDNSName refuses a name whose characters are all digits and dots: such a
// name is a broken IPv4 address, never a host.
func checkDNSName(host string) error {
	numeric := true
	for label := range strings.SplitSeq(host, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
		numeric = numeric && strings.Trim(label, "0123456789") == ""
	}
	if numeric {
		return errEndpointForm
	}
	return nil
}

func checkLabel(label string) error {
	if label == "" {
		return errEndpointForm
	}
	// A host that begins with '-' becomes an option of the program that it is handed
	// to. No host is called that (RFC 952), so no deployed client can mean one.
	if label[0] == '-' {
		return fmt.Errorf("host label %q: cannot begin with '-'", label)
	}
	for i := range len(label) {
		if c := label[i]; !isLetter(c) && !isDigit(c) && c != '-' {
			return fmt.Errorf("host label %q: want letters, digits, '-' and '_' only", label)
		}
	}
	return nil
}
