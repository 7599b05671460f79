package lifecmd

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/internal/view"
)

func newPs(g *cli.Globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "Show the members of a run, and how they are",
		Long: "Show the members of the run in a directory: which are ready, since when they are what they\n" +
			"are, how often they were started again, and where they listen.\n\n" +
			"STATE is waiting, starting, ready, restarting, stopping or ended.",
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
		return p.PrintText(bytes.NewBufferString(table(s, time.Now())))
	})
}

// table lays a run out for people. How members ended is a column only if some did.
func table(s *rundir.Status, now time.Time) string {
	rows := [][]string{{"NAME", "STATE", "PID", "UPTIME", "RESTARTS", "ROLE", "ENDPOINTS"}}
	why := false
	for i := range s.Members {
		why = why || s.Members[i].Why != ""
	}
	if why {
		rows[0] = append(rows[0], "WHY")
	}
	for i := range s.Members {
		m := &s.Members[i]
		pid, up := "-", "-"
		if m.PID != 0 {
			pid, up = fmt.Sprint(m.PID), strings.TrimSuffix(view.Age(now, m.Since), " ago")
		}
		row := []string{m.Name, m.State, pid, up, fmt.Sprint(m.Restarts), dash(m.Role), dash(strings.Join(m.Endpoints, ","))}
		if why {
			row = append(row, dash(m.Why))
		}
		for i := range row {
			row[i] = clean(row[i])
		}
		rows = append(rows, row)
	}
	return view.Align(rows)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// clean keeps what programs say from giving orders to the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
