package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/keys"
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
	ticket    ticketFlags
	cluster   string
	prefix    string
	dir       string
	wait      time.Duration
	certLife  time.Duration
	key       string
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
			"them, and then start COMMAND once for each. Without --registry or a ticket, run starts a\n" +
			"registry of its own that admits only these members. At the end, and some seconds after\n" +
			"it was killed, their seats are free again.\n\n" +
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
			o, err := f.options(g)
			if err != nil {
				return err
			}
			if err := o.locate(cmd.Context(), g); err != nil {
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
	f.ticket.register(cmd)
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
	addMemberKey(cmd, &f.key)
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
	keys    keyChoice
	place   *place // of a ticket; nil: none was given
}

// ref names the cluster; zero for a new one of a new name.
func (o *runOptions) ref() xlreg.ClusterRef {
	if o.place != nil {
		return o.place.ref
	}
	return xlreg.ClusterRef{Name: o.cluster}
}

// locate reads the ticket, if there is one. What it says of the cluster holds.
func (o *runOptions) locate(ctx context.Context, g *globals) (err error) {
	if !o.ticket.has(g, nil) {
		return nil
	}
	if o.place, _, err = g.ticketPlace(ctx, &o.ticket, nil); err != nil {
		return err
	}
	t := o.place.ticket
	switch {
	case o.runFlags.size != 0 && o.runFlags.size != t.Size:
		return cli.UsageError(fmt.Errorf("--size %d: the ticket is for a cluster of %d", o.runFlags.size, t.Size))
	case o.members > t.Size:
		return cli.UsageError(fmt.Errorf("-n %d: the ticket is for a cluster of %d", o.members, t.Size))
	case o.ports < t.EndpointCount:
		return cli.UsageError(fmt.Errorf("--ports %d: the ticket is for members of %d endpoints each", o.ports, t.EndpointCount))
	}
	o.size = t.Size
	return nil
}

// keyChoice is which keys new members get.
type keyChoice struct {
	kind keys.Kind
	bits int
}

// addMemberKey gives cmd the flag of those that make members for a while.
func addMemberKey(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "key", "", "the `KIND` of new members' keys: p256, rsa2048, rsa3072 or rsa4096 (default p256, over classic protocols rsa2048)")
	cli.Complete(cmd, "key", keyWords()...)
}

// memberKeys reads the flag. Keys on P-256 are made in no time, and classic protocols know
// only RSA.
func (g *globals) memberKeys(word string) (c keyChoice, err error) {
	switch {
	case word != "":
	case g.Protocol.Classic():
		word = defaultKey
	default:
		word = "p256"
	}
	c.kind, c.bits, err = keys.ParseChoice(word)
	if err != nil {
		return c, cli.UsageError(fmt.Errorf("--%w", err))
	}
	if c.kind != keys.RSA && g.Protocol.Classic() {
		return c, cli.UsageError(fmt.Errorf("--key %s: classic protocols need RSA: want rsa2048, rsa3072 or rsa4096", word))
	}
	return c, nil
}

func (f *runFlags) options(g *globals) (*runOptions, error) {
	o := &runOptions{runFlags: f, size: max(f.size, f.members), cluster: xlreg.Name(f.cluster)}
	switch {
	case f.members == 0:
		return nil, cli.UsageError(errors.New("say how many members to start with -n N"))
	case f.members == 1 && f.size == 0 && !f.ticket.has(g, nil):
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
	var err error
	if o.keys, err = g.memberKeys(f.key); err != nil {
		return nil, err
	}
	if err := checkFormWait(f.wait); err != nil {
		return nil, err
	}
	if f.ticket.has(g, nil) {
		return o, f.checkTicket(g)
	}
	if err := g.checkSize(o.size); err != nil {
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

// checkTicket looks at the flags of a run with a ticket, which names the cluster.
func (f *runFlags) checkTicket(g *globals) error {
	if f.cluster != "" {
		return cli.UsageError(errors.New("--cluster: the ticket names the cluster: leave it away"))
	}
	if g.Protocol.Classic() {
		return cli.UsageError(fmt.Errorf("--ticket: %w", client.ErrNeeds20))
	}
	if err := f.name(0).Validate(); err != nil {
		return cli.UsageError(fmt.Errorf("--prefix: %w", err))
	}
	return nil
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
