//go:build unix

package run

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// tempStage is the argument of a shim that looks after a directory.
const tempStage = "temp"

// TempDir is a temporary directory. Until HandOver, it goes even if this process is killed:
// a shim removes it then. After that the shims of the programs do so, each with the part
// that its Scratch names.
type TempDir struct {
	path string
	cmd  *exec.Cmd
	pipe *os.File // its end without a word is the shim's order
}

// NewTempDir makes a directory whose name begins with prefix, below the system's one for
// temporary files.
func NewTempDir(prefix string, o Options) (*TempDir, error) {
	d := &TempDir{path: filepath.Join(os.TempDir(), prefix+strings.ToLower(rand.Text()[:12]))}
	if err := d.start(&o); err != nil {
		return nil, fmt.Errorf("temporary directory: %w", err)
	}
	if err := os.Mkdir(d.path, 0o700); err != nil {
		return nil, errors.Join(err, d.HandOver())
	}
	return d, nil
}

func (d *TempDir) start(o *Options) error {
	read, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	d.pipe = pipe
	d.cmd = &exec.Cmd{
		Path: o.ShimPath, Args: slices.Concat(o.ShimArgs, []string{tempStage, d.path}), Stdin: read,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}, // a terminal's Ctrl-C is not for it
	}
	if err := d.cmd.Start(); err != nil {
		return errors.Join(err, pipe.Close())
	}
	return nil
}

// Path returns the directory's path.
func (d *TempDir) Path() string { return d.path }

// HandOver says that others look after the directory from now on. It may be called again.
func (d *TempDir) HandOver() error {
	if d.pipe == nil {
		return nil
	}
	_, err := d.pipe.WriteString("\n")
	err = errors.Join(err, d.pipe.Close(), d.cmd.Wait())
	d.pipe = nil
	return err
}

// Close removes the directory. It may be called again.
func (d *TempDir) Close() error { return errors.Join(os.RemoveAll(d.path), d.HandOver()) }

// keepTemp is the life of a shim that looks after a directory: it removes that when the
// process that has started it is gone without a word.
func keepTemp(path string, in io.Reader) error {
	if n, _ := in.Read(make([]byte, 1)); n > 0 {
		return nil
	}
	return os.RemoveAll(path)
}
