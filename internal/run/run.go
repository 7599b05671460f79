package run

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// DefaultGrace is how long a program has to end after SIGTERM.
	DefaultGrace = 10 * time.Second
	// DefaultLinger is how long programs may go on after another one has ended well.
	DefaultLinger = 2 * time.Second
	// DefaultReadyTimeout is how long a program may take to become ready.
	DefaultReadyTimeout = time.Minute
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

	// Ready says when the program is ready; nil: as soon as it runs.
	Ready *Ready
	// Release is called right before the program is started for the first time: it lets
	// go of the ports that were held for it. It may be nil.
	Release func() error
	// Shared are the base names of executables that the program may start for all
	// programs, and that stay until the last of them has ended, as Erlang's epmd has to.
	// Only Linux lets a shim find them.
	Shared []string
}

// Options say how programs are run.
type Options struct {
	// ShimPath and ShimArgs are the command line that makes this program call shim.Run.
	// The first argument is the program's name for itself.
	ShimPath string
	ShimArgs []string
	// KeepGoing leaves the other programs alone when one ends.
	KeepGoing bool
	// First lets the other programs wait until the first is ready.
	First bool
	// Restart says which programs are started again after they have failed.
	Restart Restart
	// Grace is how long a program has from the first signal, or from being told to end,
	// to SIGKILL, and Linger how long programs may go on after one has ended well, if not
	// KeepGoing. 0 is the default.
	Grace, Linger time.Duration
	// Signals are passed on to the programs. After the first, which starts the grace,
	// nothing is started any more; the second kills. SIGHUP is passed on and no more,
	// unless HangupEnds: then it is as the others.
	Signals    <-chan os.Signal
	HangupEnds bool
	// Killing begins when the second signal kills the programs. A command that Once runs with the
	// same Killing, as for AfterReady, Then and checks, is killed then too, whatever is left of its
	// grace. nil: it is not.
	Killing *Killing
	// Stuck is called if somebody has told the run to end, and it has not after all the time
	// that programs may take: then it waits for whoever reads their output, or for Tell. It
	// may end this process, which leaves nothing behind. nil: All goes on waiting.
	Stuck func()
	// Release is called when everything is prepared, right before the first program
	// starts.
	Release func() error
	// Mark is in the environment of all that is started: by it what is left is found if this
	// process and shims are killed. It is one of NewMark's; empty: one is made.
	Mark string
	// Scratch is a directory to remove if this process is killed, once all programs with its
	// mark are gone; empty: there is none.
	Scratch string
	// Tell hears of everything that happens, one call at a time and in order.
	Tell func(Event)
	// AfterReady is called once all programs are ready. If it fails, that ends the run and
	// is its error. Then is called after that. When it returns the run ends, and its error
	// is the run's, nil too. The context of both ends when the run does; programs that end
	// well do not end a run that has a Then.
	AfterReady, Then func(context.Context) error
	// Commands are carried out while programs run.
	Commands <-chan Command
}

func (o *Options) withDefaults() Options {
	d := *o
	if d.Grace == 0 {
		d.Grace = DefaultGrace
	}
	if d.Linger == 0 {
		d.Linger = DefaultLinger
	}
	if d.Mark == "" {
		d.Mark = NewMark()
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
