package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/stores"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/transfer"
	"github.com/xlattice/xlreg/internal/view"
)

func newStore(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Copy the nodes and clusters of a registry to another store",
		Long:  "Copy the nodes and clusters of a registry to another store, or make them fit for use after a restore.",
	}
	cmd.AddCommand(newStoreCopy(g), newStoreBump(g))
	return cmd
}

// storeFlags say how to reach stores, and how to raise revisions.
type storeFlags struct {
	stores, from stores.Options
	bump         bool
	ahead        time.Duration
	wait         time.Duration
}

const whereText = "A store is a URL, as for 'xlreg serve --store', or the directory of a registry whose data is in a\n" +
	"file there, or such a file. No server may use it: stop all of them first.\n\n"

func newStoreCopy(g *globals) *cobra.Command {
	var f storeFlags
	cmd := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy all nodes and clusters of a registry to another store",
		Long: "Copy all nodes and clusters of a registry, byte for byte, to a store that is empty, and compare\n" +
			"both afterwards.\n\n" + whereText +
			"If the copy is interrupted, no server starts on what there is of it: make TO empty, and copy\n" +
			"again. The registry's keys and its name are not in a store: every server needs them in its --data.",
		Example: "  xlreg store copy /var/lib/xlreg etcd://h1:2379,h2:2379,h3:2379/prod",
		Args:    twoArgs("FROM", "TO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args...); err != nil {
				return cli.UsageError(err)
			}
			return g.storeCopy(cmd.Context(), args[0], args[1], &f)
		},
	}
	f.register(cmd)
	f.from.RegisterFrom(cmd.Flags())
	cmd.Flags().BoolVar(&f.bump, "bump", false, "FROM is older than what clients have seen: raise all revisions in TO, see 'xlreg store bump --help'")
	return cmd
}

func newStoreBump(g *globals) *cobra.Command {
	var f storeFlags
	cmd := &cobra.Command{
		Use:   "bump STORE",
		Short: "Raise all revisions of a registry that was restored",
		Long: "Raise the revisions of all clusters past every one that a client can have seen. That is needed\n" +
			"when a store was restored to an older state: clients that have seen a later one would otherwise\n" +
			"take what the registry shows next for old.\n\n" + whereText +
			"A revision is a time in milliseconds by the clock of the server that made it. The new one is\n" +
			"later than the newest in the store and than the present, by --ahead. Give more if the clock of\n" +
			"a server was wrong by more. If this is interrupted, no server starts on the store: do it again.",
		Example: "  xlreg store bump etcd://h1:2379,h2:2379,h3:2379/prod",
		Args:    oneArg("STORE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args...); err != nil {
				return cli.UsageError(err)
			}
			return g.storeBump(cmd.Context(), args[0], &f)
		},
	}
	f.register(cmd)
	return cmd
}

func (f *storeFlags) register(cmd *cobra.Command) {
	f.stores.Register(cmd.Flags())
	cmd.Flags().DurationVar(&f.ahead, "ahead", transfer.DefaultAhead, "`TIME` by which a server's clock may have been ahead")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "`TIME` to wait until no server uses a store; one that was killed, or is in a snapshot, is there for half a minute")
}

// check checks the flags with the stores that they are for.
func (f *storeFlags) check(places ...string) error {
	f.from.Timeout = f.stores.Timeout
	if !f.from.Given() {
		f.from = f.stores
	}
	for i, place := range places {
		o := &f.stores
		if i == 0 && len(places) > 1 {
			o = &f.from
		}
		if !stores.IsURL(place) {
			continue
		}
		if err := stores.Check(place, o); err != nil {
			return err
		}
	}
	if f.ahead < 0 || f.wait < 0 {
		return fmt.Errorf("--ahead %v, --wait %v: want 0 or more", f.ahead, f.wait)
	}
	return nil
}

// storePlace is a store that is looked after while no server uses it.
type storePlace struct {
	name string // as it was given
	store.Store
}

// openPlace opens a store. One in a file is made if need be, unless it must exist.
func (g *globals) openPlace(ctx context.Context, name string, o *stores.Options, mustExist bool) (*storePlace, error) {
	if !stores.IsURL(name) {
		st, err := datadir.OpenStopped(name, mustExist)
		return &storePlace{name, st}, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeOpenTime)
	defer cancel()
	log, _, err := newLogger(g.Console, "error")
	if err != nil {
		return nil, err
	}
	st, err := stores.Open(ctx, name, o, log)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return &storePlace{name, st}, nil
}

func (g *globals) storeCopy(ctx context.Context, fromName, toName string, f *storeFlags) (err error) {
	from, err := g.openPlace(ctx, fromName, &f.from, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := g.openPlace(ctx, toName, &f.stores, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	line := cli.NewStatusLine(g.Console)
	defer line.End()
	if err := f.awaitIdle(ctx, line, from, to); err != nil {
		return err
	}
	result, err := transfer.Copy(ctx, from, to, f.options(line))
	if err != nil {
		return adviseOnCopy(from, to, err)
	}
	line.End()
	return g.printTransfer(&transferJSON{From: from.name, To: to.name}, &result)
}

func (g *globals) storeBump(ctx context.Context, name string, f *storeFlags) (err error) {
	at, err := g.openPlace(ctx, name, &f.stores, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.Close()) }()
	line := cli.NewStatusLine(g.Console)
	defer line.End()
	if err := f.awaitIdle(ctx, line, at); err != nil {
		return err
	}
	result, err := transfer.Bump(ctx, at, f.options(line))
	if err != nil {
		return adviseOnServed(fmt.Errorf("%s: %w", at.name, err))
	}
	line.End()
	return g.printTransfer(&transferJSON{Store: at.name}, &result)
}

// idlePause is how often a look is taken whether servers have gone.
const idlePause = 200 * time.Millisecond

// awaitIdle waits until no server uses the stores, or the time for that is over, about
// which others have more to say.
func (f *storeFlags) awaitIdle(ctx context.Context, line *cli.StatusLine, places ...*storePlace) error {
	deadline := time.Now().Add(f.wait)
	for _, at := range places {
		for {
			err := transfer.Idle(ctx, at)
			if !errors.Is(err, transfer.ErrServed) || !time.Now().Before(deadline) {
				break
			}
			line.Show("waiting until no server uses " + at.name)
			select {
			case <-time.After(idlePause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (f *storeFlags) options(line *cli.StatusLine) transfer.Options {
	return transfer.Options{Bump: f.bump, Ahead: f.ahead, Now: time.Now(), Progress: func(step string, n int) {
		line.Show(fmt.Sprintf("%s %d records", step, n))
	}}
}

// adviseOnCopy says what to do about a copy that was not made, or not to its end.
func adviseOnCopy(from, to *storePlace, err error) error {
	err = fmt.Errorf("copy %s to %s: %w", from.name, to.name, err)
	switch {
	case errors.Is(err, transfer.ErrServed):
		return adviseOnServed(err)
	case errors.Is(err, transfer.ErrNotEmpty), errors.Is(err, records.ErrUnfinished):
		return fmt.Errorf("%w: choose another, or make it empty%s", err, howToEmpty(to.name))
	}
	return fmt.Errorf("%w: make the target empty%s, and copy again", err, howToEmpty(to.name))
}

func adviseOnServed(err error) error {
	if errors.Is(err, transfer.ErrServed) {
		return fmt.Errorf("%w: stop them; one that was killed is there for another half minute", err)
	}
	return err
}

// howToEmpty is for people, who may think again before they do that.
func howToEmpty(name string) string {
	switch {
	case !stores.IsURL(name):
		return " by removing the file"
	case stores.IsEtcd(name):
		return " with 'etcdctl del --prefix'"
	}
	return " with DROP SCHEMA"
}

// transferJSON is what was done, for scripts.
type transferJSON struct {
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	Store    string `json:"store,omitempty"`
	Records  int    `json:"records"`
	Nodes    int    `json:"nodes"`
	Clusters int    `json:"clusters"`
	Seats    int    `json:"seats"`
	Bytes    int64  `json:"bytes"`
	Revision uint64 `json:"revision,omitempty"` // that all clusters were raised to
}

func (g *globals) printTransfer(v *transferJSON, r *transfer.Result) error {
	v.Records, v.Bytes, v.Revision = r.Records, r.Bytes, r.Revision
	v.Nodes, v.Clusters, v.Seats = r.Counts.Nodes, r.Counts.Clusters, r.Counts.Seats
	var fields []view.Field
	if v.Store == "" {
		fields = append(fields, view.Field{"copied", v.From}, view.Field{"to", v.To})
	} else {
		fields = append(fields, view.Field{"store", v.Store})
	}
	fields = append(fields,
		view.Field{"nodes", fmt.Sprint(v.Nodes)}, view.Field{"clusters", fmt.Sprint(v.Clusters)},
		view.Field{"seats", fmt.Sprint(v.Seats)}, view.Field{"data", fmt.Sprintf("%d records, %d bytes", v.Records, v.Bytes)})
	if v.Revision > 0 {
		fields = append(fields, view.Field{"revision", fmt.Sprintf("%d, of every cluster", v.Revision)})
	}
	return g.PrintFields(v, fields...)
}
