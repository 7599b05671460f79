package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
)

const joinLaunchHelp = "With COMMAND, join waits for all members, 5 minutes unless --wait says otherwise, and then\n" +
	"starts COMMAND. Until then it keeps the member's ports. Every ARG is a template, as with\n" +
	"'xlreg run'. With COMMAND, --format, --dir or --refresh, join also writes files for other\n" +
	"programs: cert.pem, key.pem and peers.pem for mutual TLS, and roster.json. While COMMAND\n" +
	"runs they follow the cluster. If another process turns out to run as this node, COMMAND is\n" +
	"stopped, and xlreg exits with 1."

// joinLaunchFlags are the flags of join about programs and files, as given.
type joinLaunchFlags struct {
	program  programFlags
	ports    string
	role     string
	first    bool
	format   string
	dir      string
	refresh  bool
	onChange string
}

func (f *joinLaunchFlags) register(cmd *cobra.Command) {
	addFormat(cmd, &f.format)
	cmd.Flags().StringVar(&f.dir, "dir", "", "write the files for programs in `DIR` (default clusters/NAME in the node's)")
	cmd.Flags().BoolVar(&f.refresh, "refresh", false, "renew the certificate if it is time, and rewrite the member's files")
	cmd.Flags().StringVar(&f.onChange, "on-change", "", "while COMMAND runs, run this shell `CMD` each time that the members have changed and the files are new")
	f.program.register(cmd)
	f.program.registerTLS(cmd, "ca (an authority that all members have in common signs them)")
	cmd.Flags().StringVar(&f.ports, "ports", "", "`NAMES` of the endpoints, in their order, such as peer,client (default the recipe's)")
	cmd.Flags().StringVar(&f.role, "role", "", "the member's role, `NAME`: it becomes its label role, and it gets what the recipe has for it")
	cmd.Flags().BoolVar(&f.first, "first", false, "start COMMAND when member 0 is ready, unless this is member 0")
}

// addFormat gives cmd the flag that get and join have.
func addFormat(cmd *cobra.Command, format *string) {
	names := launch.FormatNames()
	cmd.Flags().StringVar(format, "format", "", "print what a `PROGRAM` wants to be told: "+strings.Join(names, " "))
	cli.Complete(cmd, "format", names...)
}

func checkFormat(format string) error {
	if format == "" {
		return nil
	}
	if err := launch.CheckFormat(format); err != nil {
		return cli.UsageError(fmt.Errorf("--format: %w", err))
	}
	return nil
}

// ownArgs returns how many of the arguments stand before -- and so are join's own.
func ownArgs(cmd *cobra.Command, args []string) int {
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		return dash
	}
	return len(args)
}

func splitAtDash(cmd *cobra.Command, args []string) (own, command []string) {
	n := ownArgs(cmd, args)
	return args[:n], args[n:]
}

// checkArgs is the check of join's arguments: NAME or TICKET, and COMMAND after --.
func (f *joinFlags) checkArgs(g *globals, cmd *cobra.Command, args []string) error {
	own, command := splitAtDash(cmd, args)
	if cmd.ArgsLenAtDash() >= 0 && len(command) == 0 {
		return errors.New("say what to start after --")
	}
	return f.ticket.placeArg(g)(cmd, own)
}

// joinLaunch is what join does besides joining.
type joinLaunch struct {
	*joinLaunchFlags
	wait      time.Duration
	told      *runplan.Flags    // nil: no program is started
	secret    string            // empty: there is none
	authority *launch.Authority // nil: there is none
}

// errNoListener says that --listen is given and nothing will listen.
var errNoListener = errors.New("--listen is where COMMAND listens: give one after --, or --format for one that you start yourself")

func (f *joinFlags) launchOptions(cmd *cobra.Command, command []string, size int) (*joinLaunch, error) {
	l := &joinLaunch{joinLaunchFlags: &f.launch, wait: f.wait}
	if err := f.launch.check(f, f.starts(command)); err != nil {
		return nil, err
	}
	if !f.starts(command) {
		return l, nil
	}
	if !cmd.Flags().Changed("wait") {
		l.wait = formTime
	}
	if err := checkFormWait(l.wait); err != nil {
		return nil, err
	}
	return l, l.plan(cmd.Context(), command, size, len(f.endpoints))
}

// starts reports whether a program is to be started.
func (f *joinFlags) starts(command []string) bool {
	return len(command) > 0 || f.launch.program.recipe != ""
}

// check looks at the flags on their own.
func (f *joinLaunchFlags) check(join *joinFlags, starts bool) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	switch {
	case f.refresh && join.create:
		return cli.UsageError(errors.New("--refresh is for a member, and --create for a new cluster: leave one out"))
	case !starts && len(join.listen) > 0 && f.format == "":
		return cli.UsageError(errNoListener)
	case !starts && f.onChange != "":
		return cli.UsageError(errors.New("--on-change is for as long as COMMAND runs: give one after --"))
	case !starts && (f.first || f.ports != "" || f.program.areForCommand()):
		return cli.UsageError(errors.New("--first, --ports, --env, --file, --secret-file, --pass-listeners, --tls, --authority and --san are for COMMAND: give one after --, or a --recipe"))
	case starts && (f.format != "" || f.refresh):
		return cli.UsageError(errors.New("--format and --refresh start no COMMAND: leave it out, or say {{format \"…\"}} in it"))
	}
	return nil
}

// plan decides what the program is told, and tries it out on a cluster like the one that
// there will be.
func (l *joinLaunch) plan(ctx context.Context, command []string, size, own int) (err error) {
	if l.told, err = l.program.read(nil, command); err != nil {
		return err
	}
	if l.secret, err = l.program.secretOf(); err != nil {
		return err
	}
	if l.authority, err = l.program.authorityOf(); err != nil {
		return err
	}
	l.told.NoAuthority = l.authority == nil
	l.told.Ports, l.told.First, l.told.OnChange = l.ports, l.first, l.onChange
	l.told.Join, l.told.Own, l.told.NoSecret, l.told.OwnRole = true, own, l.secret == "", l.role
	l.told.Members, l.told.Size = size, size
	p, err := runplan.Make(l.told)
	if err != nil {
		return cli.UsageError(err)
	}
	return lookPrograms(ctx, p)
}

// wantsFiles reports whether the member's files are to be written.
func (l *joinLaunch) wantsFiles() bool { return l.format != "" || l.dir != "" || l.refresh }

// printJoined writes the member's files if they are wanted, and shows the roster.
func (g *globals) printJoined(roster *client.Roster, target *regcred.Target, o *joining, l *joinLaunch) error {
	g.warnOfSharedAddresses(roster)
	if !l.wantsFiles() {
		return g.printRoster(roster)
	}
	known, _ := o.Node.Registry(target.Fingerprint)
	d, err := writeFiles(roster, known.ID, o.Node, target, memberPlace{dir: l.dir, listen: o.listen})
	if err != nil {
		return err
	}
	if l.format == "" {
		return g.printRoster(roster)
	}
	return g.printFormat(d, l.format)
}

// printRead shows the roster to a reader, which need not be a member.
func (g *globals) printRead(roster *client.Roster, target *regcred.Target, format string) (err error) {
	if format == "" {
		return g.printRoster(roster)
	}
	d, err := launch.NewData(roster, "", "")
	if err != nil {
		return err
	}
	if d.Registry, err = target.URL(); err != nil {
		return err
	}
	return g.printFormat(d, format)
}

func (g *globals) printFormat(d *launch.Data, format string) error {
	if here := len(d.Members); here < d.Cluster.Size {
		return fmt.Errorf("%d of %d members joined, and --format tells of all: wait for them with --wait TIME", here, d.Cluster.Size)
	}
	text, err := d.Format(format)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(g.Out, text)
	return err
}

// joinAndStart joins, waits for the others and starts a program as the member. The
// node is closed by then, so that --refresh can open it.
func (g *globals) joinAndStart(ctx context.Context, o *joining, l *joinLaunch) (err error) {
	j, err := g.joinForProgram(ctx, o, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.ports.Close(), j.member.Close()) }()
	programs := []run.Program{*j.program}
	options, err := g.launchOptions()
	if err != nil {
		return errors.Join(err, run.Abandon(programs))
	}
	options.Release, options.Grace = j.ports.Release, j.order.plan.StopTimeout
	if j.order.hasMore() {
		options.AfterReady = j.order.afterReady
	}
	ctx, lost := context.WithCancel(ctx)
	defer lost()
	follow := g.newFollowing(j, o, l, lost)
	defer follow.end()
	if err := j.order.awaitFirst(ctx, l.wait); err != nil {
		return errors.Join(follow.instead(err), run.Abandon(programs))
	}
	return follow.instead(g.supervise(ctx, programs, options, follow.stop, renewByJoin))
}

// joined is a member that is about to start its program.
type joined struct {
	member  *client.Membership
	ports   *run.Ports
	program *run.Program
	order   *memberOrder
}

// joinForProgram returns the program to start, and the ports that are held for it.
func (g *globals) joinForProgram(ctx context.Context, o *joining, l *joinLaunch) (j *joined, err error) {
	if o.Node, err = g.openNodeFor(ctx, o); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Node.Close()) }()
	if err := o.remember(true); err != nil {
		return nil, err
	}
	if l.wait, err = g.settleOrResume(ctx, o, l.wait); err != nil {
		return nil, err
	}
	j = new(joined)
	if j.ports, err = holdPorts(o); err != nil {
		return nil, err
	}
	if !l.program.pass {
		j.ports.Refuse()
	}
	j.member, err = g.joinOrResume(ctx, o, l)
	if err == nil {
		j.program, j.order, err = g.memberProgram(j.member, o.place.registry(), j.ports, o, l)
	}
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// close gives up what is held for a program that is not started after all.
func (j *joined) close() error {
	err := j.ports.Close()
	if j.member != nil {
		err = errors.Join(err, j.member.Close())
	}
	return err
}

// holdPorts takes the ports where the program will listen, so that nobody else does.
func holdPorts(o *joining) (*run.Ports, error) {
	where := slices.Clone(o.Advertise)
	copy(where, o.listen)
	ports, err := run.Hold(texts(where)...)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w with --endpoint, or with --listen if only this machine is to use it", err)
	}
	return ports, err
}

// memberProgram writes the member's files and returns the program to start. Its output
// goes unchanged to where this program's own goes.
func (g *globals) memberProgram(m *client.Membership, target *regcred.Target, ports *run.Ports, o *joining, l *joinLaunch) (*run.Program, *memberOrder, error) {
	g.warnOfSharedAddresses(m.Roster())
	p, order, err := g.prepareProgram(m, target, memberPlace{dir: l.dir, listen: o.listen, allowUnverified: o.AllowUnverified, certLife: g.certLife}, l)
	if err != nil {
		return nil, nil, err
	}
	p.Stdout, p.Stderr = g.Out, g.Err
	if in, ok := g.In.(*os.File); ok && !cli.IsTerminal(in) { // a terminal is only for programs in its foreground
		p.Stdin = in
	}
	if l.program.pass {
		p.Passed, err = ports.Files()
	}
	return &p, order, err
}

func texts(endpoints []xlreg.Endpoint) []string {
	all := make([]string, len(endpoints))
	for i, e := range endpoints {
		all[i] = string(e)
	}
	return all
}
