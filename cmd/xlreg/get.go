package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
)

// getFlags are the flags of get, as given.
type getFlags struct {
	ticket ticketFlags
	wait   time.Duration
	format string
	watch  bool
	signed string
}

func newGet(g *globals) *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "get NAME|TICKET",
		Short: "Show who is in a cluster",
		Long: "Show who is in a cluster, named by name, ID or ticket. Over 2.0 you do not have to be a\n" +
			"member or have a node to ask. With --wait the command waits until all members have\n" +
			"joined. If the time is up first, it says who has joined, and exits with 3.\n\n" +
			"With --watch it then tells each change, a line for each member that came (+), went (-)\n" +
			"or changed (~), until Ctrl-C.\n\n" +
			"All who see the same members see the same sum. With a ticket the owner's signature for\n" +
			"every member is verified.\n\n" + ticketHelp,
		Example: "  xlreg get web\n  xlreg get web --wait 30s -o json\n  xlreg get --ticket-file reader.ticket --watch",
		Args:    f.ticket.placeArg(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			p, err := g.place(cmd.Context(), &f.ticket, args)
			if err != nil {
				return err
			}
			return g.get(cmd.Context(), p, &f)
		},
	}
	f.ticket.register(cmd)
	addWait(cmd, &f.wait)
	addFormat(cmd, &f.format)
	cmd.Flags().BoolVar(&f.watch, "watch", false, "go on, and tell each change")
	cmd.Flags().StringVar(&f.signed, "signed", "", "write what the registry has signed to `FILE`, for 'xlreg verify'")
	return cmd
}

func (f *getFlags) check() error {
	if err := checkWait(f.wait); err != nil {
		return err
	}
	if err := checkFormat(f.format); err != nil {
		return err
	}
	if f.watch && (f.wait > 0 || f.format != "" || f.signed != "") {
		return cli.UsageError(errors.New("--watch goes on for ever: leave --wait, --format and --signed out"))
	}
	if f.signed != "" && f.wait > 0 {
		return cli.UsageError(errors.New("--signed is of this moment: leave --wait out"))
	}
	return nil
}

// addWait gives cmd the flag that get and join have.
func addWait(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", 0, "how much `TIME`, such as 30s, to wait for all members (default none)")
}

func checkWait(wait time.Duration) error {
	if wait < 0 {
		return cli.UsageError(fmt.Errorf("--wait %v: want 0 or more", wait))
	}
	return nil
}

func (g *globals) get(ctx context.Context, p *place, f *getFlags) (err error) {
	node, err := g.reader(ctx)
	if err != nil {
		return err
	}
	if node != nil {
		defer func() { err = errors.Join(err, node.Close()) }()
	}
	switch {
	case f.watch:
		return g.watch(ctx, p, node)
	case f.signed != "":
		return g.getSigned(ctx, p, node, f)
	}
	read := g.members
	if f.wait > 0 {
		read = func(ctx context.Context, p *place, node *identity.Node) (*client.Roster, error) {
			return g.await(ctx, p, node, f.wait)
		}
	}
	roster, err := read(ctx, p, node)
	if err != nil {
		return err
	}
	return g.printRead(roster, p.registry(), f.format)
}

// members returns who is in the cluster now.
func (g *globals) members(ctx context.Context, p *place, node *identity.Node) (roster *client.Roster, err error) {
	err = g.inSession(ctx, p.target, node, func(ctx context.Context, c *client.Client) (err error) {
		roster, err = c.Members(ctx, p.ref)
		return err
	})
	return roster, err
}

// await waits for the whole roster.
func (g *globals) await(ctx context.Context, p *place, node *identity.Node, wait time.Duration) (*client.Roster, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	progress := g.newProgress(ctx, membersOf(p.ref))
	defer progress.end()
	roster, err := client.Await(ctx, p.target, client.AwaitOptions{
		Options: client.Options{Node: node, Protocol: g.Protocol.Protocol, Logger: progress.logger()},
		Cluster: p.ref, Progress: progress.show, Sparing: progress.sparing(),
	})
	return roster, afterWait(err)
}

// getSigned keeps the roster as the registry has signed it.
func (g *globals) getSigned(ctx context.Context, p *place, node *identity.Node, f *getFlags) error {
	return g.inSession(ctx, p.target, node, func(ctx context.Context, c *client.Client) error {
		document, signed, err := c.Signed(ctx, p.ref)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(f.signed, document, 0o644); err != nil {
			return err
		}
		return g.printRead(signed.Roster, p.registry(), f.format)
	})
}

// reader returns the node to read as: none over 2.0, where anybody may ask.
func (g *globals) reader(ctx context.Context) (*identity.Node, error) {
	if !g.Protocol.Classic() {
		return nil, nil
	}
	return g.openNode(ctx)
}
