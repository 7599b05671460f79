// Package topcmd is 'xlreg top': the state of a registry on a terminal, as it changes.
package topcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/admincmd"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// top is the command.
type top struct {
	*cli.Globals
	place    admincmd.Place
	once     bool
	interval time.Duration
}

// New returns the command.
func New(g *cli.Globals) *cobra.Command {
	t := &top{Globals: g}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a registry that you run, on a whole terminal",
		Long: "Show on a whole terminal what a running registry does, as it happens: which clusters are\n" +
			"forming and who is missing, which limits are near, and how long formations take.\n\n" +
			"Keys: j and k move, enter opens a cluster, / finds one, t chooses which are listed, s sorts,\n" +
			"q quits. Without a terminal, with --once, or under '-o json' it prints what there is and ends.",
		Example: "  xlreg top --data /var/lib/xlreg\n" +
			"  xlreg top --once",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.interval < leastInterval {
				return cli.UsageError(fmt.Errorf("--interval %v: want %v or more", t.interval, leastInterval))
			}
			c, err := t.place.Open(g)
			if err != nil {
				return err
			}
			defer c.Close()
			if t.once || t.Output == "json" || !t.CanDraw() {
				return t.snapshot(cmd.Context(), c)
			}
			return t.run(cmd.Context(), c)
		},
	}
	t.place.Register(cmd)
	cmd.Flags().BoolVar(&t.once, "once", false, "print what there is, and end")
	cmd.Flags().DurationVar(&t.interval, "interval", time.Second, "`TIME` between two looks at what does not tell of itself")
	return cmd
}

const leastInterval = 200 * time.Millisecond

// snapshotJSON is what there is, for scripts.
type snapshotJSON struct {
	Registry api.Registry          `json:"registry"`
	Clusters api.Page[api.Cluster] `json:"clusters"` // those that are forming
	Limits   []api.Limit           `json:"limits"`
}

// snapshot prints what there is.
func (t *top) snapshot(ctx context.Context, c *adminclient.Client) error {
	m := newModel(isPlain())
	seen, err := look(ctx, c, m.wish())
	if err != nil {
		return err
	}
	if t.Output == "json" {
		return t.PrintJSON(snapshotJSON{seen.registry, seen.clusters, seen.limits})
	}
	m.take(seen, time.Now())
	m.still = true
	for _, line := range m.lines(cli.Width(t.Out), 0, time.Now()) {
		if _, err := fmt.Fprintln(t.Out, strings.TrimRight(unstyled(line), " ")); err != nil {
			return err
		}
	}
	return nil
}

// run shows the registry until somebody quits.
func (t *top) run(ctx context.Context, c *adminclient.Client) (err error) {
	m := newModel(isPlain())
	seen, err := look(ctx, c, m.wish()) // what cannot be reached is said on the terminal as it was
	if err != nil {
		return err
	}
	m.take(seen, time.Now())
	screen, err := cli.OpenScreen(t.Console)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.Close()) }()
	defer screen.CloseOnPanic()
	group, ctx := errgroup.WithContext(ctx) // ends all when one ends, and show does with errQuit
	f := newFeed(c, t.interval)
	each := func(do func(context.Context) error) {
		group.Go(func() error {
			defer screen.CloseOnPanic()
			return do(ctx)
		})
	}
	keys := make(chan cli.Key)
	each(func(ctx context.Context) error { return readKeys(ctx, screen, keys) })
	each(f.poll)
	each(f.follow)
	each(func(ctx context.Context) error { return show(ctx, m, screen, keys, f) })
	err = group.Wait()
	if errors.Is(err, errQuit) {
		return nil
	}
	return err
}

// errQuit says that somebody has pressed the key to end.
var errQuit = errors.New("quit")

// readKeys passes on what is typed. A terminal that has gone is the end.
func readKeys(ctx context.Context, screen *cli.Screen, to chan<- cli.Key) error {
	err := screen.Keys(ctx, func(k cli.Key) {
		select {
		case to <- k:
		case <-ctx.Done():
		}
	})
	return fmt.Errorf("read keys: %w", err)
}

// Between two frames is some time, for clusters may change a thousand times a second.
const (
	frameTime = 100 * time.Millisecond
	clockTime = time.Second // ages grow although nothing happens
)

// show draws what there is, and does what the keys say. Everything about the model
// happens here.
func show(ctx context.Context, m *model, screen *cli.Screen, keys <-chan cli.Key, f *feed) error {
	resized, stop := cli.Resized()
	defer stop()
	clock := time.NewTicker(clockTime)
	defer clock.Stop()
	frame := time.NewTimer(0)
	defer frame.Stop()
	due := true // a frame is going to be drawn
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case k := <-keys:
			if m.press(k) {
				return errQuit
			}
			f.want(m.wish())
		case u := <-f.updates:
			u(m)
			if !due {
				due = true
				frame.Reset(frameTime)
			}
			continue
		case <-resized:
		case <-clock.C:
		case <-frame.C:
			due = false
		}
		width, height := screen.Size()
		if err := screen.Draw(m.lines(width, height, time.Now())); err != nil {
			return err
		}
	}
}

// isPlain reports whether nothing but ASCII can be shown.
func isPlain() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			upper := strings.ToUpper(value)
			return !strings.Contains(upper, "UTF-8") && !strings.Contains(upper, "UTF8")
		}
	}
	return false
}
