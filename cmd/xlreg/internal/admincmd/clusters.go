package admincmd

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// filter says with flags which clusters are wanted.
type filter struct {
	part
	match        string
	state        string
	older, newer time.Duration
	order        string
	watch        bool
}

func newClusters(a *admin) *cobra.Command {
	var f filter
	cmd := &cobra.Command{
		Use:   "clusters",
		Short: "List clusters, and follow how they change",
		Long: "List clusters, the newest first. With --watch they are followed: on a terminal the list is\n" +
			"kept up to date in its place, and elsewhere each change is a line, or under '-o json' the\n" +
			"change of the API.",
		Example: "  xlreg admin clusters --state forming --older 10m\n" +
			"  xlreg admin clusters --match web- --order name --watch",
		Args: wants(),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if f.watch {
				return newWatcher(a, &f, c).run(ctx)
			}
			page, err := c.Clusters(ctx, f.query())
			if err != nil {
				return err
			}
			return printPage(a, &page, a.clusterTable(page.Items))
		}),
	}
	f.register(cmd)
	return cmd
}

func (f *filter) register(cmd *cobra.Command) {
	f.part.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.match, "match", "", "only those with `TEXT` in their names, or at the beginning of their IDs")
	flags.StringVar(&f.state, "state", "", "only those in `STATE`: forming, full, reduced or empty")
	flags.DurationVar(&f.older, "older", 0, "only those created at least `TIME` ago")
	flags.DurationVar(&f.newer, "newer", 0, "only those created at most `TIME` ago")
	flags.StringVar(&f.order, "order", string(api.OrderNewest), "`ORDER` of the list: newest or name")
	flags.BoolVar(&f.watch, "watch", false, "follow changes until Ctrl-C")
	var states []string
	for _, s := range api.States() {
		states = append(states, string(s))
	}
	cli.Complete(cmd, "state", states...)
	cli.Complete(cmd, "order", string(api.OrderNewest), string(api.OrderName))
}

func (f *filter) check() error {
	switch {
	case f.state != "" && !slices.Contains(api.States(), api.State(f.state)):
		return cli.UsageError(fmt.Errorf("--state %q: want forming, full, reduced or empty", f.state))
	case f.order != string(api.OrderNewest) && f.order != string(api.OrderName):
		return cli.UsageError(fmt.Errorf("--order %q: want newest or name", f.order))
	case f.older < 0 || f.newer < 0:
		return cli.UsageError(fmt.Errorf("--older and --newer: want a time that has passed, such as 10m"))
	}
	return f.part.check()
}

func (f *filter) query() api.ClusterQuery {
	return api.ClusterQuery{
		Match: f.match, State: api.State(f.state), Older: f.older, Newer: f.newer,
		Order: api.Order(f.order), Cursor: f.cursor, Limit: f.limit,
	}
}

func (a *admin) clusterTable(clusters []api.Cluster) *table {
	if a.isWide() {
		return a.wideClusters(clusters)
	}
	t := newTable("NAME", "ID", "STATE", "MEMBERS", "MISSING", "CREATED", "FORMED", "OWNER")
	t.cut = []int{0, 4, 7}
	for i := range clusters {
		c := &clusters[i]
		owner := "open"
		if c.Owner != "" {
			owner = c.Owner
		}
		t.add(c.Name, a.shortID(c.ID), string(c.State), fmt.Sprintf("%d/%d", c.Members, c.Size),
			Missing(c.Taken, c.Size), a.ago(c.Created), millis(c.Formed), owner)
	}
	return t
}

func (a *admin) wideClusters(clusters []api.Cluster) *table {
	t := newTable("NAME", "ID", "STATE", "MEMBERS", "MISSING", "EPOCH", "REVISION", "ORDERS", "CREATED", "CHANGED", "FORMED", "OWNER")
	for i := range clusters {
		c := &clusters[i]
		t.add(c.Name, c.ID, string(c.State), fmt.Sprintf("%d/%d", c.Members, c.Size), Missing(c.Taken, c.Size),
			fmt.Sprint(c.Epoch), fmt.Sprint(c.Revision), fmt.Sprint(c.Orders), a.ago(c.Created), a.ago(c.Changed),
			millis(c.Formed), orDash(c.Owner))
	}
	return t
}
