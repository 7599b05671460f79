package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
)

// ownAddress is an address of this member as given on the command line: HOST:PORT,
// :PORT for the address by which the registry is reached, or INTERFACE:PORT.
type ownAddress struct{ host, port string }

// parseOwnAddresses reads the addresses in a flag. With anywhere one may stand for all
// addresses of the machine, which is good for listening and for nothing else.
func parseOwnAddresses(flag string, list []string, anywhere bool) ([]ownAddress, error) {
	if len(list) > xlreg.MaxEndpoints {
		return nil, cli.UsageError(fmt.Errorf("--%s: %d addresses, at most %d allowed", flag, len(list), xlreg.MaxEndpoints))
	}
	all := make([]ownAddress, len(list))
	for i, s := range list {
		colon := strings.LastIndexByte(s, ':')
		if colon < 0 {
			return nil, cli.UsageError(fmt.Errorf("--%s %q: want HOST:PORT, INTERFACE:PORT or :PORT", flag, s))
		}
		a := ownAddress{s[:colon], s[colon+1:]}
		if err := a.check(anywhere); err != nil {
			return nil, cli.UsageError(fmt.Errorf("--%s: %w", flag, err))
		}
		all[i] = a
	}
	return all, nil
}

// observedHost stands for the address from which the registry sees this machine.
const observedHost = "observed"

// listenWhereObserved returns where a member listens. An address that only the registry
// knows need not be one of this machine's, so unless told otherwise the member listens on
// all that it has.
func listenWhereObserved(listen, advertise []xlreg.Endpoint) []xlreg.Endpoint {
	for i, e := range advertise {
		if i < len(listen) || e.Host() != observedHost {
			continue
		}
		listen = append(listen, advertise[len(listen):i]...)
		listen = append(listen, hostPort(launch.EveryAddress(), fmt.Sprint(e.Port())))
	}
	return listen
}

func (a ownAddress) check(anywhere bool) error {
	if a.host == observedHost {
		return a.checkPort()
	}
	if _, err := net.InterfaceByName(a.host); a.host == "" || err == nil {
		return a.checkPort()
	}
	e, err := xlreg.ParseEndpoint(a.host + ":" + a.port)
	if err != nil {
		return err
	}
	if addr, ok := e.Addr(); ok && !(anywhere && addr.Unmap().IsUnspecified()) {
		return client.CheckAddress(e, addr)
	}
	return nil
}

// checkPort holds the port against the rules for endpoints, when the host is still to be
// found.
func (a ownAddress) checkPort() error {
	if xlreg.Endpoint("localhost:"+a.port).Validate() != nil {
		return fmt.Errorf("%q: port %q: want 1 to 65535", a.host+":"+a.port, a.port)
	}
	return nil
}

// endpoints returns where others find this member.
func endpoints(ctx context.Context, target *regcred.Target, given []ownAddress) ([]xlreg.Endpoint, error) {
	var all []xlreg.Endpoint
	for _, a := range given {
		e, err := a.endpoint(func() (netip.Addr, error) { return addressTowards(ctx, target) })
		if err != nil {
			return nil, fmt.Errorf("--endpoint %s:%s: %w", a.host, a.port, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// listening returns where this member listens; :PORT is every address.
func listening(given []ownAddress) ([]xlreg.Endpoint, error) {
	var all []xlreg.Endpoint
	for _, a := range given {
		e, err := a.endpoint(func() (netip.Addr, error) { return launch.EveryAddress(), nil })
		if err != nil {
			return nil, fmt.Errorf("--listen %s:%s: %w", a.host, a.port, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// endpoint fills in the address for a host that is left out or names an interface.
func (a ownAddress) endpoint(unnamed func() (netip.Addr, error)) (xlreg.Endpoint, error) {
	if a.host == "" {
		addr, err := unnamed()
		return hostPort(addr, a.port), err
	}
	if nic, err := net.InterfaceByName(a.host); err == nil {
		addr, err := addressOf(nic)
		return hostPort(addr, a.port), err
	}
	return xlreg.Endpoint(a.host + ":" + a.port), nil
}

func hostPort(addr netip.Addr, port string) xlreg.Endpoint {
	return xlreg.Endpoint(net.JoinHostPort(addr.WithZone("").String(), port))
}

// addressOf returns the address of an interface that others can use best: IPv4 before
// IPv6, and a link-local one only if there is no other.
func addressOf(nic *net.Interface) (netip.Addr, error) {
	addrs, err := nic.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	var best netip.Addr
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if addr := prefix.Addr().Unmap(); !best.IsValid() || rank(addr) < rank(best) {
			best = addr
		}
	}
	if !best.IsValid() {
		return best, fmt.Errorf("interface %s has no address", nic.Name)
	}
	return best, nil
}

func rank(a netip.Addr) int {
	switch {
	case a.IsLinkLocalUnicast():
		return 2
	case a.Is6():
		return 1
	}
	return 0
}

// addressTowards returns this machine's address on the way to the registry. Nothing is
// sent for that: a UDP socket has its address as soon as the system knows the route.
func addressTowards(ctx context.Context, target *regcred.Target) (netip.Addr, error) {
	var errs []error
	for _, e := range target.Endpoints {
		conn, err := new(net.Dialer).DialContext(ctx, "udp", string(e))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		local, err := netip.ParseAddrPort(conn.LocalAddr().String())
		conn.Close()
		if err == nil {
			return local.Addr().Unmap(), nil
		}
		errs = append(errs, err)
	}
	return netip.Addr{}, fmt.Errorf("%w, so no address of this machine to take: %w", errNoWay, errors.Join(errs...))
}

// errNoWay says that this machine has no route to the registry: it may be starting, and its
// network with it.
var errNoWay = errors.New("no way to the registry")

// warnOfAddresses says which endpoints others will not be able to use. Loopback is fine
// as long as the registry is on it too: then everybody else may be.
func (g *globals) warnOfAddresses(ctx context.Context, target *regcred.Target, endpoints []xlreg.Endpoint) {
	for _, e := range endpoints {
		addr, isAddr := e.Addr()
		loopback := e.Host() == "localhost" || isAddr && addr.Unmap().IsLoopback()
		switch {
		case loopback && g.isElsewhere(ctx, target):
			g.warn("%s is this machine's own loopback, and the registry is elsewhere: members on other machines cannot reach it; --endpoint :%d takes the address that faces the registry", e, e.Port())
		case isAddr && addr.Unmap().IsLinkLocalUnicast():
			g.warn("%s is a link-local address: only machines on the same link can reach it", e)
		}
	}
}

// isElsewhere reports whether the registry is not reached over loopback.
func (g *globals) isElsewhere(ctx context.Context, target *regcred.Target) bool {
	local, err := addressTowards(ctx, target)
	return err == nil && !local.IsLoopback()
}

// warnOfSharedAddresses says which members claim the same address: at most one of them
// can be there.
func (g *globals) warnOfSharedAddresses(r *client.Roster) {
	first := make(map[xlreg.Endpoint]xlreg.Name)
	for i := range r.Members {
		t := &r.Members[i].Token
		for _, e := range t.Endpoints {
			if other, taken := first[e]; taken && other != t.Name {
				g.warn("%s and %s both say that they are at %s: give each an address of its own with --endpoint", other, t.Name, e)
			}
			first[e] = t.Name
		}
	}
}

func (g *globals) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if g.Output == "json" {
		tellJSON(g.Err, map[string]string{"warning": text})
		return
	}
	fmt.Fprintln(g.Err, "xlreg: warning:", cli.Printable(text))
}
