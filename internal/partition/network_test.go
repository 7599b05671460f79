//go:build linux

package partition

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Where the clients and the registry are. Two machines can have the registry's address;
// the router knows which of them has it.
const (
	clientAddr   = "10.77.0.2"
	registryAddr = "10.78.0.2"
)

// network is clients, two machines for the registry, and a router between them, each in
// a namespace.
type network struct {
	t                *testing.T
	prefix           string
	clients, router  string
	machines         [2]string
	machineInterface [2]string // of the router, to each machine
	gateways         [2]string // the router's address for each machine
}

var networks atomic.Int32 // tests run in parallel, and the names are the system's

func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces take root")
	}
	n := &network{t: t, prefix: fmt.Sprintf("xlreg%d-%d", os.Getpid(), networks.Add(1))}
	n.clients, n.router = n.space("c"), n.space("r")
	n.machines = [2]string{n.space("a"), n.space("b")}
	n.in(n.router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	n.link(n.clients, clientAddr, "eth0", "c0", "10.77.0.1")
	for i, machine := range n.machines {
		n.machineInterface[i] = fmt.Sprintf("m%d", i)
		n.gateways[i] = fmt.Sprintf("10.79.%d.1", i)
		n.link(machine, registryAddr, "eth0", n.machineInterface[i], n.gateways[i])
	}
	n.leadTo(0)
	return n
}

// space makes a namespace, until the test ends.
func (n *network) space(name string) string {
	n.t.Helper()
	space := n.prefix + name
	n.run("ip", "netns", "add", space)
	n.t.Cleanup(func() { n.run("ip", "netns", "del", space) })
	n.in(space, "ip", "link", "set", "lo", "up")
	return space
}

// link connects a machine with an address to an interface of the router.
func (n *network) link(space, addr, dev, routerDev, routerAddr string) {
	n.t.Helper()
	n.in(space, "ip", "link", "add", dev, "type", "veth", "peer", "name", routerDev, "netns", n.router)
	n.in(n.router, "ip", "addr", "add", routerAddr+"/32", "dev", routerDev)
	n.in(n.router, "ip", "link", "set", routerDev, "up")
	n.in(space, "ip", "link", "set", dev, "up")
	n.address(space, addr, dev, routerAddr)
	if addr == clientAddr {
		n.in(n.router, "ip", "route", "add", addr, "dev", routerDev)
	}
}

// address gives a machine an address, and the way to all others.
func (n *network) address(space, addr, dev, gateway string) {
	n.t.Helper()
	n.in(space, "ip", "addr", "add", addr+"/32", "dev", dev)
	n.in(space, "ip", "route", "replace", gateway, "dev", dev)
	n.in(space, "ip", "route", "replace", "default", "via", gateway)
}

// leadTo gives the registry's address to a machine.
func (n *network) leadTo(machine int) {
	n.t.Helper()
	n.in(n.router, "ip", "route", "replace", registryAddr, "dev", n.machineInterface[machine])
}

// drop has the router drop everything without a word.
func (n *network) drop() { n.in(n.router, "ip", "rule", "add", "pref", "1", "blackhole") }

// pass ends drop.
func (n *network) pass() { n.in(n.router, "ip", "rule", "del", "pref", "1", "blackhole") }

func (n *network) in(space string, args ...string) {
	n.t.Helper()
	n.run("ip", append([]string{"netns", "exec", space}, args...)...)
}

func (n *network) run(name string, args ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		n.t.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// within calls f in a namespace: the sockets that f makes stay there.
func within(space string, f func() error) error {
	var err error
	var done sync.WaitGroup
	done.Go(func() {
		runtime.LockOSThread() // and no Unlock: the thread ends with the goroutine
		var fd int
		if fd, err = unix.Open("/run/netns/"+space, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		defer unix.Close(fd)
		if err = unix.Setns(fd, unix.CLONE_NEWNET); err == nil {
			err = f()
		}
	})
	done.Wait()
	return err
}

// DialContext implements client.ContextDialer, from where the clients are.
func (n *network) DialContext(ctx context.Context, network, addr string) (nc net.Conn, err error) {
	err = within(n.clients, func() (err error) {
		nc, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return nc, err
}
