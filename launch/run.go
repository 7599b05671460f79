package launch

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

// Program is one member's program, ready to run.
type Program struct {
	Name   string // the member's
	Path   string
	Args   []string   // the first is the program's name for itself
	Env    []string   // added to this process's own
	Passed []*os.File // open ports that it is to have, as of socket activation; closed once it has them

	Stdin  *os.File  // nil: nothing to read
	Stdout io.Writer // a file is the program's own to write to; else what it writes is copied
	Stderr io.Writer // and a Closer among these is closed in the end

	// Scratch is a directory that is removed if this process is killed, and the one
	// above it as well, if nothing else is in it.
	Scratch string
}

// Options say how programs are run.
type Options struct {
	// ShimPath and ShimArgs are how this program is called so that it calls Shim. The
	// first argument is the program's name for itself.
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

// Getenv returns a variable that the program finds added to its environment.
func (p *Program) Getenv(name string) string {
	for _, v := range slices.Backward(p.Env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// Abandon frees what programs hold that are not to be run after all.
func Abandon(programs []Program) error {
	var errs []error
	for i := range programs {
		errs = append(errs, closeAll(programs[i].Passed))
	}
	return errors.Join(errs...)
}
