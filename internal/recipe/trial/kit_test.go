package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/rundir"
)

// patience bounds whatever a test waits for.
const patience = 2 * time.Minute

// heavy leaves a test out that is too much for every run of the tests, unless all is asked
// for. What is missing then is a failure.
func heavy(t *testing.T) {
	t.Helper()
	if os.Getenv("XLREG_RECIPES") != "all" {
		t.Skip("'make recipes' runs this")
	}
}

// program builds xlreg, once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "xlreg-trial-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "xlreg")
	out, err := exec.Command("go", "build", "-trimpath", "-o", path, "../../../cmd/xlreg").CombinedOutput()
	if err != nil {
		return "", &buildError{string(out), err}
	}
	return path, nil
})

type buildError struct {
	out   string
	cause error
}

func (e *buildError) Error() string { return e.cause.Error() + ": " + e.out }
func (e *buildError) Unwrap() error { return e.cause }

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// cluster is a run of a recipe in a directory of its own.
type cluster struct {
	t      *testing.T
	recipe *recipe.Recipe
	dir    string
}

// newCluster returns one that has not been started yet.
func newCluster(t *testing.T, name string, programs ...string) *cluster {
	t.Helper()
	venv, err := filepath.Abs(".venv/bin")
	if err != nil {
		t.Fatal(err)
	}
	// Debian has some servers where only root looks.
	t.Setenv("PATH", strings.Join([]string{venv, os.Getenv("PATH"), "/usr/sbin"}, string(os.PathListSeparator)))
	r, err := recipe.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%v: 'make recipes' installs it", err)
		}
	}
	c := &cluster{t: t, recipe: r, dir: filepath.Join(t.TempDir(), "run")}
	t.Cleanup(c.clear)
	return c
}

// clear ends what runs, and is an error if something is left.
func (c *cluster) clear() {
	if _, err := os.Stat(filepath.Join(c.dir, "run.json")); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		path, _ := program()
		_ = exec.CommandContext(ctx, path, "stop", "--dir", c.dir).Run() // it may have ended long ago
	}
	c.nothingLeft()
}

// nothingLeft fails if there is a process that knows the directory of the run.
func (c *cluster) nothingLeft() {
	c.t.Helper()
	var left []string
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if left = processes(c.dir); len(left) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Errorf("left behind: %q", left)
}

// processes returns the command lines of those that have text in it or in the environment.
func processes(text string) []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline")
		environ, _ := os.ReadFile(dir + "/environ") // of ours it can be read
		if bytes.Contains(line, []byte(text)) || bytes.Contains(environ, []byte(text)) {
			found = append(found, filepath.Base(dir)+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// try runs xlreg, and returns what it has printed.
func (c *cluster) try(args ...string) (string, error) {
	c.t.Helper()
	path, err := program()
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cluster) must(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("xlreg %q: %v\n%s", args, err, out)
	}
	return out
}

// whole starts the cluster, lets it say itself that it is whole, and ends it.
func (c *cluster) whole(flags ...string) {
	c.t.Helper()
	args := append([]string{"run", c.recipe.Name, "--quiet", "--dir", c.dir, "--then", c.recipe.Status.Text}, flags...)
	c.t.Logf("%s", c.must(args...))
	c.nothingLeft()
}

// start starts the cluster, which then stays.
func (c *cluster) start(flags ...string) {
	c.t.Helper()
	c.must(append([]string{"run", c.recipe.Name, "--dir", c.dir, "--detach"}, flags...)...)
}

func (c *cluster) stop() {
	c.t.Helper()
	c.must("stop", "--dir", c.dir)
	c.nothingLeft()
}

// as runs a command for sh with the environment of a member, and returns what it has printed.
func (c *cluster) as(member, command string) (string, error) {
	c.t.Helper()
	return c.try("exec", member, "--dir", c.dir, "--", "sh", "-c", command)
}

// await runs a command as a member until it prints what is wanted.
func (c *cluster) await(member, command, want string) {
	c.t.Helper()
	var out string
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if out, err = c.as(member, command); err == nil && strings.Contains(out, want) {
			return
		}
	}
	c.t.Fatalf("%s: %q never printed %q: %v\n%s", member, command, want, err, out)
}

// kept is what the run keeps about its members.
func (c *cluster) kept() *rundir.Kept {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, "run.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	kept := new(rundir.Kept)
	if err := json.Unmarshal(data, kept); err != nil {
		c.t.Fatal(err)
	}
	return kept
}

// endpoint returns the address of a member's port.
func (c *cluster) endpoint(member, port string) string {
	c.t.Helper()
	kept := c.kept()
	for i, name := range kept.PortNames {
		if name == port && i < len(kept.Members[member]) {
			return kept.Members[member][i]
		}
	}
	c.t.Fatalf("%s has no port %q: %+v", member, port, kept)
	return ""
}

// file returns the path of one of a member's files.
func (c *cluster) file(member, name string) string {
	return filepath.Join(c.dir, member, "clusters", c.kept().Cluster, name)
}
