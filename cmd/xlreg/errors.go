package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/detach"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/ticket"
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
	var detached *detach.Error
	switch {
	case errors.As(err, &detached):
		return detached.Exit
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

// tellError writes what is wrong: one line for people, an object for scripts.
func tellError(w io.Writer, err error, asJSON bool) {
	if !asJSON {
		fmt.Fprintln(w, "xlreg:", oneLine(err))
		return
	}
	v := errorJSON{Error: oneLine(err), Exit: exitCode(err), RetryMillis: xlreg.RetryAfter(err).Milliseconds()}
	if kind, ok := xlreg.KindOf(err); ok {
		v.Kind = kind.Error()
	}
	if problem := (*adminclient.Problem)(nil); errors.As(err, &problem) {
		v.Kind = problem.Name
	}
	tellJSON(w, v)
}

// tellJSON writes v in one line, since there may be others before it.
func tellJSON(w io.Writer, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(`{"error": "not to be told"}`) // no type of ours comes to that
	}
	fmt.Fprintln(w, string(text))
}

// errorJSON is an error as scripts read it.
type errorJSON struct {
	Error       string `json:"error"`                 // what people read
	Exit        int    `json:"exit"`                  // the exit code
	Kind        string `json:"kind,omitempty"`        // the registry's word for it, from a closed set
	RetryMillis int64  `json:"retryMillis,omitempty"` // when the registry says to come back
}

// wantsJSON reports whether the command line or the environment asks for JSON. It looks
// by itself, as it is needed for command lines that cannot be read, too.
func wantsJSON(args []string) bool {
	format := os.Getenv("XLREG_OUTPUT")
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if value, ok := outputValue(arg, args[i+1:]); ok {
			format = value
		}
	}
	return format == "json"
}

// outputValue reads --output in all the forms that a flag can have.
func outputValue(arg string, next []string) (string, bool) {
	if arg == "-o" || arg == "--output" {
		return strings.Join(next[:min(1, len(next))], ""), true
	}
	if value, ok := strings.CutPrefix(arg, "--output="); ok {
		return value, true
	}
	value, ok := strings.CutPrefix(arg, "-o")
	return strings.TrimPrefix(value, "="), ok
}

// seatKeptError is what ends a wait that was interrupted after the node had joined.
type seatKeptError struct {
	note  string
	cause error
}

func (e *seatKeptError) Error() string { return "interrupted; " + e.note }
func (e *seatKeptError) Unwrap() error { return e.cause }

// seatKept says of an interrupted wait that the node keeps its seat all the same, and how
// to give it up.
func (g *globals) seatKept(err error, node, cluster xlreg.Name, words string) error {
	note := fmt.Sprintf("%s keeps its seat in %s: run the same command again to go on waiting", node, cluster)
	if !g.Protocol.Classic() {
		note += fmt.Sprintf(", and 'xlreg leave %s%s' gives it up", words, g.nodeFlag())
	}
	return &seatKeptError{note, err}
}

// nodeFlag returns the flag that names this node in another command.
func (g *globals) nodeFlag() string {
	if g.Node == "" {
		return ""
	}
	return " --node " + launch.Quote(g.Node)
}

// oneLine says what is wrong and what to do, in the words of people.
func oneLine(err error) string {
	if kept := (*seatKeptError)(nil); errors.As(err, &kept) {
		return cli.Printable(kept.Error())
	}
	if exitCode(err) == exitInterrupted {
		return "interrupted" // all else is only where that happened
	}
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	text := strings.Join(lines, "; ")
	text = strings.ReplaceAll(text, context.DeadlineExceeded.Error(), "time is up")
	if advice := adviceOn(err); advice != "" {
		text += "; " + advice
	}
	if retry := xlreg.RetryAfter(err); retry > 0 {
		text += fmt.Sprintf("; come back in %v", max(retry.Round(time.Second), time.Second))
	}
	return cli.Printable(text)
}

// adviceOn says what to do about an error that does not say so itself.
func adviceOn(err error) string {
	for _, a := range advices {
		if errors.Is(err, a.about) {
			return a.text
		}
	}
	if late := (*run.NotReadyError)(nil); errors.As(err, &late) {
		return "" // its cause is not ours
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
	{syscall.ENOSPC, "make room on that disk, or choose another place"},
	{syscall.EDQUOT, "make room within your quota, or choose another place"},
	{syscall.EMFILE, "raise the limit of open files with 'ulimit -n'"},
	{syscall.ENFILE, "this machine has too many open files: end programs, or raise its limit"},
	{client.ErrContradiction, "keep both files, they are the proof; trust this registry no more"},
	{client.ErrBadDocument, "see that --registry or the ticket is that of the registry which signed it, and that the file is whole"},
	{client.ErrBadSaved, "join again while the registry is there, and the file is made anew"},
	{errUnreadable, "join again while the registry is there, and the file is made anew"},
	{client.ErrOtherRoster, "keep what 'xlreg get --signed' writes on each machine, and compare the files with 'xlreg verify'"},
	{client.ErrNewEpoch, "start it again, and it joins the new epoch"},
	{ticket.ErrNotOwner, "ask the cluster's owner"},
	{ticket.ErrReader, ""},   // says it itself
	{ticket.ErrOtherKey, ""}, // likewise
	{errNoWay, "see that the network of this machine is up, or say where the member is with --endpoint HOST:PORT"},
	{xlreg.ErrMemberIDInUse, "if the other one is a copy of this machine, make a new node for one of them with --node NEWDIR; if it is an old start of this program, stop it or say --take-over"},
	{xlreg.ErrNotAdmitted, "ask the cluster's owner for an invite, or for a ticket for this node"},
	{xlreg.ErrOrdersChanged, "the owner's ticket was used elsewhere at the same time: look with 'xlreg get' and order again"},
	{xlreg.ErrRegistryFull, "ask the registry's operator for more room, or delete clusters that are not needed"},
	{xlreg.ErrKeyNotAdmitted, "this registry takes the keys that it was started with, and no others"},
	{xlreg.ErrNoSuchClusterID, "make the cluster with 'xlreg create'"},
	{xlreg.ErrNoSuchClusterName, "make the cluster with 'xlreg create', or with 'xlreg join --create --size N'"},
	{xlreg.ErrTooFewEndpoints, "give more with --endpoint HOST:PORT"},
	{xlreg.ErrMemberNameInUse, "join as a new node of another name: 'xlreg join CLUSTER --node NEWDIR --name NAME'"},
	{xlreg.ErrIDInUse, "use a new node directory, or the keys that this ID belongs to"},
	{xlreg.ErrClusterFull, "take another cluster, or let a member leave"},
	{xlreg.ErrClusterSize, "ask for the size it has, or take another name"},
	{xlreg.ErrTooManyRequests, "if that goes on, ask the registry's operator for a higher limit"},
	{xlreg.ErrIllFormedName, "use a letter or '_' first, then letters, digits, '_', '-' and '.'"},
	{xlreg.ErrTryLater, "if that goes on, see whether the registry's disk is full"},
	{client.ErrOriginalRegistry, "say which with --protocol"},
	{xlreg.ErrWrongState, "a registry older than protocol 2.0 shows a cluster to its members only: join it with 'xlreg join'"},
	{client.ErrNeeds20, "leave --protocol out, if the registry speaks 2.0"},
	{client.ErrAddress, "give with --endpoint an address where the others reach this member"},
	{client.ErrUnverified, "let those members join over 2.0, or accept them with --allow-unverified"},
	{client.ErrUntrusted, "if its keys are new, get its credentials anew from someone you trust"},
	{client.ErrHandshake, "see that it is a registry, and that it speaks the protocol chosen"},
	{adminclient.ErrNoToken, "give one with --admin-token-file FILE, or a key with --admin-cert and --admin-key"},
	{adminclient.ErrUntrusted, "say how to know it with --admin-ca, by a file or by the sum that the registry logs when it starts"},
	{adminclient.ErrNotAllowed, "ask as the user who runs the registry, or with a token that may do that"},
	{adminclient.ErrNotServed, "see that it runs, and that --data or --admin-url is the right one"},
	{adminclient.ErrForeign, "see that --admin-url is that of the admin side, and not the address for clients"},
	{api.ErrOwned, "ask its owner: see 'xlreg evict', 'xlreg reopen' and 'xlreg delete'"},
	{identity.ErrExists, "look at it with 'xlreg node show', or use another directory"},
}

// requestTime bounds a command that does not wait for members.
const requestTime = 10 * time.Second
