// Package etcdtest starts clusters of real etcd members for tests, and does to them
// what happens to machines: members stop, are killed, hang and come back, the leader
// moves, and history is compacted.
package etcdtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/xlattice/xlreg/internal/freeport"
)

// patience bounds every wait for something that must happen.
const patience = 2 * time.Minute

// Options are what a cluster is like. The zero value is one member that does not wait
// for its disk.
type Options struct {
	Members int      // 0: one
	Fsync   bool     // wait for the disk at each commit, as etcd does unless told otherwise
	Args    []string // more flags of etcd, of each member
	// CA, Cert and Key are files for TLS between clients and members; empty: none.
	CA, Cert, Key string
	// Hosts are the IP addresses of the members; empty: 127.0.0.1 for all.
	Hosts []string
	// Wrap is what each member is started with, such as ip netns exec NAME. It must
	// become etcd by exec.
	Wrap func(member int) []string
}

// Cluster is a cluster of etcd that runs. It ends with its test.
type Cluster struct {
	t       testing.TB
	options Options
	members []*Member
	client  *clientv3.Client
}

// Member is one member of a cluster. One goroutine may use it at a time.
type Member struct {
	t        testing.TB
	args     []string
	endpoint string // host:port for clients
	log      string // the file that it writes to
	data     string // its data directory
	cmd      *exec.Cmd
	exited   chan struct{}
}

// Start starts a cluster and returns when it has a leader.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	o.Members = max(o.Members, 1)
	c := &Cluster{t: t, options: o}
	dir := t.TempDir()
	clients, peers := c.addresses(), c.addresses()
	var initial []string
	for i, peer := range peers {
		initial = append(initial, fmt.Sprintf("m%d=http://%s", i, peer))
	}
	for i := range o.Members {
		m := &Member{t: t, endpoint: clients[i], log: filepath.Join(dir, fmt.Sprintf("m%d.log", i)), data: filepath.Join(dir, fmt.Sprintf("m%d", i))}
		m.args = c.args(i, dir, clients[i], peers[i], strings.Join(initial, ","))
		c.members = append(c.members, m)
		t.Cleanup(m.Kill)
		m.start()
	}
	c.WaitReady()
	return c
}

func (c *Cluster) args(i int, dir, client, peer, initial string) []string {
	scheme := "http://"
	if c.options.Cert != "" {
		scheme = "https://"
	}
	var args []string
	if c.options.Wrap != nil {
		args = c.options.Wrap(i)
	}
	args = append(args, "etcd", "--name", fmt.Sprintf("m%d", i), "--data-dir", filepath.Join(dir, fmt.Sprintf("m%d", i)),
		"--listen-client-urls", scheme+client, "--advertise-client-urls", scheme+client,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer,
		"--initial-cluster", initial, "--initial-cluster-token", filepath.Base(dir), "--logger", "zap")
	if !c.options.Fsync {
		args = append(args, "--unsafe-no-fsync")
	}
	if c.options.Cert != "" {
		args = append(args, "--cert-file", c.options.Cert, "--key-file", c.options.Key,
			"--trusted-ca-file", c.options.CA, "--client-cert-auth")
	}
	return append(args, c.options.Args...)
}

// addresses returns a free one for each member. On another host the ports are fixed,
// since nobody else is there.
func (c *Cluster) addresses() []string {
	c.t.Helper()
	all := make([]string, c.options.Members)
	for i := range all {
		host := "127.0.0.1"
		if len(c.options.Hosts) > 0 {
			host = c.options.Hosts[i]
		}
		all[i] = net.JoinHostPort(host, strconv.Itoa(freeport.For(c.t)))
	}
	return all
}

// Endpoints returns the client addresses of all members.
func (c *Cluster) Endpoints() []string {
	ends := make([]string, len(c.members))
	for i, m := range c.members {
		ends[i] = m.endpoint
	}
	return ends
}

// URL returns what a registry calls a store in this cluster.
func (c *Cluster) URL(prefix string) string {
	return "etcd://" + strings.Join(c.Endpoints(), ",") + "/" + prefix
}

// Member returns one member, counted from 0.
func (c *Cluster) Member(i int) *Member { return c.members[i] }

// Members is how many there are.
func (c *Cluster) Members() int { return len(c.members) }

// Endpoint returns the member's client address.
func (m *Member) Endpoint() string { return m.endpoint }

func (m *Member) start() {
	m.t.Helper()
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	m.cmd = exec.CommandContext(context.Background(), m.args[0], m.args[1:]...) //nolint:gosec // Kill ends it
	m.cmd.Stdout, m.cmd.Stderr = log, log
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	cmd, exited := m.cmd, make(chan struct{})
	m.exited = exited
	go func() { // Kill and Stop wait for it
		defer close(exited)
		_ = cmd.Wait()
	}()
}

// Kill ends the member without a warning, if it runs.
func (m *Member) Kill() { m.signal(syscall.SIGKILL) }

// Stop asks the member to end, and waits until it has.
func (m *Member) Stop() { m.signal(syscall.SIGTERM) }

func (m *Member) signal(s syscall.Signal) {
	_ = m.cmd.Process.Signal(s) // fails only if it has ended
	<-m.exited
}

// Pause lets the member hang: its connections stay, and nothing answers.
func (m *Member) Pause() { m.mustSignal(sigPause) }

// Resume lets a paused member go on.
func (m *Member) Resume() { m.mustSignal(sigResume) }

func (m *Member) mustSignal(s syscall.Signal) {
	m.t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
}

// Restart starts the member again, after Kill or Stop.
func (m *Member) Restart() {
	m.t.Helper()
	m.start()
}

// Wipe takes away what a member that does not run has kept. A cluster of one begins
// anew with that, at the first revision.
func (m *Member) Wipe() {
	m.t.Helper()
	if err := os.RemoveAll(m.data); err != nil {
		m.t.Fatal(err)
	}
}

// Log returns what the member has written.
func (m *Member) Log() string {
	content, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// Client returns a client of all members, for what a test does behind a store's back.
func (c *Cluster) Client() *clientv3.Client {
	c.t.Helper()
	if c.client == nil {
		c.client = c.dial(c.Endpoints(), "", "")
	}
	return c.client
}

// As returns a client that has logged in.
func (c *Cluster) As(user, password string) *clientv3.Client {
	c.t.Helper()
	return c.dial(c.Endpoints(), user, password)
}

func (c *Cluster) dial(endpoints []string, user, password string) *clientv3.Client {
	c.t.Helper()
	cfg := clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(), DialTimeout: patience, Username: user, Password: password,
	}
	var err error
	if cfg.TLS, err = c.options.tls(); err != nil {
		c.t.Fatal(err)
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}
