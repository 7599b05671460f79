package admincmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/launch"
)

// part says with flags which part of a list is wanted.
type part struct {
	limit  int
	cursor string
}

func (p *part) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", api.DefaultPage, fmt.Sprintf("show at most `N`, up to %d", api.MaxPage))
	cmd.Flags().StringVar(&p.cursor, "cursor", "", "go on at the `CURSOR` with which the last page ended")
}

func (p *part) check() error {
	if p.limit < 1 || p.limit > api.MaxPage {
		return cli.UsageError(fmt.Errorf("--limit %d: want 1 to %d", p.limit, api.MaxPage))
	}
	return nil
}

// printPage writes a page of a list. That there is more is said besides, so that what is
// read from standard output is rows alone.
func printPage[T any](a *admin, p *api.Page[T], t *table) error {
	if a.Output == "json" {
		return a.PrintJSON(p)
	}
	if err := a.printTable(t); err != nil {
		return err
	}
	if p.Next != "" {
		fmt.Fprintf(a.Err, "xlreg: there are more%s: --limit shows up to %d, and --cursor %s goes on\n", ofTotal(p.Total), api.MaxPage, launch.Quote(p.Next))
	}
	return nil
}

func ofTotal(total int) string {
	if total == 0 {
		return ""
	}
	return fmt.Sprintf(", %d in all", total)
}

func newNodes(a *admin) *cobra.Command {
	var p part
	cmd := &cobra.Command{
		Use:   "nodes [ID]",
		Short: "List the nodes that are registered, or show one",
		Args:  cobra.MaximumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, args []string) error {
			if err := p.check(); err != nil {
				return err
			}
			if len(args) == 1 {
				return a.printNode(ctx, c, args[0])
			}
			page, err := c.Nodes(ctx, p.cursor, p.limit)
			if err != nil {
				return err
			}
			return printPage(a, &page, a.nodeTable(page.Items))
		}),
	}
	p.register(cmd)
	return cmd
}

func (a *admin) printNode(ctx context.Context, c *adminclient.Client, id string) error {
	n, err := c.Node(ctx, id)
	if err != nil {
		return fmt.Errorf("node %.12s: %w", id, err)
	}
	if a.Output == "json" {
		return a.PrintJSON(n)
	}
	return a.printTable(a.nodeTable([]api.Node{n}))
}

func (a *admin) nodeTable(nodes []api.Node) *table {
	t := newTable("ID", "NAME", "KEY", "ENDPOINTS", "SEEN")
	t.cut = []int{0, 1, 2, 3}
	for i := range nodes {
		n := &nodes[i]
		seen := "-"
		if n.Seen != nil {
			seen = n.Seen.UTC().Format("2006-01-02") // no more than the day is known
		}
		t.add(n.ID, n.Name, n.KeyKind+" "+n.Key, list(n.Endpoints), seen)
	}
	return t
}

func newSessions(a *admin) *cobra.Command {
	var p part
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the open connections of clients",
		Args:  wants(),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, _ []string) error {
			if err := p.check(); err != nil {
				return err
			}
			page, err := c.Sessions(ctx, p.cursor, p.limit)
			if err != nil {
				return err
			}
			return printPage(a, &page, a.sessionTable(page.Items))
		}),
	}
	p.register(cmd)
	return cmd
}

func (a *admin) sessionTable(sessions []api.Session) *table {
	t := newTable("SESSION", "FROM", "PROTOCOL", "NODE", "BEGAN", "REQUESTS", "WAITS FOR")
	t.cut = []int{1, 3, 6}
	for i := range sessions {
		s := &sessions[i]
		t.add(fmt.Sprint(s.ID), s.From, orDash(s.Protocol), orDash(a.shortID(s.Node)), a.ago(&s.Began),
			fmt.Sprint(s.Requests), orDash(a.shortID(s.Waits)))
	}
	return t
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func newLimits(a *admin) *cobra.Command {
	return &cobra.Command{
		Use:   "limits",
		Short: "List the limits, those first that were met, and who is near them",
		Args:  wants(),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, _ []string) error {
			limits, err := c.Limits(ctx)
			if err != nil {
				return err
			}
			if a.Output == "json" {
				return a.PrintJSON(api.Page[api.Limit]{Items: limits})
			}
			return a.printTable(limitTable(limits))
		}),
	}
}

func limitTable(limits []api.Limit) *table {
	t := newTable("LIMIT", "USED", "OF", "UNIT", "BY", "REFUSED")
	t.cut = []int{0, 3, 4}
	for i := range limits {
		l := &limits[i]
		used := "-"
		if l.Used != nil {
			used = fmt.Sprint(*l.Used)
		}
		t.add(l.Name, used, fmt.Sprint(l.Value), l.Unit, orDash(l.By), fmt.Sprint(l.Refused))
	}
	return t
}
