//go:build linux

package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
)

// insideVar says that this process is where the clients are.
const insideVar = "XLREG_LINEAR_INSIDE"

// TestPartitions checks histories of three servers, each a process on a machine of its own
// with a member of etcd, while their network loses everything between some of them. The
// machines are namespaces, and so is that of the clients, in which the test runs again.
func TestPartitions(t *testing.T) {
	if !long() {
		t.Skip("takes minutes: XLREG_LONG=1")
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces take root")
	}
	if os.Getenv(insideVar) != "" {
		partitions(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestPartitions$", "-test.v", "-test.timeout", "30m")
	cmd.Env = append(os.Environ(), insideVar+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
}

func partitions(t *testing.T) {
	m := newMachines(t)
	seed, n := firstSeed(t), new(counts)
	for i := range 20 {
		seed := seed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			all := m.troubles()
			rnd := rand.New(rand.NewPCG(seed, 5))
			rnd.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
			to := m.start(t)
			rec := suffer(t, to, m.awaitReady, troubled, seed, all[:troubles], nil)
			n.add(rec)
			n.mustFit(t, rec, to.rules(), seed)
		})
	}
	n.check(t, []verb{register, logIn, create, join, get})
}

// machines are namespaces that this one leads to, each with a member of etcd and a server.
type machines struct {
	t       *testing.T
	spaces  [servers]string
	etcd    *etcdtest.Cluster
	configs [servers]child.Config
	running [servers]*child.Registry
}

func machineAddr(i int) string { return fmt.Sprintf("198.18.%d.2", i) }

func newMachines(t *testing.T) *machines {
	t.Helper()
	m := &machines{t: t}
	m.run("ip", "link", "set", "lo", "up")
	m.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	var hosts []string
	for i := range m.spaces {
		m.spaces[i] = fmt.Sprintf("xlreg%d-%d", os.Getpid(), i)
		m.join(i)
		hosts = append(hosts, machineAddr(i))
	}
	m.etcd = etcdtest.Start(t, etcdtest.Options{
		Members: servers, Fsync: true, Hosts: hosts, Wrap: func(i int) []string { return m.within(i) },
	})
	program, err := child.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range m.configs {
		m.configs[i] = child.Config{
			Program: program, Data: filepath.Join(dir, fmt.Sprint(i)), Listen: machineAddr(i) + ":7700", Wrap: m.within(i),
		}
	}
	t.Cleanup(func() {
		for i := range m.running {
			m.kill(i)
		}
	})
	return m
}

// join makes a machine and connects it.
func (m *machines) join(i int) {
	m.t.Helper()
	space, dev := m.spaces[i], fmt.Sprintf("m%d", i)
	gateway := fmt.Sprintf("198.18.%d.1", i)
	m.run("ip", "netns", "add", space)
	m.t.Cleanup(func() { m.run("ip", "netns", "del", space) })
	m.run("ip", "link", "add", dev, "type", "veth", "peer", "name", "eth0", "netns", space)
	m.run("ip", "addr", "add", gateway+"/24", "dev", dev)
	m.run("ip", "link", "set", dev, "up")
	m.run("ip", "-n", space, "link", "set", "lo", "up")
	m.run("ip", "-n", space, "addr", "add", machineAddr(i)+"/24", "dev", "eth0")
	m.run("ip", "-n", space, "link", "set", "eth0", "up")
	m.run("ip", "-n", space, "route", "add", "default", "via", gateway)
}

func (m *machines) within(i int) []string { return []string{"ip", "netns", "exec", m.spaces[i]} }

func (m *machines) run(name string, args ...string) {
	m.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		m.t.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// start starts the servers anew on an empty store.
func (m *machines) start(t *testing.T) *target {
	t.Helper()
	url := m.etcd.URL(space())
	for i := range m.running {
		m.kill(i)
		m.configs[i].Args = []string{"--store", url, "--store-timeout", storeTimeout.String(), "--max-connections-per-address", "1000"}
	}
	for i := range m.running {
		if i > 0 {
			if err := copyFiles(m.configs[0].Data, m.configs[i].Data); err != nil {
				t.Fatal(err)
			}
		}
		if m.restart(i); m.running[i] == nil {
			t.Fatal("a server does not start")
		}
	}
	cred := *m.running[0].Cred()
	cred.Endpoints = nil
	for i := range m.running {
		cred.Endpoints = append(cred.Endpoints, xlreg.Endpoint(m.running[i].Listen()))
	}
	return &target{cred: &cred, nodes: mustNodes(t)}
}

// copyFiles copies the identity of a server. What is there already is the same.
func copyFiles(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	errs := []error{os.MkdirAll(to, 0o700)}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(from, f.Name()))
		errs = append(errs, err, os.WriteFile(filepath.Join(to, f.Name()), content, 0o600))
	}
	return errors.Join(errs...)
}

func (m *machines) kill(i int) {
	if m.running[i] == nil {
		return
	}
	if err := m.running[i].Kill(); err != nil {
		m.t.Error(err)
	}
	m.running[i] = nil
}

// restart starts a server, as soon as its store lets it.
func (m *machines) restart(i int) {
	m.t.Helper()
	end := time.Now().Add(patience)
	for {
		r, err := child.Start(m.configs[i])
		if err == nil {
			m.running[i] = r
			return
		}
		if time.Now().After(end) {
			m.t.Error(err) // and awaitReady ends the history
			return
		}
	}
}

// awaitReady returns when all servers take connections, which they do while they reach
// etcd.
func (m *machines) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range m.running {
		if m.running[i] == nil {
			return fmt.Errorf("server %d does not run", i)
		}
		for {
			nc, err := new(net.Dialer).DialContext(ctx, "tcp", m.running[i].Listen())
			if err == nil {
				nc.Close()
				break
			}
			select {
			case <-time.After(lookAgain):
			case <-ctx.Done():
				return fmt.Errorf("server %d does not come back: %w", i, err)
			}
		}
	}
	return nil
}

// part loses everything between two machines, or with mends ends that.
func (m *machines) part(do string, a, b int) {
	for _, way := range [][2]int{{a, b}, {b, a}} {
		m.run("ip", "rule", do, "pref", "1", "from", machineAddr(way[0]), "to", machineAddr(way[1]), "blackhole")
	}
}

const (
	parts = "add"
	mends = "del"
)

// vanish loses everything to and from a machine, or with mends ends that.
func (m *machines) vanish(do string, i int) {
	m.run("ip", "rule", do, "pref", "1", "from", machineAddr(i), "blackhole")
	m.run("ip", "rule", do, "pref", "1", "to", machineAddr(i), "blackhole")
}

func (m *machines) troubles() []trouble {
	// apart does it to some pairs of machines for a while: first is any of the three.
	apart := func(pairs ...[2]int) func(*fleet, *chance) {
		return func(_ *fleet, c *chance) {
			first := c.IntN(servers)
			for _, p := range pairs {
				m.part(parts, (first+p[0])%servers, (first+p[1])%servers)
			}
			c.elapse()
			for _, p := range pairs {
				m.part(mends, (first+p[0])%servers, (first+p[1])%servers)
			}
			m.etcd.WaitReady()
		}
	}
	return []trouble{
		{"a machine hears no other", apart([2]int{0, 1}, [2]int{0, 2})},
		{"no machine hears another", apart([2]int{0, 1}, [2]int{0, 2}, [2]int{1, 2})},
		{"two machines do not hear each other", apart([2]int{0, 1})},
		{"a machine is gone for a while", func(_ *fleet, c *chance) {
			i := c.IntN(servers)
			m.vanish(parts, i)
			c.elapse()
			m.vanish(mends, i)
			m.etcd.WaitReady()
		}},
		{"a machine loses its power", func(_ *fleet, c *chance) {
			i := c.IntN(servers)
			m.vanish(parts, i)
			m.kill(i)
			m.etcd.Member(i).Kill()
			c.elapse()
			m.vanish(mends, i)
			m.etcd.Member(i).Restart()
			m.etcd.WaitReady()
			m.restart(i)
		}},
		{"the leader moves", func(*fleet, *chance) { m.etcd.MoveLeader() }},
	}
}
