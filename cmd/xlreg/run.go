package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/launch"
)

// formTime is how long 'run' and 'join -- COMMAND' wait for all members, unless
// told otherwise.
const formTime = 5 * time.Minute

// runFlags are the flags of run, as given.
type runFlags struct {
	members   int
	size      int
	ports     int
	cluster   string
	prefix    string
	dir       string
	wait      time.Duration
	certLife  time.Duration
	testKeys  bool
	keepGoing bool
	quiet     bool
	program   programFlags

	unverified bool
}

// programFlags are those about the program that is to be started.
type programFlags struct {
	env  []string
	pass bool
}

func (f *programFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.env, "env", nil, "set `NAME=VALUE` in COMMAND's environment, VALUE being a template; repeatable")
	cmd.Flags().BoolVar(&f.pass, "pass-listeners", false, "pass the open ports to COMMAND, as systemd does (LISTEN_FDS)")
}

func newRun(g *globals) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run -n N -- COMMAND ARG…",
		Short: "Start a program N times, as the members of a cluster",
		Long: "Create N members on this machine, each with its own keys and ports, form a cluster of\n" +
			"them, and then start COMMAND once for each. Without --registry, run starts a registry of\n" +
			"its own that admits only these members.\n\n" +
			"Every ARG is a template: {{.Self.Name}}, {{.Self.Index}}, {{(index .Self.Endpoints 0).Port}},\n" +
			"{{range .Members}}…{{end}}, {{.Dir}}, {{.TLS.Cert}}, {{.TLS.Key}}, {{.TLS.Peers}}, and\n" +
			"{{args \"etcd\"}} for all flags that etcd needs. See docs/launch.md for the rest.\n\n" +
			"When one COMMAND fails, the others are stopped, and xlreg exits with its status. When one\n" +
			"succeeds, the others have 2 seconds to end too. --keep-going lets the others run.\n" +
			"Ctrl-C is passed on to all; the second one kills them.",
		Example: "  xlreg run -n 3 --ports 2 -- etcd '{{args \"etcd\"}}' --data-dir '{{.Dir}}/etcd'\n" +
			"  xlreg run -n 5 -- sh -c 'echo {{.Self.Index}} of {{len .Members}}'",
		Args: needCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options()
			if err != nil {
				return err
			}
			if o.command, err = f.program.parse(args, launch.Shape{Size: o.size, Endpoints: f.ports}); err != nil {
				return err
			}
			return g.runCluster(cmd.Context(), o)
		},
	}
	f.register(cmd)
	return cmd
}

func (f *runFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.SetInterspersed(false) // what follows COMMAND is COMMAND's
	flags.IntVarP(&f.members, "members", "n", 0, "how many members to start, `N`")
	flags.StringVar(&f.cluster, "cluster", "", "the cluster's `NAME` (default a new one)")
	flags.IntVar(&f.ports, "ports", 1, "how many ports to reserve for each member, `K`")
	flags.IntVar(&f.size, "size", 0, "how many `MEMBERS` the cluster has, if others are started elsewhere (default N)")
	flags.StringVar(&f.prefix, "prefix", "m", "members are named `PREFIX`0, PREFIX1 and so on")
	flags.DurationVar(&f.wait, "wait", formTime, "how much `TIME` to wait for all members")
	flags.StringVar(&f.dir, "dir", "", "keep the members and their files in `DIR` (default a temporary directory)")
	flags.BoolVar(&f.keepGoing, "keep-going", false, "let the others run when one COMMAND ends")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "do not show who is in the cluster before it starts")
	flags.BoolVar(&f.unverified, "allow-unverified", false, "start COMMAND without TLS if a member came over a classic carrier")
	f.program.register(cmd)
	addCertLife(cmd, &f.certLife)
	flags.BoolVar(&f.testKeys, "test-keys", false, "take keys from the cache of test keys: fast, but not secret")
}

func needCommand(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to start: -- COMMAND ARG…")
	}
	return nil
}

// runOptions are the flags of run, checked.
type runOptions struct {
	*runFlags
	size    int
	cluster xlreg.Name
	command *launch.Command
}

func (f *runFlags) options() (*runOptions, error) {
	o := &runOptions{runFlags: f, size: max(f.size, f.members), cluster: xlreg.Name(f.cluster)}
	switch {
	case f.members == 0:
		return nil, cli.UsageError(errors.New("say how many members to start with -n N"))
	case f.members == 1 && f.size == 0:
		return nil, cli.UsageError(errors.New("-n 1: a cluster has at least 2 members; if others come from elsewhere, say how many there are with --size"))
	case f.members < 0 || f.members > xlreg.MaxClusterSize:
		return nil, cli.UsageError(fmt.Errorf("-n %d: want 1 to %d", f.members, xlreg.MaxClusterSize))
	case f.size != 0 && f.size < f.members:
		return nil, cli.UsageError(fmt.Errorf("--size %d: is less than -n %d", f.size, f.members))
	case f.ports < 1 || f.ports > xlreg.MaxEndpoints:
		return nil, cli.UsageError(fmt.Errorf("--ports %d: want 1 to %d", f.ports, xlreg.MaxEndpoints))
	}
	if err := checkCertLife(f.certLife); err != nil {
		return nil, err
	}
	if err := checkFormWait(f.wait); err != nil {
		return nil, err
	}
	if err := checkSize(o.size); err != nil {
		return nil, err
	}
	if o.size > f.members && f.cluster == "" {
		return nil, cli.UsageError(errors.New("--size needs --cluster NAME: those elsewhere must know which cluster"))
	}
	if o.cluster != "" && o.cluster.Validate() != nil {
		return nil, cli.UsageError(fmt.Errorf("--cluster: %w", o.cluster.Validate()))
	}
	if err := f.name(0).Validate(); err != nil {
		return nil, cli.UsageError(fmt.Errorf("--prefix: %w", err))
	}
	return o, nil
}

// addCertLife gives cmd the flag of those that make nodes.
func addCertLife(cmd *cobra.Command, life *time.Duration) {
	cmd.Flags().DurationVar(life, "cert-life", 0, "`TIME` for which the certificates of a new node are valid (default 2160h, which is 90 days)")
}

// checkCertLife refuses lives that no certificate is given; 0 is the default.
func checkCertLife(life time.Duration) error {
	const shortest = 2 * time.Hour
	if life != 0 && life < shortest {
		return cli.UsageError(fmt.Errorf("--cert-life %v: want at least %v", life, shortest))
	}
	return nil
}

func checkFormWait(wait time.Duration) error {
	if wait <= 0 {
		return cli.UsageError(fmt.Errorf("--wait %v: want more than 0", wait))
	}
	return nil
}

// name returns that of the member i.
func (f *runFlags) name(i int) xlreg.Name { return xlreg.Name(fmt.Sprintf("%s%d", f.prefix, i)) }

// parse reads a command, and tries its templates out, so that what is wrong with it
// is told before anything is done.
func (f *programFlags) parse(args []string, shape launch.Shape) (*launch.Command, error) {
	c, err := launch.ParseCommand(args, f.env)
	if err == nil {
		_, err = c.Expand(launch.Sample(shape))
	}
	if err != nil {
		return nil, cli.UsageError(err)
	}
	if program, known := c.Program(); known {
		if _, err := run.LookPath(program); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// errOtherRun says that a cluster cannot be shared in the way that was asked for.
var errOtherRun = errors.New("that cluster is in use by another run: wait for its end, choose another --cluster, or share it with another --prefix and a --size for both")

// explainShared adds what to do when another run has the cluster of that name.
func explainShared(err error) error {
	if errors.Is(err, xlreg.ErrMemberNameInUse) || errors.Is(err, xlreg.ErrClusterFull) {
		return fmt.Errorf("%w (%w)", errOtherRun, err)
	}
	return err
}
