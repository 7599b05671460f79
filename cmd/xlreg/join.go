package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/launch"
)

// joinFlags are the flags of join, as given.
type joinFlags struct {
	ticket    ticketFlags
	endpoints []string
	listen    []string
	labels    []string
	size      int
	create    bool
	wait      time.Duration
	lease     time.Duration
	fresh     bool
	takeOver  bool
	launch    joinLaunchFlags
	offline   offlineFlags

	unverified bool
}

func newJoin(g *globals) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join NAME|TICKET --endpoint HOST:PORT [flags] [-- COMMAND ARG…]",
		Short: "Join a cluster, and start a program as its member",
		Long: "Join a cluster, named by name, ID or ticket, and show who is in it.\n\n" +
			"--endpoint says where the other members find this one; without it the node keeps the\n" +
			"addresses it has. With --wait the command waits until all members have joined. If the\n" +
			"time is up first, it says who has joined, and exits with 3.\n\n" +
			"With --fresh the node meets only members of this start: when all members of a cluster are\n" +
			"started anew, each with --fresh, none is shown an address of the last time.\n\n" +
			joinLaunchHelp + "\n\n" + offlineHelp + "\n\n" + ticketHelp,
		Example: "  xlreg join --ticket-file invite.ticket --endpoint 192.0.2.7:4000 --wait 30s\n" +
			"  xlreg join web --create --size 5 --endpoint 192.0.2.7:4000 --wait 30s\n" +
			"  xlreg join web --create --size 3 --endpoint 192.0.2.7:4000 -- \\\n" +
			"      sh -c 'echo {{.Self.Index}}'",
		Args: func(cmd *cobra.Command, args []string) error { return f.checkArgs(g, cmd, args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkCertLife(g.certLife); err != nil {
				return err
			}
			own, command := splitAtDash(cmd, args)
			o, err := f.options(g, own, f.starts(command))
			if err != nil {
				return err
			}
			l, err := f.launchOptions(cmd, command, o.Size)
			if err != nil {
				return err
			}
			if o.place, err = g.place(cmd.Context(), &f.ticket, own); err != nil {
				return err
			}
			if l.told != nil {
				return g.joinAndStart(cmd.Context(), o, l)
			}
			if o.offline.now {
				return g.printSaved(cmd.Context(), o, l)
			}
			return g.join(cmd.Context(), o, f.wait, l)
		},
	}
	f.register(cmd)
	addName(cmd, &g.name)
	addCertLife(cmd, &g.certLife)
	return cmd
}

func (f *joinFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.ticket.register(cmd)
	flags.StringSliceVar(&f.endpoints, "endpoint", nil, "`HOST:PORT` of this member, repeatable; with INTERFACE:PORT or :PORT the host is found, with observed:PORT it is the one that the registry sees")
	flags.StringSliceVar(&f.listen, "listen", nil, "`ADDR` where COMMAND listens if that is not --endpoint, repeatable and in the same order")
	flags.StringArrayVar(&f.labels, "label", nil, "`KEY=VALUE` to tell the other members, repeatable")
	flags.BoolVar(&f.unverified, "allow-unverified", false, "accept members that joined over classic carriers, and start COMMAND without TLS if there are any")
	flags.IntVar(&f.size, "size", 0, "how many `MEMBERS` the cluster must have (default any)")
	flags.BoolVar(&f.create, "create", false, "create the cluster, of --size members, if it does not exist")
	flags.BoolVar(&f.fresh, "fresh", false, "meet only members of this start")
	flags.DurationVar(&f.lease, "lease", 0, "lose the seat if COMMAND, or this machine, is gone for this `TIME` (default never)")
	flags.BoolVar(&f.takeOver, "take-over", false, "take the seat of another process that runs as this node")
	addWait(cmd, &f.wait)
	f.launch.register(cmd)
	f.offline.register(flags)
}

// joining is what join is to do, less what can be known only later.
type joining struct {
	client.FormOptions
	place  *place
	given  []ownAddress     // where the others find this member; none: as before
	listen []xlreg.Endpoint // where it listens itself, if that is elsewhere

	offline offlineFlags
	away    *away // notices that the registry does not come; nil: nobody needs to
}

// options reads the flags. Where the cluster is stays open.
func (f *joinFlags) options(g *globals, args []string, starts bool) (o *joining, err error) {
	o = new(joining)
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
	if o.Labels, err = parseLabels(f.labels, f.launch.role); err != nil {
		return o, err
	}
	ticket := f.ticket.has(g, args)
	if err := f.check(g, ticket, starts); err != nil {
		return o, err
	}
	if !ticket {
		if o.Cluster, err = parseRef(args[0]); err != nil {
			return o, err
		}
		o.JoinOnly = !f.create
	}
	if f.create && o.Cluster.ID != "" {
		return o, cli.UsageError(errors.New("--create needs a name: an ID is the registry's to give"))
	}
	o.Size, o.AllowUnverified = f.size, f.unverified
	o.Fresh, o.Lease, o.TakeOver = f.fresh, f.lease, f.takeOver
	o.Protocol, o.offline = g.Protocol.Protocol, f.offline
	return o, f.offline.check(g, f)
}

// check looks at the flags on their own: with a ticket or a name, and with a program to
// start or none.
func (f *joinFlags) check(g *globals, ticket, starts bool) error {
	if err := checkWait(f.wait); err != nil {
		return err
	}
	classic := g.Protocol.Classic()
	switch {
	case f.create && ticket:
		return cli.UsageError(errors.New("--create: a ticket says whether it can create the cluster: leave it out"))
	case f.create && f.size == 0:
		return cli.UsageError(errors.New("--create needs --size N"))
	case classic && (f.fresh || f.lease != 0 || f.labels != nil || f.takeOver):
		return cli.UsageError(fmt.Errorf("--fresh, --lease, --label and --take-over: %w", client.ErrNeeds20))
	case f.lease < 0:
		return cli.UsageError(fmt.Errorf("--lease %v: want more than 0", f.lease))
	case f.lease > 0 && !starts:
		return cli.UsageError(errors.New("--lease is kept for as long as COMMAND runs: give one after --"))
	case f.fresh && f.wait == 0 && !starts:
		return cli.UsageError(errors.New("--fresh waits for the others: say how long with --wait TIME"))
	}
	if f.size != 0 {
		return g.checkSize(f.size)
	}
	return nil
}

// parseLabels reads what --label lists, and the role; nil if there is neither.
func parseLabels(list []string, role string) (map[string]string, error) {
	var labels map[string]string
	if role != "" {
		if _, err := xlreg.ParseName(role); err != nil {
			return nil, cli.UsageError(fmt.Errorf("--role: %w", err))
		}
		list = append(slices.Clone(list), launch.RoleLabel+"="+role)
	}
	for _, text := range list {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, cli.UsageError(fmt.Errorf("--label %q: want KEY=VALUE", text))
		}
		if _, err := xlreg.ParseName(key); err != nil {
			return nil, cli.UsageError(fmt.Errorf("--label %q: %w", text, err))
		}
		if labels == nil {
			labels = make(map[string]string)
		}
		if _, twice := labels[key]; twice {
			return nil, cli.UsageError(fmt.Errorf("--label %s: is there twice", key))
		}
		labels[key] = value
	}
	return labels, nil
}

// settle finds out under which addresses the node is to register.
func (g *globals) settle(ctx context.Context, o *joining) (err error) {
	if o.offline.now {
		return o.settleSaved()
	}
	target := o.place.registry()
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
		return errTooManyListen(len(o.listen), len(o.Advertise))
	}
	o.listen = listenWhereObserved(o.listen, o.Advertise)
	g.warnOfAddresses(ctx, target, o.Advertise)
	return nil
}

// join makes the node a member, and prints the roster: the whole one with a
// wait, that of the moment without.
func (g *globals) join(ctx context.Context, o *joining, wait time.Duration, l *joinLaunch) (err error) {
	if o.Node, err = g.openNode(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Node.Close()) }()
	if err := o.remember(false); err != nil {
		return err
	}
	left, err := g.settleWithin(ctx, o, wait)
	if err != nil {
		return err
	}
	joined := g.joinAtOnce
	if wait > 0 {
		joined = g.joinAll
	}
	m, err := joined(ctx, o, left)
	if err != nil {
		return err
	}
	defer m.Close()
	if l.wantsFiles() {
		if err := newSaver(o, m).save(); err != nil {
			return err
		}
	}
	return g.printJoined(m.Roster(), o.place.registry(), o, l)
}

func errTooManyListen(listen, endpoints int) error {
	return cli.UsageError(fmt.Errorf("--listen: %d addresses for a member that has %d with --endpoint", listen, endpoints))
}

func errNoEndpoint() error {
	return cli.UsageError(errors.New("say where the others find this member with --endpoint HOST:PORT"))
}

// joinAll joins and waits for the others.
func (g *globals) joinAll(ctx context.Context, o *joining, wait time.Duration) (*client.Membership, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	p := g.newProgress(ctx, membersOf(o.place.ref))
	defer p.end()
	var joined xlreg.Cluster
	o.Logger, o.Sparing = p.logger(), p.sparing()
	o.Progress = func(now client.Progress) {
		if now.Err != nil {
			o.away.failed(now.Err)
		}
		p.show(now)
	}
	news := &strangerNews{globals: g, who: o.Node.Name()}
	o.Joined = func(c xlreg.Cluster) {
		joined, news.cluster = c, c.Name
		o.away.heard()
	}
	o.Stranger = news.stranger
	m, err := client.Form(ctx, o.place.target, o.FormOptions)
	if errors.Is(err, context.Canceled) && joined.Name != "" && !o.Fresh {
		return nil, g.seatKept(err, o.Node.Name(), joined.Name, o.place.words())
	}
	if err != nil {
		return nil, afterWait(err)
	}
	return m, o.keep(m)
}

// joinAtOnce joins and does not wait for anybody.
func (g *globals) joinAtOnce(ctx context.Context, o *joining, _ time.Duration) (*client.Membership, error) {
	defer cli.ShowLate(g.Console, "looking for the registry")()
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	o.NoWait = true
	m, err := client.Form(ctx, o.place.target, o.FormOptions)
	if err != nil {
		return nil, err
	}
	return m, o.keep(m)
}
