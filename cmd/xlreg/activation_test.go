//go:build linux

package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/internal/freeport"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// serviceManager hears what a registry tells it.
type serviceManager struct {
	t    *testing.T
	path string
	nc   *net.UnixConn
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	nc, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &serviceManager{t, path, nc}
}

// until receives messages until one has the line, and returns the lines of that one.
func (m *serviceManager) until(line string) []string {
	m.t.Helper()
	b := make([]byte, 4096)
	for {
		if err := m.nc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			m.t.Fatal(err)
		}
		n, err := m.nc.Read(b)
		if err != nil {
			m.t.Fatalf("waiting for %s: %v", line, err)
		}
		if lines := strings.Split(string(b[:n]), "\n"); slices.Contains(lines, line) {
			return lines
		}
	}
}

// activated is a registry whose sockets systemd has opened.
type activated struct {
	t   *testing.T
	cmd *exec.Cmd
	log bytes.Buffer
}

// activate has systemd's own program listen at addresses, and start a registry when
// somebody connects to one.
func activate(t *testing.T, names string, addrs, env []string, args ...string) *activated {
	t.Helper()
	program, err := exec.LookPath("xlreg")
	if err != nil {
		t.Fatal(err)
	}
	a := &activated{t: t}
	line := []string{"--fdname=" + names}
	for _, addr := range addrs {
		line = append(line, "-l", addr)
	}
	for _, v := range env {
		line = append(line, "-E", v)
	}
	a.cmd = exec.Command("systemd-socket-activate", append(append(line, program, "serve"), args...)...)
	a.cmd.Stderr = &a.log
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
	})
	a.knock(addrs[0])
	return a
}

// knock connects to an address, as soon as somebody listens there.
func (a *activated) knock(addr string) {
	a.t.Helper()
	await(a.t, addr+" is open", func() bool {
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			a.t.Cleanup(func() { nc.Close() })
		}
		return err == nil
	})
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	end, looks := time.After(time.Minute), time.NewTicker(10*time.Millisecond)
	defer looks.Stop()
	for !holds() {
		select {
		case <-looks.C:
		case <-end:
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// A registry that systemd starts serves the sockets that it is passed, and tells how it is
// and what it does.
func TestServeUnderServiceManager(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	addrs := freeport.Addresses(t, 2)
	data := filepath.Join(t.TempDir(), "data")
	env := []string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=100000"}
	a := activate(t, "xlreg.socket:health", addrs, env, "--ephemeral", "--data", data)
	m.until("STATUS=opens the data")
	ready := m.until("READY=1")
	if len(ready) != 2 || !strings.HasPrefix(ready[1], "STATUS=serves clients: ") {
		t.Errorf("ready with %q", ready)
	}
	m.until("WATCHDOG=1")

	cred, err := regcred.Read(filepath.Join(data, datadir.CredFile))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := keys.Fingerprint(cred.SigKey)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"xlreg", "cred", "fetch", addrs[0], "--sig", sig}, nil, &out, &errs); code != exitDone {
		t.Errorf("fetch: %s", errs.String())
	}
	if !strings.Contains(out.String(), addrs[0]) {
		t.Errorf("the credentials do not name %s:\n%s", addrs[0], out.String())
	}
	if got := health(t, addrs[1]); got != http.StatusOK {
		t.Errorf("health: %d", got)
	}
	m.until("WATCHDOG=1")

	if err := a.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if reloading := m.until("RELOADING=1"); len(reloading) != 2 || !strings.HasPrefix(reloading[1], "MONOTONIC_USEC=") {
		t.Errorf("reloads with %q", reloading)
	}
	m.until("READY=1")

	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.until("STOPPING=1")
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, a.log.String())
	}
}

func health(t *testing.T, addr string) int {
	t.Helper()
	reply, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, reply.Body)
	reply.Body.Close()
	return reply.StatusCode
}

// Sockets that nothing would be served on, and flags that sockets would overrule, are
// errors.
func TestServeRefusesSockets(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		names string
		args  []string
		want  string
	}{
		"unknown name":   {"registry:healht", nil, `a socket named "healht": want registry, http or health`},
		"two of a kind":  {"health:health", nil, "2 sockets named health, want one"},
		"listen as well": {"registry:health", []string{"--listen", "127.0.0.1:0"}, "--listen 127.0.0.1:0: the service manager has passed sockets"},
		"health as well": {"registry:health", []string{"--health", "127.0.0.1:0"}, "the service manager has passed a socket named health"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			a := activate(t, c.names, freeport.Addresses(t, 2), nil, append([]string{"--ephemeral", "--data", data}, c.args...)...)
			err := a.cmd.Wait()
			if err == nil || !strings.Contains(a.log.String(), c.want) {
				t.Errorf("%v:\n%s", err, a.log.String())
			}
		})
	}
}

// What was meant for a process that is no more, or another, is not taken over.
func TestSocketsOfAnotherProcess(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "2")
	p, err := takeSockets()
	if err != nil || len(p) > 0 {
		t.Errorf("took over %v, %v", p, err)
	}
	if _, ok := os.LookupEnv("LISTEN_FDS"); ok {
		t.Error("the variable is left for others")
	}
}
