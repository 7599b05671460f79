package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/view"
)

// demoTime bounds the formation in a demo, which takes milliseconds.
const demoTime = time.Minute

func newDemo(g *globals) *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a cluster form: a registry and n members, over TCP",
		Long: "Form a cluster in this process: a registry in memory, and n members, each with keys,\n" +
			"a listening port and TLS connections of its own. The cluster has an owner, whose invite\n" +
			"lets the members in. Then one member greets another over mutual TLS, and two strangers\n" +
			"try to get in: one without the invite, one with a key that no member has.",
		Example: "  xlreg demo -n 5",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkDemoSize(n); err != nil {
				return err
			}
			return g.demo(cmd.Context(), n)
		},
	}
	cmd.Flags().IntVarP(&n, "members", "n", 5, "how many members, `N`")
	return cmd
}

// demo makes keys, forms a cluster, shows it, and tries out what it is good for.
func (g *globals) demo(ctx context.Context, n int) (err error) {
	begun := time.Now()
	d, err := g.newDemonstration(ctx, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	for _, step := range []func(context.Context) error{d.open, d.form, d.compare, d.greet, d.showStrangers} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if g.Output != "table" {
		return g.printRoster(d.members[0].Roster())
	}
	return d.say("\nAll of this happened on 127.0.0.1, in %v.\nNothing of it is left. Try next:\n\n"+
		"  %s run -n 3 -- echo 'I am {{.Self.Name}}, with {{join .Others \" and \"}}'\n",
		time.Since(begun).Round(time.Millisecond), g.Program)
}

// counter counts what goroutines have done, and says so in order.
type counter struct {
	mu sync.Mutex
	n  int // guarded by mu
}

func (c *counter) next(tell func(int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	tell(c.n)
}

// sameRoster says where two members know different things of a third.
func sameRoster(a, b *client.Roster) error {
	if len(a.Members) != len(b.Members) {
		return fmt.Errorf("one member knows %d, another %d", len(a.Members), len(b.Members))
	}
	for i := range a.Members {
		x, y := &a.Members[i], &b.Members[i]
		same := x.Index == y.Index && x.Token.ID == y.Token.ID && x.Token.Name == y.Token.Name &&
			x.Token.SigKey == y.Token.SigKey && x.Token.CommsKey == y.Token.CommsKey &&
			view.Endpoints(x.Token.Endpoints) == view.Endpoints(y.Token.Endpoints) && x.Verified && y.Verified
		if !same {
			return fmt.Errorf("two members know different things of %s", x.Token.Name)
		}
	}
	return nil
}

// checkDemoSize refuses a number of members that no demo is given. Each has a port and
// connections in this one process.
func checkDemoSize(n int) error {
	if n < xlreg.MinClusterSize || n > xlreg.MaxClusterSize {
		return cli.UsageError(fmt.Errorf("-n %d: want %d to %d", n, xlreg.MinClusterSize, xlreg.MaxClusterSize))
	}
	return nil
}
