package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/launch"
)

// formTime is how long 'run' and 'join -- COMMAND' wait for all members, unless
// told otherwise.
const formTime = 5 * time.Minute

const runHelp = `Create N members on this machine, each with its own keys and ports, form a cluster of
them, and then start a program once for each: the one that a recipe names, or COMMAND.
'xlreg recipes' lists the systems that have a recipe; --recipe FILE uses one of your own. With
a recipe, what follows -- is added to its command. Flags win over the recipe.

With --then, a command such as a test runs as soon as all members are ready. xlreg exits with
its status, and everything is torn down, whatever happens. With --dir the members keep
their names, ports, keys and data, and 'xlreg ps', 'logs', 'restart' and others can be used there.

Every ARG is a template: {{.Self.Name}}, {{.Self.Port "client"}}, {{listen 0}},
{{range .Members}}…{{end}}, {{.Dir}}, {{.TLS.Cert}}, {{.TLS.Key}}, {{.TLS.Peers}}, and
{{args "etcd"}} for all flags that etcd needs. So are the values of --env, --file, --member,
--ready, --after-ready and --then. See docs/templates.md for the rest.

Without --registry or a ticket, run starts a registry of its own that admits only these
members. When one program fails, the others are stopped, and xlreg exits with its status.
When one succeeds, the others have 2 seconds to end too, unless there is a --then.
Ctrl-C is passed on to all members, which have --stop-timeout to end; a second one kills them.`

const runExamples = `  xlreg run etcd
  xlreg run redis -n 6 --then 'pytest tests/'
  xlreg run etcd --dir ./etcd-kept --then 'etcdctl endpoint status'
  xlreg run -n 2 --ready 'test -e {{.Dir}}/up' --then 'echo all are up' -- \
      sh -c 'touch {{.Dir}}/up; sleep 1000'
  xlreg run -n 3 --ports 2 -- etcd '{{args "etcd"}}' --data-dir '{{.Dir}}/etcd'
  xlreg run -n 5 -- sh -c 'echo {{.Self.Index}} of {{len .Members}}'`

func newRun(g *globals) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:     "run [RECIPE] [flags] [-- COMMAND ARG…]",
		Short:   "Start a program N times, as the members of a cluster",
		Long:    runHelp,
		Example: runExamples,
		Args:    f.checkArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			own, command := splitAtDash(cmd, args)
			o, err := f.options(cmd.Context(), g, own, command)
			if err != nil {
				return err
			}
			if f.lifeFlags.detach {
				return g.runDetached(cmd.Context(), o)
			}
			return g.runCluster(cmd.Context(), o)
		},
	}
	f.register(cmd)
	return cmd
}

// checkArgs is the check of run's arguments: RECIPE, and COMMAND after --.
func (f *runFlags) checkArgs(cmd *cobra.Command, args []string) error {
	own, command := splitAtDash(cmd, args)
	switch {
	case cmd.Flags().Changed("members") && f.members < 1:
		return fmt.Errorf("-n %d: want 1 to %d", f.members, xlreg.MaxClusterSize)
	case cmd.ArgsLenAtDash() >= 0 && len(command) == 0:
		return errors.New("say what to start after --")
	case len(own) > 1:
		return fmt.Errorf("unexpected argument %q after RECIPE: a COMMAND stands after --, as in 'xlreg run -n 3 -- %s'", shownArg(own[1]), shownArg(strings.Join(own, " ")))
	case len(own) == 1 && f.program.recipe != "":
		return fmt.Errorf("%q and --recipe %s: give one recipe", shownArg(own[0]), f.program.recipe)
	}
	return nil
}

// runOptions are the flags of run, checked.
type runOptions struct {
	*runFlags
	size    int
	cluster xlreg.Name
	keys    keyChoice
	place   *place // of a ticket; nil: none was given
	plan    *runplan.Plan
	life    lifeOptions

	authority *launch.Authority // that was given; nil: none was
}

// errNothing says that there is nothing to start.
var errNothing = errors.New("say what to start: the NAME of a recipe, see 'xlreg recipes', or -n N -- COMMAND")

// options reads the flags, and decides what is to be done.
func (f *runFlags) options(ctx context.Context, g *globals, own, command []string) (*runOptions, error) {
	program, err := f.program.read(own, command)
	if err != nil {
		return nil, err
	}
	if program.Recipe == nil && len(command) == 0 && len(f.program.members) == 0 {
		return nil, cli.UsageError(errNothing)
	}
	if f.members == 0 && program.Recipe != nil {
		f.members = program.Recipe.Members
	}
	o, err := f.check(g)
	if err != nil {
		return nil, err
	}
	if o.life, err = f.lifeFlags.parse(f); err != nil {
		return nil, err
	}
	if err := o.locate(ctx, g); err != nil {
		return nil, err
	}
	program.Members, program.Size = f.members, o.size
	if o.authority, err = f.program.authorityOf(); err != nil {
		return nil, err
	}
	program.NoSecret = o.size > f.members && f.program.secret == ""
	program.NoAuthority = o.size > f.members && o.authority == nil
	if err := f.ports.tell(program); err != nil {
		return nil, err
	}
	f.order.tell(program)
	program.StopTimeout, program.Shared = f.lifeFlags.stop, f.lifeFlags.shared
	if o.plan, err = runplan.Make(program); err != nil {
		return nil, cli.UsageError(err)
	}
	if o.place != nil && len(o.plan.Ports.List) < o.place.ticket.EndpointCount {
		return nil, cli.UsageError(fmt.Errorf("--ports: the ticket is for members of %d endpoints each, and these have %d", o.place.ticket.EndpointCount, len(o.plan.Ports.List)))
	}
	g.warnOfUnused(o)
	return o, lookPrograms(ctx, o.plan)
}

// warnOfUnused says which flags make no difference.
func (g *globals) warnOfUnused(o *runOptions) {
	if r := o.plan.Recipe; r != nil && r.TLS == recipe.TLSNone && o.plan.TLS != recipe.TLSNone {
		g.warn("%s has no TLS: it does not use the certificates of --tls %s", r.Name, o.plan.TLS)
	}
	if o.isAlone() && g.Registry != "" && !g.FromEnv("registry") {
		g.warn("a cluster of one member is formed without a registry: --registry is not used")
	}
}

// isAlone reports whether the one member is the whole cluster, which needs no registry.
func (o *runOptions) isAlone() bool { return o.size == 1 }

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
	}
	o.size = t.Size
	return nil
}

// keyChoice is which keys new members get.
type keyChoice struct {
	kind keys.Kind
	bits int
}
