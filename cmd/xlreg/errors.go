package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/run"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDeadline    = 3
	exitInterrupted = 130 // what shells say of a program that Ctrl-C ended
)

// errDeadline marks the end of the time that --wait gave. Other times that run out, of
// requests for example, are failures like any other.
var errDeadline = errors.New("deadline passed")

// afterWait marks the end of a wait that took as long as it was given.
func afterWait(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return cli.Mark(err, errDeadline)
	}
	return err
}

func exitCode(err error) int {
	var program *run.ExitError
	switch {
	case errors.As(err, &program):
		return program.Status()
	case errors.Is(err, cli.ErrUsage):
		return exitUsage
	case errors.Is(err, errDeadline):
		return exitDeadline
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitFailed
	}
}

// oneLine says what is wrong and what to do, in the words of people.
func oneLine(err error) string {
	if exitCode(err) == exitInterrupted {
		return "interrupted" // all else is only where that happened
	}
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	text := strings.Join(lines, "; ")
	text = strings.ReplaceAll(text, context.DeadlineExceeded.Error(), "time is up")
	if advice := adviceOn(err); advice != "" {
		text += "; " + advice
	}
	return strings.Map(printable, text)
}

// printable keeps what a registry sends from giving orders to the terminal.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '?'
}

// adviceOn says what to do about an error that does not say so itself.
func adviceOn(err error) string {
	for _, a := range advices {
		if errors.Is(err, a.about) {
			return a.text
		}
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return "see that the registry runs there, and that --registry is the right one"
	}
	return ""
}

// advices has the first that fits for each error, the more special ones first.
var advices = []struct {
	about error
	text  string
}{
	{errOtherRun, ""}, // says it itself
	{xlreg.ErrNoSuchClusterID, "make the cluster with 'xlreg create'"},
	{xlreg.ErrNoSuchClusterName, "make the cluster with 'xlreg create', or with 'xlreg join --create --size N'"},
	{xlreg.ErrTooFewEndpoints, "give more with --endpoint HOST:PORT"},
	{xlreg.ErrMemberNameInUse, "use a node with another name"},
	{xlreg.ErrIDInUse, "use a new node directory, or the keys that this ID belongs to"},
	{xlreg.ErrClusterFull, "take another cluster, or let a member leave"},
	{xlreg.ErrClusterSize, "ask for the size it has, or take another name"},
	{xlreg.ErrTooManyRequests, "wait, or have the operator raise the limit"},
	{xlreg.ErrIllFormedName, "use a letter or '_' first, then letters, digits, '_', '-' and '.'"},
	{xlreg.ErrTryLater, "if that goes on, see whether the registry's disk is full"},
	{client.ErrOriginalRegistry, "say which with --protocol"},
	{client.ErrNeeds20, "leave --protocol away, if the registry speaks 2.0"},
	{client.ErrAddress, "give with --endpoint an address where the others reach this member"},
	{client.ErrUntrusted, "if its keys are new, get its credentials anew from someone you trust"},
	{client.ErrHandshake, "see that it is a registry, and that it speaks the protocol chosen"},
	{identity.ErrExists, "look at it with 'xlreg node show', or use another directory"},
	{syscall.EADDRINUSE, "stop the program that has the port, or choose another with --listen"},
}

// requestTime bounds a command that does not wait for members.
const requestTime = 10 * time.Second
