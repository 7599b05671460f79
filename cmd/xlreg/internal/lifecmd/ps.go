package lifecmd

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/internal/view"
)

func newPs(g *cli.Globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "Show the members of a run, and how they are",
		Long: "Show the members of the run in a directory: what state each is in and since when, how often\n" +
			"it was started again, and where it listens.\n\n" +
			"STATE is forming or joined until the cluster is complete, and then waiting, starting, ready,\n" +
			"restarting, stopping or ended.",
		Example: "  xlreg ps\n" +
			"  xlreg ps --dir ./redis -o json",
		Args: cobra.NoArgs,
	}
	p := at(g, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.ps(cmd.Context()) }
	return cmd
}

func (p *place) ps(ctx context.Context) error {
	return p.with(ctx, func(c *rundir.Client) error {
		s, err := status(ctx, c)
		if err != nil {
			return err
		}
		if p.Output == "json" {
			return p.PrintJSON(s)
		}
		width := 0 // for programs, a member is a line
		if cli.IsTerminal(p.Out) && p.Output != "wide" {
			width = cli.Width(p.Out)
		}
		return p.PrintText(bytes.NewBufferString(layOut(s, width, time.Now())))
	})
}

// layOut shows a run to people. The endpoints of a member are below each other if lines would
// have more than width columns. 0 is no bound.
func layOut(s *rundir.Status, width int, now time.Time) string {
	text := table(s, false, now)
	for line := range strings.Lines(text) {
		if width > 0 && utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > width {
			return table(s, true, now)
		}
	}
	return text
}

// table has a line for each member. Roles, and how members ended, are columns only if some
// have one, or did.
func table(s *rundir.Status, stacked bool, now time.Time) string {
	has := func(what func(m *rundir.Member) string) bool {
		return slices.ContainsFunc(s.Members, func(m rundir.Member) bool { return what(&m) != "" })
	}
	role := has(func(m *rundir.Member) string { return m.Role })
	why := has(func(m *rundir.Member) string { return m.Why })
	rows := [][]string{psRow(role, why, "NAME", "STATE", "PID", "UPTIME", "RESTARTS", "ROLE", "ENDPOINTS", "WHY")}
	for i := range s.Members {
		m := &s.Members[i]
		pid, up := "-", "-"
		if m.PID != 0 {
			pid, up = fmt.Sprint(m.PID), strings.TrimSuffix(view.Age(now, m.Since), " ago")
		}
		first, others := strings.Join(m.Endpoints, ","), []string(nil)
		if stacked && len(m.Endpoints) > 1 {
			first, others = m.Endpoints[0], m.Endpoints[1:]
		}
		ended := strings.TrimPrefix(m.Why, m.Name+" ")
		rows = append(rows, psRow(role, why, m.Name, m.State, pid, up, fmt.Sprint(m.Restarts), dash(m.Role), dash(first), dash(ended)))
		for _, e := range others {
			rows = append(rows, psRow(role, why, "", "", "", "", "", "", e, ""))
		}
	}
	return view.Align(rows)
}

// psRow returns what may be printed of the columns of a row that there are. The last three are
// role, endpoints and why.
func psRow(role, why bool, cells ...string) []string {
	var row []string
	for i, cell := range cells {
		if i == len(cells)-3 && !role || i == len(cells)-1 && !why {
			continue
		}
		row = append(row, cli.Printable(cell))
	}
	return row
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
