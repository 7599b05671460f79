//go:build unix

package run

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run/proc"
	"github.com/xlattice/xlreg/internal/run/shim"
)

// mostTempShims bounds how often a shim that was killed is replaced.
const mostTempShims = 100

// TempDir is a temporary directory, which goes even if this process is killed: then a shim
// removes it, once all programs with the mark of the options are gone.
type TempDir struct {
	path  string
	start func() (*tempShim, error)
	guard sync.WaitGroup // it replaces a shim that is killed

	mu     sync.Mutex
	keeper *tempShim // guarded by mu, as is closed
	closed bool
}

// tempShim is a shim that looks after a directory.
type tempShim struct {
	cmd  *exec.Cmd
	pipe *os.File // its end without a word is the shim's order
}

// NewTempDir makes a directory whose name begins with prefix, below the system's one for
// temporary files.
func NewTempDir(prefix string, o Options) (*TempDir, error) {
	o = o.withDefaults()
	d := &TempDir{path: filepath.Join(os.TempDir(), prefix+strings.ToLower(rand.Text()[:tempRandom]))}
	d.start = func() (*tempShim, error) { return startTempShim(d.path, &o) }
	var err error
	if d.keeper, err = d.start(); err != nil {
		return nil, fmt.Errorf("temporary directory: %w", err)
	}
	d.guard.Go(d.watch)
	if err := os.Mkdir(d.path, 0o700); err != nil {
		d.dismiss()
		return nil, err
	}
	if err := os.Chmod(d.path, 0o700); err != nil { //nolint:gosec // a directory; whatever the umask is
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// tempRandom is how many letters and digits of a temporary directory's name are random.
const tempRandom = 12

// TempDirs returns the paths of what has a name as of NewTempDir. It may be anything, and
// anybody's.
func TempDirs(prefix string) ([]string, error) {
	dir, err := os.Open(os.TempDir())
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	var all []string
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, prefix); ok && len(rest) == tempRandom && strings.Trim(rest, tempAlphabet) == "" {
			all = append(all, filepath.Join(os.TempDir(), name))
		}
	}
	return all, err
}

// tempAlphabet has the letters and digits of [rand.Text], as they are in names.
const tempAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

func startTempShim(path string, o *Options) (*tempShim, error) {
	read, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd := &exec.Cmd{
		Path: proc.Self(o.ShimPath), Args: slices.Concat(o.ShimArgs, []string{shim.TempStage, path, o.Mark, o.Grace.String()}), Stdin: read,
		Env:         proc.WithoutMark(os.Environ()),      // so that it is no leftover of a run that this one is inside of
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}, // a terminal's Ctrl-C is not for it
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(shim.ExplainStart(err), pipe.Close())
	}
	return &tempShim{cmd, pipe}, nil
}

// watch replaces a shim that ends though the directory is still needed.
func (d *TempDir) watch() {
	for range mostTempShims {
		_ = d.current().cmd.Wait() // however it ended
		if !d.replace() {
			return
		}
	}
}

func (d *TempDir) current() *tempShim {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keeper
}

func (d *TempDir) replace() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	next, err := d.start()
	if err != nil {
		return false // the shims of the programs have to do
	}
	_ = d.keeper.pipe.Close()
	d.keeper = next
	return true
}

// Path returns the directory's path.
func (d *TempDir) Path() string { return d.path }

// Close removes the directory. It may be called again.
func (d *TempDir) Close() error {
	err := os.RemoveAll(d.path)
	d.dismiss()
	return err
}

// dismiss ends the shim, which has nothing to do any more. It may be called again.
func (d *TempDir) dismiss() {
	d.mu.Lock()
	last := d.keeper
	if !d.closed {
		d.closed = true
		_, _ = last.pipe.WriteString("\n") // it may have been killed
		_ = last.pipe.Close()
	}
	d.mu.Unlock()
	limit := time.AfterFunc(shim.Margin, func() { _ = last.cmd.Process.Kill() })
	defer limit.Stop()
	d.guard.Wait()
}
