// Package examples holds the examples against the real programs.
package examples

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/xlregtest"
)

// goEnv says where Go and the tests keep what takes long to make, for machines with
// another home. Without paths in it, what is compiled here serves a copy of the source too.
var goEnv = map[string]string{"GOFLAGS": "-trimpath"}

func TestMain(m *testing.M) {
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			panic(err)
		}
		goEnv[name] = strings.TrimSpace(string(out))
	}
	dir, err := os.MkdirTemp("", "xlreg-examples-")
	if err != nil {
		panic(err)
	}
	// Debian has nats-server where only root looks.
	path := strings.Join([]string{dir, os.Getenv("PATH"), "/usr/sbin"}, string(os.PathListSeparator))
	for name, value := range map[string]string{"PATH": path} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := 1
	if out, err := exec.Command("go", "build", "-trimpath", "-o", dir, "../cmd/xlreg", "./hello").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s", out)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// testTime bounds what a test waits for.
const testTime = 2 * time.Minute

// command returns a program that is killed when the test has taken too long, and
// in a way that lets it clear up. What it leaves behind holds its output open, and
// so is seen.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// output is what a program writes, to be looked at while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// until tries something until it works. Programs that are not ours do not say when
// they are ready.
func until(t *testing.T, what string, works func() error) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	timeout := time.After(testTime)
	for {
		err := works()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-timeout:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// running is a cluster of three that 'xlreg run' has started.
type running struct {
	dir       string
	out       *output
	endpoints [3][]xlreg.Endpoint
}

// files are those by which somebody shows who it is.
type files struct{ cert, key string }

// start starts a program as a cluster of three, which ends with the test.
func start(t *testing.T, program ...string) *running {
	t.Helper()
	r := &running{dir: t.TempDir(), out: new(output)}
	cmd := command(t, "xlreg", append([]string{"run", "-n", "3", "--ports", "2", "--cluster", "demo", "--dir", r.dir, "--"}, program...)...)
	cmd.Stdout, cmd.Stderr = r.out, r.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(r.out)
		}
	})
	until(t, "roster", func() error { return r.readRoster() })
	return r
}

// of returns a member's files, and who it trusts.
func (r *running) of(member string) (own files, peers string) {
	dir := filepath.Join(r.dir, member, "clusters", "demo")
	return files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}, filepath.Join(dir, "peers.pem")
}

func (r *running) readRoster() error {
	data, err := os.ReadFile(filepath.Join(r.dir, "m2", "clusters", "demo", "roster.json"))
	if err != nil {
		return err
	}
	var roster struct {
		Members []struct{ Endpoints []xlreg.Endpoint }
	}
	if err := json.Unmarshal(data, &roster); err != nil {
		return err
	}
	for i, m := range roster.Members {
		r.endpoints[i] = m.Endpoints
	}
	return nil
}

// strangers are those who have no business in a cluster: somebody of a member's
// name, and a member of that name in another cluster.
func strangers(t *testing.T) map[string]files {
	t.Helper()
	self := xlregtest.Node(t, "m0")
	if err := self.SetEndpoints([]xlreg.Endpoint{"127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	return map[string]files{
		"a stranger":      filesOf(t, self),
		"another cluster": filesOf(t, xlregtest.Cluster(t, 2)[0].Node()),
	}
}

func filesOf(t *testing.T, node *identity.Node) files {
	t.Helper()
	dir := t.TempDir()
	f := files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	cert, err := node.Certificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.EncodePrivate(node.Keys().Sig)
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{f.cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), f.key: key} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}
