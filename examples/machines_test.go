package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// network is a few machines as they are in a data centre: each with its own host name,
// network interface, /var/lib and home, joined by one switch. They are namespaces of this
// machine, so they run the same kernel and programs.
type network struct {
	t        *testing.T
	prefix   string // of the names of its network namespaces
	hosts    string // the file that is /etc/hosts on all of them
	machines map[string]*machine
}

type machine struct {
	name, address, netns string
	dir                  string // what of it is its own
	hosts                string
}

// newNetwork makes machines with the addresses 192.0.2.1 and on, in this order.
func newNetwork(t *testing.T, names ...string) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network, mount and UTS namespaces")
	}
	n := &network{t: t, prefix: fmt.Sprintf("xlreg%d", os.Getpid()), machines: make(map[string]*machine)}
	dir := t.TempDir()
	n.hosts = filepath.Join(dir, "hosts")
	t.Cleanup(n.remove)
	n.ip("netns", "add", n.prefix)
	n.ip("-n", n.prefix, "link", "add", "br0", "type", "bridge")
	n.ip("-n", n.prefix, "link", "set", "br0", "up")
	hosts := "127.0.0.1 localhost\n"
	for i, name := range names {
		m := &machine{name: name, address: fmt.Sprintf("192.0.2.%d", i+1), netns: n.prefix + name, dir: filepath.Join(dir, name), hosts: n.hosts}
		n.machines[name] = m
		n.plugIn(m, fmt.Sprintf("port%d", i))
		hosts += m.address + " " + m.name + "\n"
	}
	if err := os.WriteFile(n.hosts, []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *network) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// plugIn makes the machine and connects it to the switch.
func (n *network) plugIn(m *machine, port string) {
	n.t.Helper()
	n.ip("netns", "add", m.netns)
	n.ip("-n", n.prefix, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", m.netns)
	n.ip("-n", n.prefix, "link", "set", port, "master", "br0", "up")
	n.ip("-n", m.netns, "addr", "add", m.address+"/24", "dev", "eth0")
	n.ip("-n", m.netns, "link", "set", "eth0", "up")
	n.ip("-n", m.netns, "link", "set", "lo", "up")
	for _, dir := range []string{"home", "lib", "bin"} {
		if err := os.MkdirAll(filepath.Join(m.dir, dir), 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *network) remove() {
	all := []string{n.prefix}
	for _, m := range n.machines {
		all = append(all, m.netns)
	}
	for _, netns := range all {
		if out, err := exec.Command("ip", "netns", "del", netns).CombinedOutput(); err != nil {
			n.t.Errorf("ip netns del %s: %v: %s", netns, err, out)
		}
	}
}

// setUp is what a machine does before a script of its user, in namespaces of its own.
const setUp = `set -e
mount --make-rprivate /
hostname "$MACHINE"
mount --bind "$MACHINE_DIR/lib" /var/lib
mount --bind "$MACHINE_DIR/bin" /usr/local/bin
mount --bind "$MACHINE_HOSTS" /etc/hosts
cd "$HOME"
`

// shell returns a script that the machine's user types, still to be started. It is ended
// as by Ctrl-C when the test is over.
func (m *machine) shell(t *testing.T, script string) *exec.Cmd {
	cmd := command(t, "ip", "netns", "exec", m.netns, "unshare", "--mount", "--uts", "sh", "-c", setUp+"exec bash -e -c \"$0\"", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	home := filepath.Join(m.dir, "home")
	cmd.Env = append(os.Environ(), "MACHINE="+m.name, "MACHINE_DIR="+m.dir, "MACHINE_HOSTS="+m.hosts, "HOME="+home,
		"TMPDIR="+filepath.Join(m.dir, "lib"), "COLUMNS=80")
	for name, value := range goEnv {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}
