package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/run"
)

// takePorts takes the ports of the member i: those that it had before in the same
// directory, or else those of the plan.
func (r *clusterRun) takePorts(i int) (*run.Ports, error) {
	name := string(r.o.name(i))
	if addrs := r.keptAddresses(i, name); addrs != nil {
		ports, err := run.Hold(addrs...)
		if errors.Is(err, syscall.EADDRINUSE) {
			taken := takenOf(addrs)
			return nil, r.keeper.PortTaken(name, taken, run.Holder(taken))
		}
		return ports, err
	}
	addrs := r.o.plan.Ports.Addresses(i)
	host, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return nil, err
	}
	if err := checkOwn(name, host); err != nil {
		return nil, err
	}
	if port == "0" && allFree(addrs) {
		return run.Reserve(host, len(addrs))
	}
	return holdPlanned(name, host, addrs)
}

// checkOwn refuses an address that this machine does not have.
func checkOwn(name, host string) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("--address: %s is to have %s, which is no address of this machine; with the name of an interface all members have its address", name, host)
	}
	if err != nil {
		return err
	}
	return l.Close()
}

// warnOfLoopback says if members elsewhere could not reach those of this run.
func (r *clusterRun) warnOfLoopback(ctx context.Context) {
	at := r.ports[0].Addrs()[0]
	addr, err := netip.ParseAddrPort(at)
	if err != nil || !addr.Addr().IsLoopback() || r.o.size == r.o.members || !r.isElsewhere(ctx, r.target.Target()) {
		return
	}
	r.warn("%s is this machine's own loopback, and the registry is elsewhere: members on other machines cannot reach it; --address INTERFACE takes the address of an interface", at)
}

// keptAddresses returns where the member was in an earlier run of this directory, or nil if
// the flags now say something else.
func (r *clusterRun) keptAddresses(i int, name string) []string {
	if r.kept == nil || !slices.Equal(r.kept.PortNames, r.o.plan.Ports.Names()) {
		return nil
	}
	addrs := r.kept.Members[name]
	if len(addrs) != len(r.o.plan.Ports.List) || r.o.ports.base != 0 {
		return nil
	}
	if !agree(addrs, r.o.plan.Ports.Addresses(i), r.o.ports.address != "") {
		return nil
	}
	return addrs
}

// agree reports whether addresses are among those that were planned, where a port 0 may be
// any, and so may be the host unless it was asked for.
func agree(addrs, planned []string, sameHost bool) bool {
	return slices.EqualFunc(addrs, planned, func(addr, plan string) bool {
		host, port, _ := net.SplitHostPort(addr)
		wantHost, wantPort, _ := net.SplitHostPort(plan)
		return (host == wantHost || !sameHost) && (port == wantPort || wantPort == "0")
	})
}

// allFree reports whether no address has a port of a fixed number.
func allFree(addrs []string) bool {
	return !slices.ContainsFunc(addrs, func(addr string) bool {
		_, port, _ := net.SplitHostPort(addr)
		return port != "0"
	})
}

// holdPlanned takes ports some of which have fixed numbers.
func holdPlanned(name, host string, addrs []string) (*run.Ports, error) {
	fixed := slices.Clone(addrs)
	for k, addr := range fixed {
		if !allFree([]string{addr}) {
			continue
		}
		free, err := run.Reserve(host, 1)
		if err != nil {
			return nil, err
		}
		fixed[k] = free.Addrs()[0]
		if err := free.Close(); err != nil {
			return nil, err
		}
	}
	ports, err := run.Hold(fixed...)
	if errors.Is(err, syscall.EADDRINUSE) {
		taken := takenOf(fixed)
		return nil, fmt.Errorf("port %s of %s is taken by %s: stop it, or choose other ports with --port-base or --address", taken, name, run.Holder(taken))
	}
	return ports, err
}

// takenOf returns the address that another program has.
func takenOf(addrs []string) string {
	for _, addr := range addrs {
		ports, err := run.Hold(addr)
		if err != nil {
			return addr
		}
		_ = ports.Close() // it was ours for a moment
	}
	return addrs[0] // it is free again
}

// endpointsOf returns where ports are.
func endpointsOf(ports *run.Ports) []xlreg.Endpoint {
	var all []xlreg.Endpoint
	for _, addr := range ports.Addrs() {
		all = append(all, xlreg.Endpoint(addr))
	}
	return all
}
