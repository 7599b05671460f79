package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/ticket"
)

// createFlags are the flags of create, as given.
type createFlags struct {
	ticket    ticketFlags
	size      int
	endpoints int
	unique    bool
	printJoin bool
}

func newCreate(g *globals) *cobra.Command {
	var f createFlags
	cmd := &cobra.Command{
		Use:   "create [NAME|TICKET] --size N",
		Short: "Create a cluster",
		Long: "Create a cluster. If one with that name and size exists already, it is shown, so any\n" +
			"number of nodes can create the same cluster. With --unique, or without a name, the\n" +
			"registry makes up a new name.\n\n" +
			"Anyone who knows the registry and the name can join such a cluster. 'xlreg ticket new'\n" +
			"makes the ticket of one that only its owner lets others into. With that ticket create\n" +
			"makes the cluster as it says.\n\n" + ticketHelp,
		Example: "  xlreg create web --size 5\n  xlreg create web --size 5 --print-join\n  xlreg create web --size 5 --unique -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.ticket.has(g, args) {
				return f.createKeyed(cmd, g, args)
			}
			o, err := f.options(g, args)
			if err != nil {
				return err
			}
			target, err := g.Target()
			if err != nil {
				return err
			}
			return g.create(cmd.Context(), target, o, f.printJoin)
		},
	}
	f.ticket.register(cmd)
	cmd.Flags().IntVar(&f.size, "size", 0, fmt.Sprintf("how many `MEMBERS` the cluster has, %d to %d", xlreg.MinClusterSize, xlreg.MaxClusterSize))
	cmd.Flags().IntVar(&f.endpoints, "endpoints", 1, "how many `ADDRESSES` each member must have, 1 to 16")
	cmd.Flags().BoolVar(&f.unique, "unique", false, "append something to the name that makes it unique")
	cmd.Flags().BoolVar(&f.printJoin, "print-join", false, "print the command that joins the cluster, and nothing else")
	addName(cmd, &g.name)
	return cmd
}

// openCreator opens the node to create as. The user's own may be where nothing can be
// kept, in a container for example, or be at work; then one that is forgotten is as
// good, because a cluster does not belong to its creator.
func (g *globals) openCreator(ctx context.Context) (*identity.Node, error) {
	node, err := g.openNode(ctx)
	var files *fs.PathError
	hindered := errors.Is(err, errNoHome) || errors.Is(err, identity.ErrInUse) || errors.As(err, &files)
	if g.Node != "" || !hindered {
		return node, err
	}
	return cli.Interruptible(ctx, func() (*identity.Node, error) {
		return identity.NewNode(identity.Options{Name: cmp.Or(g.name, "creator")})
	})
}

func (f *createFlags) options(g *globals, args []string) (client.CreateOptions, error) {
	o := client.CreateOptions{Size: f.size, EndpointCount: f.endpoints}
	if len(args) == 1 {
		name, err := xlreg.ParseName(args[0])
		if err != nil {
			return o, cli.UsageError(fmt.Errorf("cluster %q: %w", args[0], err))
		}
		o.Name = name
	}
	if f.size == 0 {
		return o, cli.UsageError(errors.New("say how many members with --size N"))
	}
	if err := g.checkSize(f.size); err != nil {
		return o, err
	}
	if err := checkEndpointCount(f.endpoints); err != nil {
		return o, err
	}
	if f.unique && g.Protocol.Classic() {
		return o, cli.UsageError(fmt.Errorf("--unique: %w", client.ErrNeeds20))
	}
	if f.unique {
		o.Attrs |= xlreg.ClusterUnique
	}
	return o, nil
}

// createKeyed creates the cluster of an owner's ticket.
func (f *createFlags) createKeyed(cmd *cobra.Command, g *globals, args []string) error {
	for _, flag := range []string{"size", "endpoints", "unique", "print-join"} {
		if cmd.Flags().Changed(flag) && !g.FromEnv(flag) {
			return cli.UsageError(fmt.Errorf("--%s: the ticket says what the cluster is like: leave it out", flag))
		}
	}
	p, _, err := g.ticketPlace(cmd.Context(), &f.ticket, args)
	if err != nil {
		return err
	}
	t := p.ticket
	if t.Owner() == nil {
		return fmt.Errorf("create %s: %w", t.Cluster, ticket.ErrNotOwner)
	}
	return g.create(cmd.Context(), t, client.CreateOptions{
		Name: t.Cluster, Size: t.Size, EndpointCount: t.EndpointCount, Owner: t.Owner(),
	}, false)
}

func (g *globals) create(ctx context.Context, target client.Target, o client.CreateOptions, printJoin bool) (err error) {
	node, err := g.openCreator(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	return g.inSession(ctx, target, node, func(ctx context.Context, c *client.Client) error {
		cluster, err := c.Create(ctx, o)
		if err != nil {
			return err
		}
		if printJoin {
			return g.printJoin(&cluster, target)
		}
		return g.printCluster(&cluster)
	})
}

// printJoin writes the command that joins a cluster, which says all there is to know:
// where the registry is and how to know it, the name, and the size.
func (g *globals) printJoin(c *xlreg.Cluster, target client.Target) error {
	line, err := g.registryWord(target.Target())
	if err != nil {
		return err
	}
	const firstPort = 7001 // an example, as the examples in the docs have it
	ends := make([]string, max(1, c.EndpointCount))
	for i := range ends {
		ends[i] = fmt.Sprintf(":%d", firstPort+i)
	}
	command := fmt.Sprintf("xlreg join %s --registry %s --create --size %d --endpoint %s --wait 5m",
		c.Name, launch.Quote(line), c.MaxSize, strings.Join(ends, ","))
	if g.Protocol.Classic() {
		command += " --protocol " + g.Protocol.String()
	}
	if g.Output == "json" {
		return g.PrintJSON(struct {
			Cluster view.Cluster `json:"cluster"`
			Join    string       `json:"join"`
		}{view.NewCluster(c), command})
	}
	_, err = fmt.Fprintln(g.Out, command)
	return err
}

// registryWord returns what names the registry on another machine: its line, or for a
// classic carrier the file, which no line can stand for.
func (g *globals) registryWord(target *regcred.Target) (string, error) {
	if g.Protocol.Classic() {
		return g.Registry, nil
	}
	return target.URL()
}
