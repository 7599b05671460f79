package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// hostOf returns the name that a request is for, without its port and in lower case.
func hostOf(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return normalHost(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// normalHost returns a name in the one form in which names are compared.
func normalHost(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func normalHosts(names []string) []string {
	hosts := make([]string, len(names))
	for i, name := range names {
		hosts[i] = normalHost(name)
	}
	return hosts
}

func isLoopbackName(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// checkHost refuses a request for a name that is none of the registry's: a page from
// elsewhere that has its own name point here would read with the rights of whoever looks
// at it. An address is no name, and cannot be pointed anywhere.
func (s *Server) checkHost(r *http.Request) error {
	host := hostOf(r)
	if isLoopbackName(host) || slices.Contains(s.cfg.Hosts, host) {
		return nil
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap() == localAddr(r) {
		return nil
	}
	return fmt.Errorf("%w %.80q: ask by address, or start the registry with --http-host and this name", errHost, host)
}
