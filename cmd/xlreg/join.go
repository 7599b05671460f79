package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/regcred"
)

// joinFlags are the flags of join, as given.
type joinFlags struct {
	endpoints []string
	listen    []string
	size      int
	create    bool
	wait      time.Duration
	launch    joinLaunchFlags

	unverified bool
}

func newJoin(g *globals) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join NAME --endpoint HOST:PORT [-- COMMAND ARG…]",
		Short: "Join a cluster, and start a program as its member",
		Long: "Join a cluster, named by name or ID, and show who is in it.\n\n" +
			"--endpoint says where the other members find this one; without it the node keeps the\n" +
			"addresses it has. With --wait the command waits until all members have joined. If the\n" +
			"time is up first, it says who has joined, and exits with 3.\n\n" + joinLaunchHelp,
		Example: "  xlreg join web --endpoint 192.0.2.7:4000 --wait 30s\n" +
			"  xlreg join web --create --size 5 --endpoint 192.0.2.7:4000 --wait 30s\n" +
			"  xlreg join web --create --size 3 --endpoint 192.0.2.7:4000 -- sh -c 'echo {{.Self.Index}}'",
		Args: nameAndCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(g, args[0])
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
	cmd.Flags().StringSliceVar(&f.endpoints, "endpoint", nil, "`HOST:PORT` of this member, repeatable; with INTERFACE:PORT or :PORT the host is found")
	cmd.Flags().StringSliceVar(&f.listen, "listen", nil, "`ADDR` where COMMAND listens if that is not --endpoint, repeatable and in the same order")
	addName(cmd, &g.name)
	cmd.Flags().BoolVar(&f.unverified, "allow-unverified", false, "accept members that joined over classic carriers, and start COMMAND without TLS if there are any")
	cmd.Flags().IntVar(&f.size, "size", 0, "how many `MEMBERS` the cluster must have (default any)")
	cmd.Flags().BoolVar(&f.create, "create", false, "create the cluster, of --size members, if it does not exist")
	addWait(cmd, &f.wait)
	f.launch.register(cmd)
	addCertLife(cmd, &g.certLife)
	return cmd
}

// joining is what join is to do, less what can be known only later.
type joining struct {
	client.FormOptions
	given  []ownAddress     // where the others find this member; none: as before
	listen []xlreg.Endpoint // where it listens itself, if that is elsewhere
}

func (f *joinFlags) options(g *globals, name string) (o *joining, err error) {
	o = new(joining)
	if o.Cluster, err = parseRef(name); err != nil {
		return o, err
	}
	if o.given, err = parseOwnAddresses("endpoint", f.endpoints, false); err != nil {
		return o, err
	}
	listen, err := parseOwnAddresses("listen", f.listen, true)
	if err != nil {
		return o, err
	}
	if o.listen, err = listening(listen); err != nil {
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
	o.Size, o.JoinOnly, o.AllowUnverified = f.size, !f.create, f.unverified
	o.Protocol = g.Protocol.Protocol
	return o, checkWait(f.wait)
}

// settle finds out under which addresses the node is to register.
func (g *globals) settle(ctx context.Context, target *regcred.Target, o *joining) (err error) {
	if o.Advertise, err = endpoints(ctx, target, o.given); err != nil {
		return err
	}
	if len(o.Advertise) == 0 {
		o.Advertise = o.Node.Endpoints()
	}
	if len(o.Advertise) == 0 {
		return errNoEndpoint()
	}
	if len(o.listen) > len(o.Advertise) {
		return cli.UsageError(fmt.Errorf("--listen: %d addresses for a member that has %d with --endpoint", len(o.listen), len(o.Advertise)))
	}
	g.warnOfAddresses(ctx, target, o.Advertise)
	return nil
}

// join makes the node a member, and prints the roster: the whole one with a
// wait, that of the moment without.
func (g *globals) join(ctx context.Context, o *joining, wait time.Duration, l *joinLaunch) (err error) {
	target, err := g.Target()
	if err != nil {
		return err
	}
	if o.Node, err = g.openNode(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Node.Close()) }()
	if err := g.settle(ctx, target, o); err != nil {
		return err
	}
	joined := g.joinAtOnce
	if wait > 0 {
		joined = g.joinAll
	}
	m, err := joined(ctx, target, &o.FormOptions, wait)
	if err != nil {
		return err
	}
	return g.printJoined(m.Roster(), target, o, l)
}

func errNoEndpoint() error {
	return cli.UsageError(errors.New("say where the others find this member with --endpoint HOST:PORT"))
}

// joinAll joins and waits for the others.
func (g *globals) joinAll(ctx context.Context, target *regcred.Target, o *client.FormOptions, wait time.Duration) (*client.Membership, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	p := g.newProgress(ctx, membersOf(o.Cluster))
	defer p.end()
	var joined xlreg.Cluster
	o.Progress, o.Logger = p.callback(), p.logger()
	o.Joined = func(c xlreg.Cluster) { joined = c }
	m, err := client.Form(ctx, target, *o)
	if errors.Is(err, context.Canceled) && joined.Name != "" {
		return nil, g.seatKept(err, o.Node.Name(), joined.Name)
	}
	if err != nil {
		return nil, afterWait(err)
	}
	return m, nil
}

// joinAtOnce joins and does not wait for anybody.
func (g *globals) joinAtOnce(ctx context.Context, target *regcred.Target, o *client.FormOptions, _ time.Duration) (*client.Membership, error) {
	defer cli.ShowLate(g.Console, "looking for the registry")()
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	o.NoWait = true
	return client.Form(ctx, target, *o)
}
