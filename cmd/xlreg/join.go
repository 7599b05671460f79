package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/regcred"
)

// joinFlags are the flags of join, as given.
type joinFlags struct {
	endpoints []string
	size      int
	create    bool
	wait      time.Duration
	launch    joinLaunchFlags
}

func newJoin(g *globals) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join NAME --endpoint HOST:PORT [-- COMMAND ARG…]",
		Short: "Become a member of a cluster, and start a program as one",
		Long: "Become a member of a cluster, given by name or ID, and show who is in it.\n\n" +
			"The addresses are those at which the other members find this one; the node keeps\n" +
			"those it has if none is given. With --wait the command ends when everybody is\n" +
			"there, or with exit code 3 and who is missing when the time has passed.\n\n" + joinLaunchHelp,
		Example: "  xlreg join web --endpoint 192.0.2.7:4000 --wait 30s\n" +
			"  xlreg join web --create --size 5 --endpoint 192.0.2.7:4000 --wait 30s\n" +
			"  xlreg join web --create --size 3 --endpoint 192.0.2.7:4000 -- sh -c 'echo {{.Self.Index}}'",
		Args: nameAndCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args[0])
			if err != nil {
				return err
			}
			if err := checkCertLife(g.certLife); err != nil {
				return err
			}
			l, err := f.launchOptions(cmd, args[1:], o.Size)
			if err != nil {
				return err
			}
			if l.command != nil {
				return g.joinAndStart(cmd.Context(), o, l)
			}
			return g.join(cmd.Context(), o, f.wait, l)
		},
	}
	cmd.Flags().StringSliceVar(&f.endpoints, "endpoint", nil, "`HOST:PORT` of this member, repeatable")
	cmd.Flags().IntVar(&f.size, "size", 0, "how many `MEMBERS` the cluster must be made for (default any)")
	cmd.Flags().BoolVar(&f.create, "create", false, "make the cluster, of --size members, if it does not exist")
	addWait(cmd, &f.wait)
	f.launch.register(cmd)
	addCertLife(cmd, &g.certLife)
	return cmd
}

func (f *joinFlags) options(name string) (o client.FormOptions, err error) {
	if o.Cluster, err = parseRef(name); err != nil {
		return o, err
	}
	if o.Advertise, err = parseEndpoints("endpoint", f.endpoints); err != nil {
		return o, err
	}
	if f.create && f.size == 0 {
		return o, cli.UsageError(errors.New("--create needs --size N"))
	}
	if f.create && o.Cluster.ID != "" {
		return o, cli.UsageError(errors.New("--create needs a name: an ID is the registry's to give"))
	}
	if f.size != 0 {
		if err := checkSize(f.size); err != nil {
			return o, err
		}
	}
	o.Size, o.JoinOnly = f.size, !f.create
	return o, checkWait(f.wait)
}

// join makes the node a member, and prints the roster: the whole one with a
// wait, that of the moment without.
func (g *globals) join(ctx context.Context, o client.FormOptions, wait time.Duration, l *joinLaunch) (err error) {
	target, err := g.Target()
	if err != nil {
		return err
	}
	if o.Node, err = g.openNode(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Node.Close()) }()
	if len(o.Advertise) == 0 && len(o.Node.Endpoints()) == 0 {
		return errNoEndpoint()
	}
	o.Protocol = g.Protocol.Protocol
	joined := g.joinAtOnce
	if wait > 0 {
		joined = g.joinAll
	}
	roster, err := joined(ctx, target, o, wait)
	if err != nil {
		return err
	}
	return g.printJoined(roster, o.Node, target, l)
}

func errNoEndpoint() error {
	return cli.UsageError(errors.New("say where the others find this member with --endpoint HOST:PORT"))
}

// joinAll joins and waits for the others.
func (g *globals) joinAll(ctx context.Context, target *regcred.Target, o client.FormOptions, wait time.Duration) (*client.Roster, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	p := newProgress(ctx, g.Console)
	defer p.end()
	o.Progress = p.callback()
	m, err := client.Form(ctx, target, o)
	if err != nil {
		return nil, afterWait(err)
	}
	return m.Roster(), nil
}

// joinAtOnce joins and does not wait: it calls the formation off as soon as the
// node has its place.
func (g *globals) joinAtOnce(ctx context.Context, target *regcred.Target, o client.FormOptions, _ time.Duration) (roster *client.Roster, err error) {
	defer cli.ShowLate(g.Console, "looking for the registry")()
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	o.Progress = func(now client.Progress) {
		if now.Roster != nil {
			roster = now.Roster
			cancel()
		}
	}
	if _, err = client.Form(ctx, target, o); roster != nil {
		return roster, nil
	}
	return nil, err
}
