// Command xlreg runs a cluster registry and talks to one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/xlattice/xlreg"
)

// The exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitDeadline = 3
)

func main() {
	// A file that grows past its limit is an error of the write, as a full disk
	// is, and not the end of the registry.
	signal.Ignore(syscall.SIGXFSZ)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code. Errors go to stderr,
// one line each.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(&console{in: stdin, out: stdout, err: stderr})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "xlreg:", oneLine(err))
	return exitCode(err)
}

// errUsage marks an error of the command line itself.
var errUsage = errors.New("usage")

// usageError is an error that says how a command is used.
type usageError struct{ cause error }

func (e usageError) Error() string   { return e.cause.Error() }
func (e usageError) Unwrap() []error { return []error{e.cause, errUsage} }

func exitCode(err error) int {
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, context.DeadlineExceeded):
		return exitDeadline
	default:
		return exitFailed
	}
}

func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if advice := advice(err); advice != "" {
		text += "; " + advice
	}
	return text
}

// advice says what to do about an error that a registry answered with, where
// the error does not say so itself.
func advice(err error) string {
	kind, _ := xlreg.KindOf(err)
	return kindAdvice[kind]
}

var kindAdvice = map[xlreg.Kind]string{
	xlreg.ErrNoSuchClusterID:   "make the cluster with 'xlreg create'",
	xlreg.ErrNoSuchClusterName: "make the cluster with 'xlreg create', or join it with --create --size N",
	xlreg.ErrTooFewEndpoints:   "give more with --endpoint HOST:PORT",
	xlreg.ErrMemberNameInUse:   "use a node with another name",
	xlreg.ErrIDInUse:           "use a new node directory, or the keys that this ID belongs to",
	xlreg.ErrClusterFull:       "take another cluster name, or let a member leave",
	xlreg.ErrClusterSize:       "ask for the size it has, or take another name",
	xlreg.ErrTooManyRequests:   "wait, or have the operator raise the limit",
	xlreg.ErrIllFormedName:     "use a letter or '_' first, then letters, digits, '_', '-' and '.'",
	xlreg.ErrTryLater:          "the registry's disk may be full",
}
