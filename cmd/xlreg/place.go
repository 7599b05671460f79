package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/ticket"
)

// place is a cluster and the registry that has it, as a command line names them: by a
// ticket, or by the cluster's name and --registry.
type place struct {
	target client.Target
	ref    xlreg.ClusterRef
	ticket *ticket.Ticket // nil: none was given
}

// registry returns where the registry is, and how to know it.
func (p *place) registry() *regcred.Target { return p.target.Target() }

// words returns how another command names the same cluster, without a secret in it.
func (p *place) words() string {
	if p.ticket != nil {
		return "TICKET"
	}
	if p.ref.Name == "" {
		return p.ref.ID.String()
	}
	return string(p.ref.Name)
}

// errTicketAndRegistry says that a registry was named twice.
var errTicketAndRegistry = errors.New("the ticket says which registry it is: leave --registry out")

// place returns the cluster that the arguments name.
func (g *globals) place(ctx context.Context, f *ticketFlags, args []string) (*place, error) {
	if f.has(g, args) {
		p, _, err := g.ticketPlace(ctx, f, args)
		return p, err
	}
	if len(args) == 0 {
		return nil, cli.UsageError(errors.New("name the cluster: NAME, or a TICKET"))
	}
	ref, err := parseRef(args[0])
	if err != nil {
		return nil, err
	}
	target, err := g.Target()
	return &place{target: target, ref: ref}, err
}

// ticketPlace returns the cluster of the ticket, and what is left of the arguments.
func (g *globals) ticketPlace(ctx context.Context, f *ticketFlags, args []string) (*place, []string, error) {
	if g.Registry != "" && !g.FromEnv("registry") {
		return nil, nil, cli.UsageError(errTicketAndRegistry)
	}
	t, rest, err := f.take(ctx, g, args)
	if err != nil {
		return nil, nil, err
	}
	return &place{target: t, ref: t.Ref(), ticket: t}, rest, nil
}

// placeArg is the check of a command that takes NAME or TICKET and nothing more. A ticket
// may come from elsewhere. Flags are not set from the environment yet.
func (f *ticketFlags) placeArg(g *globals) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && (f.has(g, args) || cli.InEnvironment("ticket") || cli.InEnvironment("ticket-file")) {
			return nil
		}
		return oneArg("NAME")(cmd, args)
	}
}
