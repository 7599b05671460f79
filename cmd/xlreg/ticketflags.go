package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/private"
	"github.com/xlattice/xlreg/ticket"
)

const ticketHelp = "A ticket is one line, or - for standard input. It can also come from --ticket-file or the\n" +
	"environment variable XLREG_TICKET, which is safer: every user of this machine can see the\n" +
	"command lines of all programs, and the tickets of owners and invites are secrets."

// ticketFlags are the flags of the commands that take a ticket.
type ticketFlags struct {
	line string
	file string
}

func (f *ticketFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.line, "ticket", "", "the cluster's `TICKET`, or - to read it from standard input")
	cmd.Flags().StringVar(&f.file, "ticket-file", "", "read the ticket from `FILE`")
}

// errNoTicket says that a command needs a ticket and was given none.
var errNoTicket = errors.New("give a ticket: as TICKET, with --ticket-file FILE, in XLREG_TICKET, or - for standard input")

// isTicketArg reports whether an argument stands for a ticket. Names and IDs of clusters
// never look like one.
func isTicketArg(s string) bool {
	return s == "-" || strings.HasPrefix(strings.TrimLeft(s, " \t\n'\""), "xlreg://")
}

// has reports whether the arguments of a command, its flags or the environment name a
// ticket. One that is in the environment alone is for other commands if the first
// argument names a cluster.
func (f *ticketFlags) has(g *globals, args []string) bool {
	return f.inWords(g, args) || len(args) == 0 && (f.line != "" || f.file != "")
}

// inWords reports whether the command line itself names a ticket.
func (f *ticketFlags) inWords(g *globals, args []string) bool {
	return len(args) > 0 && isTicketArg(args[0]) ||
		f.line != "" && !g.FromEnv("ticket") || f.file != "" && !g.FromEnv("ticket-file")
}

// take reads the ticket, and returns what is left of the arguments. What the command line
// says counts before the environment.
func (f *ticketFlags) take(ctx context.Context, g *globals, args []string) (*ticket.Ticket, []string, error) {
	line, file, given := f.line, f.file, 0
	if line != "" && !g.FromEnv("ticket") {
		file, given = "", given+1
	}
	if f.file != "" && !g.FromEnv("ticket-file") {
		line, file, given = "", f.file, given+1
	}
	if len(args) > 0 && isTicketArg(args[0]) {
		line, file, args, given = args[0], "", args[1:], given+1
	}
	switch {
	case given > 1:
		return nil, nil, cli.UsageError(errors.New("more than one ticket: give it once"))
	case line != "":
		t, err := g.readTicket(ctx, line)
		return t, args, err
	case file != "":
		t, err := g.readTicketFile(file)
		return t, args, err
	}
	return nil, nil, cli.UsageError(errNoTicket)
}

// readTicket reads a ticket that was given in a line of text.
func (g *globals) readTicket(ctx context.Context, line string) (*ticket.Ticket, error) {
	if line == "-" {
		return cli.Interruptible(ctx, func() (*ticket.Ticket, error) { return readTicketFrom(g.In) })
	}
	return ticket.Load(line)
}

func readTicketFrom(r io.Reader) (*ticket.Ticket, error) {
	t, err := ticket.Read(r)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return t, nil
}

// readTicketFile reads a ticket from a file, and warns if others can read one that is a
// secret. It is no more than a warning because some systems hand secrets to programs in
// files that everybody in their container can read.
func (g *globals) readTicketFile(path string) (*ticket.Ticket, error) {
	if isTicketArg(path) {
		return nil, cli.UsageError(errors.New("--ticket-file: want a FILE, and this is a ticket"))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t, err := ticket.Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if perm := private.Perm(info); isSecret(t) && info.Mode().IsRegular() && perm&0o077 != 0 {
		g.warn("others may read the ticket in %s, which is a secret: run chmod 600 %s", path, path)
	}
	return t, nil
}

// isSecret reports whether whoever sees the ticket can become a member by it.
func isSecret(t *ticket.Ticket) bool {
	return t.Kind() == ticket.KindOwner || t.Kind() == ticket.KindInvite
}

// ticketAnd is the check of the arguments of a command that takes a ticket, which may
// come from elsewhere, and then what rest says.
func ticketAnd(rest cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && isTicketArg(args[0]) {
			args = args[1:]
		}
		return rest(cmd, args)
	}
}

// noArgs is the check of a command that takes nothing more.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", shownArg(args[0]))
	}
	return nil
}

// shownArg returns an argument as an error may show it: one that could be a part of a
// ticket is not.
func shownArg(s string) string {
	const longest = 128 // of a name; what is longer is no word that was mistyped
	if strings.Contains(s, "://") || len(s) > longest {
		return s[:min(len(s), 8)] + "…"
	}
	return s
}
