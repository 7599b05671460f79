package run

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// DefaultGrace is how long a program has to end after SIGTERM.
	DefaultGrace = 5 * time.Second
	// DefaultLinger is how long programs may go on after another one has ended well.
	DefaultLinger = 2 * time.Second
)

// ErrUnixOnly says that programs cannot be run on this system, which has no process
// groups to run them in.
var ErrUnixOnly = errors.New("programs are run on Unix only")

// Program is a program that is ready to run.
type Program struct {
	Name   string // to tell it from the others, in errors and lists of processes
	Path   string
	Args   []string   // the first is the program's name for itself
	Env    []string   // added to this process's own
	Passed []*os.File // open ports to hand over, as socket activation does; closed once the program has them

	Stdin  *os.File  // nil: nothing to read
	Stdout io.Writer // a file is given to the program itself; for any other Writer its output is copied,
	Stderr io.Writer // and one that is an io.Closer is closed after the last of it

	// Scratch is a directory to remove if this process is killed, together with its
	// parent if that is empty then.
	Scratch string
}

// Options say how programs are run.
type Options struct {
	// ShimPath and ShimArgs are the command line that makes this program call Shim.
	// The first argument is the program's name for itself.
	ShimPath string
	ShimArgs []string
	// KeepGoing leaves the other programs alone when one ends.
	KeepGoing bool
	// Grace is how long a program has from SIGTERM to SIGKILL, and Linger how long
	// programs may go on after one has ended well, if not KeepGoing. 0 is the default.
	Grace, Linger time.Duration
	// Signals are passed on to the programs; from the second on they are killed.
	Signals <-chan os.Signal
	// Release is called when everything is ready, right before the programs start:
	// it lets go of the ports that were held for them.
	Release func() error
}

func (o *Options) withDefaults() Options {
	d := *o
	if d.Grace == 0 {
		d.Grace = DefaultGrace
	}
	if d.Linger == 0 {
		d.Linger = DefaultLinger
	}
	return d
}

// Getenv returns a variable of Env.
func (p *Program) Getenv(name string) string {
	for _, v := range slices.Backward(p.Env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// Abandon frees what programs hold, if they are not to be run after all.
func Abandon(programs []Program) error {
	var errs []error
	for i := range programs {
		errs = append(errs, closeAll(programs[i].Passed))
	}
	return errors.Join(errs...)
}
