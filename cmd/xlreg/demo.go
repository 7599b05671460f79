package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// demoTime bounds the formation in a demo, which takes milliseconds.
const demoTime = time.Minute

func newDemo(g *globals) *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Form a cluster in this process: a registry and n members, over TCP",
		Long: "Form a cluster in this process: a registry in memory, and n members, each with keys,\n" +
			"a listening port and a TLS connection of its own.",
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

// demo makes keys, forms a cluster and shows it.
func (g *globals) demo(ctx context.Context, n int) error {
	nodes, err := g.makeNodes(ctx, n)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	formed, err := formDemo(ctx, nodes[0], nodes[1:])
	if err != nil {
		return err
	}
	if err := g.printRoster(formed.roster); err != nil || g.Output == "json" {
		return err
	}
	_, err = fmt.Fprintf(g.Out, "\nEach member knows the ID, addresses and keys of all %d, and has verified them.\n"+
		"Registry at %s; formed in %v.\n", n, view.Endpoints(formed.registry.Endpoints), formed.took.Round(100*time.Microsecond))
	return err
}

// makeNodes makes the registry's node, which is the first, and those of n members. The
// registry's keys are RSA, and the only ones that take time.
func (g *globals) makeNodes(ctx context.Context, n int) ([]*identity.Node, error) {
	line := cli.NewStatusLine(g.Console)
	defer line.End()
	line.Show("making keys")
	return cli.Interruptible(ctx, func() (nodes []*identity.Node, err error) {
		nodes = make([]*identity.Node, n+1)
		for i := range nodes {
			if nodes[i], err = demoNode(i); err != nil {
				return nil, err
			}
		}
		return nodes, nil
	})
}

func demoNode(i int) (*identity.Node, error) {
	if i == 0 {
		return identity.NewNode(identity.Options{Name: "demo"})
	}
	return identity.NewNode(identity.Options{Name: xlreg.Name(fmt.Sprintf("m%d", i-1)), Kind: keys.P256})
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

// formation is a cluster that a demo has formed.
type formation struct {
	registry *xlreg.Credentials
	roster   *client.Roster // on which all members agree
	took     time.Duration
}

// formDemo runs a registry for as long as nodes take to form a cluster.
func formDemo(ctx context.Context, registry *identity.Node, nodes []*identity.Node) (formed *formation, err error) {
	running, err := host.Start(host.Config{Node: registry, Store: memory.New()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.Close()) }()
	return formAll(ctx, running.Cred(), nodes)
}

// formAll lets every node form the cluster on its own, holds all their rosters
// against each other, and returns one of them and the time it took.
func formAll(ctx context.Context, cred *xlreg.Credentials, nodes []*identity.Node) (*formation, error) {
	target, err := regcred.NewTarget(cred)
	if err != nil {
		return nil, err
	}
	rosters := make([]*client.Roster, len(nodes))
	begun := time.Now()
	var group errgroup.Group
	for i, node := range nodes {
		group.Go(func() (err error) {
			rosters[i], err = formOne(ctx, target, node, len(nodes))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	for _, r := range rosters {
		if err := sameRoster(rosters[0], r); err != nil {
			return nil, err
		}
	}
	return &formation{registry: cred, roster: rosters[0], took: took}, nil
}

func formOne(ctx context.Context, target *regcred.Target, node *identity.Node, size int) (*client.Roster, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	m, err := client.Form(ctx, target, client.FormOptions{
		Options:   client.Options{Node: node},
		Cluster:   xlreg.ClusterRef{Name: "demo"},
		Size:      size,
		Listeners: []net.Listener{l},
	})
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", node.Name(), err)
	}
	return m.Roster(), nil
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
