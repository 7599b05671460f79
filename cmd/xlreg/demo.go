package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/store/memory"
)

// demoTime bounds the formation in a demo, which takes milliseconds.
const demoTime = time.Minute

func newDemo(g *globals) *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Form a cluster right here: a registry and n members over real TCP",
		Long: "Form a cluster in this process: a registry in memory, and n members, each with keys,\n" +
			"a listening port and a TLS connection of its own.",
		Example: "  xlreg demo -n 5",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < xlreg.MinClusterSize || n > xlreg.MaxClusterSize {
				return usageError{fmt.Errorf("-n %d: want %d to %d", n, xlreg.MinClusterSize, xlreg.MaxClusterSize)}
			}
			return g.demo(cmd.Context(), n)
		},
	}
	cmd.Flags().IntVarP(&n, "members", "n", 5, "how many members")
	return cmd
}

// demo makes keys, opens a registry, forms a cluster and shows it.
func (g *globals) demo(ctx context.Context, n int) (err error) {
	nodes, err := g.makeNodes(n + 1)
	if err != nil {
		return err
	}
	st := memory.New()
	defer func() { err = errors.Join(err, st.Close()) }()
	h, err := host.Open(host.Config{Node: nodes[n], Store: st, Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()

	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	serving, stop := context.WithCancel(ctx)
	var served sync.WaitGroup
	served.Go(func() { err = errors.Join(err, h.Serve(serving)) })
	roster, took, formErr := formAll(ctx, h.Cred(), nodes[:n])
	stop()
	served.Wait()
	if err = errors.Join(err, formErr); err != nil {
		return err
	}
	if err := g.printRoster(roster); err != nil || g.output == "json" {
		return err
	}
	_, err = fmt.Fprintf(g.out, "\nEach of the %d members knows the ID, addresses and keys of all %d, and has verified them.\n"+
		"Registry at %s; formed in %v.\n", n, n, h.Cred().Endpoints[0], took.Round(100*time.Microsecond))
	return err
}

// makeNodes makes nodes in memory, on all processors, and shows how far it is.
func (g *globals) makeNodes(n int) ([]*identity.Node, error) {
	nodes := make([]*identity.Node, n)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	var made atomic.Int32
	for i := range nodes {
		group.Go(func() (err error) {
			nodes[i], err = identity.NewNode(identity.Options{Name: xlreg.Name(fmt.Sprintf("m%d", i))})
			g.progressLine("making keys: %d of %d", made.Add(1), n)
			return err
		})
	}
	err := group.Wait()
	g.clearLine()
	return nodes, err
}

func (g *globals) progressLine(format string, args ...any) {
	if isTerminal(g.err) {
		fmt.Fprintf(g.err, "\r\033[K"+format, args...)
	}
}

func (g *globals) clearLine() { g.progressLine("") }

// formAll lets every node form the cluster on its own, holds all their rosters
// against each other, and returns one of them and the time it took.
func formAll(ctx context.Context, cred *regcred.Cred, nodes []*identity.Node) (*client.Roster, time.Duration, error) {
	target, err := cred.Target()
	if err != nil {
		return nil, 0, err
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
		return nil, 0, err
	}
	took := time.Since(begun)
	for _, r := range rosters {
		if err := sameRoster(rosters[0], r); err != nil {
			return nil, 0, err
		}
	}
	return rosters[0], took, nil
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
			joinEndpoints(x.Token.Endpoints) == joinEndpoints(y.Token.Endpoints) && x.Verified && y.Verified
		if !same {
			return fmt.Errorf("two members know different things of %s", x.Token.Name)
		}
	}
	return nil
}
