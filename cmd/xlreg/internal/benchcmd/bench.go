// Package benchcmd is 'xlreg bench': it measures a registry and tells what it found, to
// people as tables and to scripts as JSON.
package benchcmd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/bench"
)

// What can be measured.
const (
	ofFormation   = "formation"
	ofSessions    = "sessions"
	ofMembers     = "members"
	ofConnections = "connections"
)

// What members' keys can be.
const (
	keyP256 = "p256"
	keyRSA  = "rsa2048"
)

// benchKinds are in the order in which they are measured.
var benchKinds = []string{ofFormation, ofSessions, ofMembers, ofConnections}

// guestConnections is the default of --connections at a registry that others use.
const guestConnections = 100

// benchFlags are the flags of bench, as given.
type benchFlags struct {
	sizes       []int
	carriers    []string
	stores      []string
	runs        int
	connections int
	dir         string
	key         string // empty: what all carriers take
}

// New returns the command.
func New(g *cli.Globals) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [formation|sessions|members|connections]…",
		Short: "Measure how fast a registry is, and what it uses",
		Long: "Measure how fast a registry is on this machine, and what it uses:\n\n" +
			"  formation    n members connect, register, create or find the cluster, join, wait\n" +
			"               for each other, and verify the roster, all at once from one address\n" +
			"  sessions     connect, register and say Bye, 16 at once\n" +
			"  members      read all members of a cluster over 4 open sessions\n" +
			"  connections  hold many open at once, idle, and waiting for a cluster's members\n\n" +
			"Without arguments, all four are measured. Without --registry, bench starts a registry in\n" +
			"a process of its own on each of the stores (on the first one for members and connections),\n" +
			"so that its processor time and memory can be measured. Keys are made in advance, of one\n" +
			"kind for all carriers: P-256 where only 2.0 is measured, as 'xlreg run' makes them, and\n" +
			"otherwise RSA-2048, which classic carriers need. Things that are compared are measured\n" +
			"alternately. Rates and processor times are those of the\n" +
			"median run; percentiles are over all operations of all runs, so of 9 formations P90 is\n" +
			"the slowest.\n\n" +
			"With --registry the defaults are 2.0 only and 100 connections. Each bench leaves some\n" +
			"records there: a node for each member, as many as the largest of --sizes, and a cluster\n" +
			"for each formation, a few more than runs × sizes × carriers. Over 2.0 the members leave\n" +
			"the clusters again; over classic carriers they cannot. If a limit of the registry refuses\n" +
			"something, bench ends with an error.",
		Example: "  xlreg bench\n" +
			"  xlreg bench formation --sizes 16 --carriers 2.0 --stores memory\n" +
			"  xlreg bench sessions --registry regCred.dat -o json",
		ValidArgs: benchKinds,
		Args:      knownKinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(g, cmd.Flags(), args)
			if err != nil {
				return err
			}
			return measure(cmd.Context(), g, o)
		},
	}
	f.register(cmd)
	return cmd
}

func (f *benchFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntSliceVar(&f.sizes, "sizes", []int{3, 8, 16, 32, 64}, "the `NUMBERS` of members to form clusters of; members reads the largest")
	flags.StringSliceVar(&f.carriers, "carriers", []string{"2.0", "1.9", "1.8"}, "the `GENERATIONS` to speak")
	flags.StringSliceVar(&f.stores, "stores", []string{bench.Memory, bench.Bbolt}, "where the registry that bench starts keeps its data, `STORES`")
	flags.IntVar(&f.runs, "runs", 9, "how often to measure each, `N`")
	flags.IntVar(&f.connections, "connections", 1000, "how many connections to hold open, `N`")
	flags.StringVar(&f.key, "key", "", "the `KIND` of the members' keys: p256 or rsa2048 (default what suits the carriers)")
	flags.StringVar(&f.dir, "dir", "", "keep the data of bbolt below `DIR`, on the disk to measure (default the temporary directory)")
	cli.Complete(cmd, "carriers", "2.0", "2.0,1.9,1.8")
	cli.Complete(cmd, "key", keyP256, keyRSA)
	cli.Complete(cmd, "stores", bench.Memory, bench.Bbolt, bench.Memory+","+bench.Bbolt)
}

// knownKinds is the check of the arguments of bench.
func knownKinds(_ *cobra.Command, args []string) error {
	for _, arg := range args {
		if !slices.Contains(benchKinds, arg) {
			return fmt.Errorf("cannot measure %q: want formation, sessions, members or connections", arg)
		}
	}
	return nil
}

// benchOptions are the flags of bench, checked.
type benchOptions struct {
	*benchFlags
	kinds     []string
	protocols []xlreg.Protocol
}

func (f *benchFlags) options(g *cli.Globals, flags *pflag.FlagSet, kinds []string) (o *benchOptions, err error) {
	o = &benchOptions{benchFlags: f, kinds: kinds}
	if len(kinds) == 0 {
		o.kinds = benchKinds
	}
	f.adapt(g, flags)
	if err := f.check(g, flags); err != nil {
		return nil, cli.UsageError(err)
	}
	if o.protocols, err = cli.ParseCarriers(f.carriers); err != nil {
		return nil, cli.UsageError(err)
	}
	return o, errors.Join(o.checkClassicSizes(), o.settleKey())
}

// settleKey finds out which keys to make, and refuses those that a carrier does not take.
func (o *benchOptions) settleKey() error {
	classic := slices.ContainsFunc(o.protocols, xlreg.Protocol.Classic)
	switch {
	case o.key == "" && classic:
		o.key = keyRSA
	case o.key == "":
		o.key = keyP256
	case o.key != keyP256 && o.key != keyRSA:
		return cli.UsageError(fmt.Errorf("--key %q: want %s or %s", o.key, keyP256, keyRSA))
	case o.key == keyP256 && classic:
		return cli.UsageError(errors.New("--key p256: classic carriers know RSA alone; measure these keys with --carriers 2.0"))
	}
	return nil
}

// adapt changes the defaults to what suits the registry and the carrier chosen.
func (f *benchFlags) adapt(g *cli.Globals, flags *pflag.FlagSet) {
	chosen := flags.Changed("carriers")
	switch {
	case chosen:
	case g.Protocol.Protocol != 0:
		f.carriers = []string{g.Protocol.String()}
	case g.Registry != "":
		f.carriers = f.carriers[:1]
	}
	if g.Registry != "" && !flags.Changed("connections") {
		f.connections = guestConnections
	}
}

func (f *benchFlags) check(g *cli.Globals, flags *pflag.FlagSet) error {
	if flags.Changed("carriers") && g.Protocol.Protocol != 0 {
		return errors.New("give --protocol or --carriers, not both")
	}
	for _, flag := range []string{"stores", "dir"} {
		if flags.Changed(flag) && g.Registry != "" {
			return fmt.Errorf("--%s is about the registry that runs along, and --registry names another", flag)
		}
	}
	if len(f.sizes) == 0 {
		return errors.New("--sizes: want at least one number")
	}
	for _, n := range f.sizes {
		if n < xlreg.MinClusterSize || n > xlreg.MaxClusterSize {
			return fmt.Errorf("--sizes %d: want %d to %d", n, xlreg.MinClusterSize, xlreg.MaxClusterSize)
		}
	}
	if err := f.checkStores(); err != nil {
		return err
	}
	if err := cli.CheckPositive(flags); err != nil {
		return err
	}
	if g.Registry == "" && f.connections > bench.MostConnections {
		return fmt.Errorf("--connections %d: want at most %d", f.connections, bench.MostConnections)
	}
	return checkOpenFiles(f.connections)
}

func (f *benchFlags) checkStores() error {
	if len(f.stores) == 0 {
		return errors.New("--stores: want memory, bbolt or both")
	}
	for i, store := range f.stores {
		if store != bench.Memory && store != bench.Bbolt {
			return fmt.Errorf("--stores %q: want memory, bbolt or both", store)
		}
		if slices.Contains(f.stores[:i], store) {
			return fmt.Errorf("--stores %s: is there twice", store)
		}
	}
	return nil
}

// checkClassicSizes refuses clusters that no classic carrier can form.
func (o *benchOptions) checkClassicSizes() error {
	largest := slices.Max(o.sizes)
	if largest > xlreg.MaxClassicClusterSize && slices.ContainsFunc(o.protocols, xlreg.Protocol.Classic) {
		return cli.UsageError(fmt.Errorf("--sizes %d: over classic carriers at most %d; measure larger ones with --carriers 2.0", largest, xlreg.MaxClassicClusterSize))
	}
	return nil
}

// checkOpenFiles refuses more connections than the system lets this process have.
func checkOpenFiles(n int) error {
	allowed, limited := cli.OpenFileLimit()
	if limited && n+cli.SpareFiles > allowed {
		return errors.New("--connections " + strconv.Itoa(n) + ": this system allows " +
			strconv.Itoa(max(0, allowed-cli.SpareFiles)) + "; raise it with ulimit -n")
	}
	return nil
}
