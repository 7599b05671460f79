//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/freeport"
	"github.com/xlattice/xlreg/regcred"
)

// balanced is one registry of two servers behind a real haproxy.
type balanced struct {
	t       *testing.T
	servers map[string]*child.Registry
	logs    map[string]*logText
	args    map[string][]string
	dirs    map[string]string
	front   string // where clients connect
	stats   string // haproxy's own socket
	target  *regcred.Target
}

// logText is a log that is read while it is written.
type logText struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// haproxyConfig sends clients to servers a and b as long as those say that they serve, and
// looks by itself whether their ports are open, which is what balancers do that are told
// nothing.
const haproxyConfig = `
global
  stats socket %[1]s mode 600
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend clients
  bind %[2]s
  default_backend servers
backend servers
  balance roundrobin
  option httpchk GET /healthz
  http-check expect status 200
  server a %[3]s send-proxy-v2 check inter 50ms fall 2 rise 1 port %[4]s
  server b %[5]s send-proxy-v2 check inter 50ms fall 2 rise 1 port %[6]s
backend ports
  server a %[3]s send-proxy-v2 check inter 50ms
  server b %[5]s check inter 50ms
`

func startBalanced(t *testing.T) *balanced {
	t.Helper()
	db := newEtcd(t)
	dir := t.TempDir()
	b := &balanced{
		t: t, servers: make(map[string]*child.Registry), logs: make(map[string]*logText), args: make(map[string][]string), dirs: make(map[string]string),
		stats: filepath.Join(dir, "s"),
	}
	addrs := freeport.Addresses(t, 5)
	b.front = addrs[4]
	first := filepath.Join(dir, "keys")
	if r, err := b.startWith(first, io.Discard, "--ephemeral"); err != nil || r.Stop() != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a", "b"} {
		b.dirs[name] = filepath.Join(dir, name)
		if out, err := exec.Command("cp", "-a", first, b.dirs[name]).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b.logs[name] = new(logText)
		b.args[name] = []string{
			"--store", db.url("balanced"), "--listen", addrs[2*i], "--health", addrs[2*i+1], "--public", b.front,
			"--proxy-from", "127.0.0.1", "--max-connections-loopback", "2", "--log-level", "debug",
		}
		b.start(name)
	}
	b.startProxy(dir, fmt.Sprintf(haproxyConfig, b.stats, b.front, addrs[0], portOf(addrs[1]), addrs[2], portOf(addrs[3])))
	var err error
	if b.target, err = regcred.NewTarget(b.servers["a"].Cred()); err != nil {
		t.Fatal(err)
	}
	return b
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func (b *balanced) startWith(dir string, log io.Writer, args ...string) (*child.Registry, error) {
	program, err := exec.LookPath("xlreg")
	if err != nil {
		return nil, err
	}
	return child.Start(child.Config{Program: program, Data: dir, Log: log, Args: args})
}

// start starts a server, for the first time or again.
func (b *balanced) start(name string) {
	b.t.Helper()
	r, err := b.startWith(b.dirs[name], b.logs[name], b.args[name]...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.servers[name] = r
	b.t.Cleanup(func() { _ = r.Kill() })
}

func (b *balanced) startProxy(dir, config string) {
	b.t.Helper()
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		b.t.Fatal(err)
	}
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy" // which is not on everybody's path
	}
	var out logText
	cmd := exec.Command(program, "-db", "-f", path)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.t.Fatalf("%v: run make setup", err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b.t.Failed() {
			b.t.Log(out.String())
		}
	})
}

// state returns what haproxy thinks of a server: UP or DOWN.
func (b *balanced) state(backend, server string) string {
	nc, err := net.Dial("unix", b.stats)
	if err != nil {
		return ""
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "show stat\n"); err != nil {
		return ""
	}
	text, _ := io.ReadAll(nc)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, ",")
		if len(cells) > 17 && cells[0] == backend && cells[1] == server {
			return strings.Fields(cells[17] + " -")[0]
		}
	}
	return ""
}

// dial opens a session through haproxy, from a loopback address of its own.
func (b *balanced) dial(from string) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	return client.Dial(ctx, b.target, client.Options{Dialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}})
}

// Behind haproxy limits and logs see the client, checks of haproxy's are no failures, and a
// server that goes away is taken out and comes back.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	b := startBalanced(t)
	for _, name := range []string{"a", "b"} {
		await(t, name+" is up", func() bool { return b.state("servers", name) == "UP" && b.state("ports", name) == "UP" })
	}

	// Some balancers only look whether the port is open, and say nothing.
	nc, err := net.Dial("tcp", b.args["b"][3])
	if err == nil {
		err = nc.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	await(t, "checks are seen", func() bool {
		return strings.Contains(b.logs["a"].String(), "no session") && strings.Contains(b.logs["b"].String(), "a load balancer did not say")
	})

	// Two connections may come from one address to each server, and they go round.
	var open []*client.Client
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		for range 4 {
			c, err := b.dial(from)
			if err != nil {
				t.Fatalf("from %s: %v", from, err)
			}
			defer c.Close()
			open = append(open, c)
		}
		if c, err := b.dial(from); err == nil {
			_, err = c.Cluster(t.Context(), xlreg.ClusterRef{Name: "none"})
			c.Close()
			if !errors.Is(err, xlreg.ErrTooManyRequests) {
				t.Errorf("a connection too many from %s: %v", from, err)
			}
		}
	}
	for _, c := range open {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		await(t, "the log names "+from, func() bool { return strings.Contains(b.logs["a"].String(), from+":") })
	}

	if err := b.servers["a"].Stop(); err != nil {
		t.Fatal(err)
	}
	await(t, "a is taken out", func() bool { return b.state("servers", "a") == "DOWN" })
	for range 4 {
		c, err := b.dial("127.0.0.4")
		if err != nil {
			t.Fatalf("without a: %v", err)
		}
		c.Close()
	}
	b.start("a")
	await(t, "a is back", func() bool { return b.state("servers", "a") == "UP" })

	for name, log := range b.logs {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "too many connections") {
				continue // haproxy's checks have a source of their own, of which this test allows two at once
			}
			if strings.Contains(line, "127.0.0.1:") && !strings.Contains(line, `"level":"DEBUG"`) && !strings.Contains(line, "listening") {
				t.Errorf("%s logs a check of haproxy's: %s", name, line)
			}
		}
	}
}
