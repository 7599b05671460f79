// Package child runs registries as processes of their own, for the tests and
// benchmarks that kill them, flood them, or measure what they use.
package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/regcred"
)

// module is where the program is built from.
const module = "github.com/xlattice/xlreg"

// Build builds the program xlreg into dir with the go command, and returns its
// path. The working directory is anywhere inside the module.
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "xlreg")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, module+"/cmd/xlreg").CombinedOutput() //nolint:gosec // the path is the caller's
	if err != nil {
		return "", fmt.Errorf("build xlreg: %w: %s", err, out)
	}
	return path, nil
}

// Config says which registry to start.
type Config struct {
	Program string   // path of xlreg
	Data    string   // its data directory
	Listen  string   // empty: a free port of 127.0.0.1
	Args    []string // more flags of xlreg serve
	Env     []string // beside that of this process
	Log     io.Writer
	// Wrap is a command that the registry is started with, such as prlimit. It
	// must become the registry, by exec, or signals would not reach that.
	Wrap []string
}

// Registry is a registry that runs. One goroutine may use it at a time.
type Registry struct {
	cmd    *exec.Cmd
	listen string
	cred   *xlreg.Credentials
	read   chan struct{} // closed when the log has been read to its end
	wait   func() error
	kept   *tail
}

// Start starts a registry and returns when it is open.
func Start(cfg Config) (*Registry, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	args := append(append([]string{}, cfg.Wrap...), cfg.Program, "serve", "--data", cfg.Data, "--listen", cfg.Listen)
	args = append(args, cfg.Args...)
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...) //nolint:gosec // what the caller says; Kill and Stop end it
	cmd.Env = append(os.Environ(), cfg.Env...)
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &Registry{cmd: cmd, read: make(chan struct{}), kept: &tail{to: cfg.Log}}
	r.wait = sync.OnceValue(func() error {
		<-r.read
		return cmd.Wait()
	})
	open := make(chan *opened, 1)
	go r.follow(log, open)
	at, ok := <-open
	if !ok {
		return nil, fmt.Errorf("registry did not open: %w: %s", r.wait(), r.kept)
	}
	r.listen = at.Listening[0]
	if r.cred, err = regcred.Read(at.RegCred); err != nil {
		return nil, errors.Join(err, r.Kill())
	}
	return r, nil
}

// opened is the line by which a registry says that it is open.
type opened struct {
	Msg       string   `json:"msg"`
	Listening []string `json:"listening"`
	RegCred   string   `json:"reg_cred"`
}

// follow reads the log until its end, so that the registry never waits for us.
func (r *Registry) follow(log io.Reader, open chan<- *opened) {
	defer close(r.read)
	defer close(open)
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	found := false
	for lines.Scan() {
		r.kept.add(lines.Text())
		at := new(opened)
		if !found && json.Unmarshal(lines.Bytes(), at) == nil && at.Msg == "registry is open" && len(at.Listening) > 0 {
			found = true
			open <- at
		}
	}
	_, _ = io.Copy(io.Discard, log)
}

// Cred returns what clients need.
func (r *Registry) Cred() *xlreg.Credentials { return r.cred }

// Listen returns the address that the registry listens on, with which another
// can be started in its place.
func (r *Registry) Listen() string { return r.listen }

// PID returns the number of the process.
func (r *Registry) PID() int { return r.cmd.Process.Pid }

// LogTail returns the last lines of the registry's log.
func (r *Registry) LogTail() string { return r.kept.String() }

// Wait waits until the registry has ended by itself, and returns how. It may be called
// again.
func (r *Registry) Wait() error { return r.wait() }

// Kill ends the registry by SIGKILL and waits for its end. It may be called
// again, and after Stop.
func (r *Registry) Kill() error {
	_ = r.cmd.Process.Kill() // has ended already
	var exit *exec.ExitError
	if err := r.wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// Stop ends the registry by SIGTERM and waits for its end, which has to be an
// orderly one. It may be called again.
func (r *Registry) Stop() error {
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // has ended already
	if err := r.wait(); err != nil {
		return fmt.Errorf("stop registry: %w: %s", err, r.kept)
	}
	return nil
}

// tailLines is how much of a log is kept to show.
const tailLines = 40

// tail keeps the end of a log, and passes all of it on.
type tail struct {
	to io.Writer // or nil

	mu    sync.Mutex
	lines []string // guarded by mu
}

func (t *tail) add(line string) {
	if t.to != nil {
		fmt.Fprintln(t.to, line)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
