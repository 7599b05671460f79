package lifecmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/launch"
)

func newEnv(g *cli.Globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "env NAME",
		Short: "Print what a member of a run has in its environment, for a shell",
		Long: "Print the variables that the run has set for a member, for a shell to take over. With '-o json'\n" +
			"it is an object of names and values.",
		Example: "  eval \"$(xlreg env m0)\"",
		Args:    one,
	}
	p := at(g, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.env(cmd.Context(), args[0]) }
	return cmd
}

func (p *place) env(ctx context.Context, name string) error {
	env, err := p.environ(ctx, name)
	if err != nil {
		return err
	}
	if p.Output == "json" {
		values := make(map[string]string, len(env))
		for _, v := range env {
			key, value, _ := strings.Cut(v, "=")
			values[key] = value
		}
		return p.PrintJSON(values)
	}
	var b bytes.Buffer
	for _, v := range env {
		key, value, _ := strings.Cut(v, "=")
		if !shellName.MatchString(key) {
			fmt.Fprintf(p.Err, "xlreg: no shell can have a variable %q: it is left out\n", key)
			continue
		}
		fmt.Fprintf(&b, "%s=%s; export %s\n", key, launch.Quote(value), key)
	}
	return p.PrintText(&b)
}

// shellName is what variables of a shell can be called.
var shellName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environ returns what the run has set for a member. It is there after the end of the run,
// too.
func (p *place) environ(ctx context.Context, name string) ([]string, error) {
	known, err := rundir.Known(p.dir)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 { // say why, if there is no run at all
		if err := p.with(ctx, func(*rundir.Client) error { return nil }); err != nil {
			return nil, err
		}
	}
	if err := checkMember(name, known); err != nil {
		return nil, err
	}
	return rundir.Env(p.dir, name)
}

func newExec(g *cli.Globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NAME -- CMD ARG…",
		Short: "Run a command with the environment of a member of a run",
		Long: "Run CMD here, with the variables that the run has set for a member: where the cluster is, and\n" +
			"which files prove who asks. The exit code is CMD's.",
		Example: "  xlreg exec m0 -- sh -c 'echo $XLREG_SELF of $XLREG_CLUSTER'\n" +
			"  xlreg exec m0 --dir ./etcd -- etcdctl member list",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New("say whose environment and what to run: NAME -- CMD ARG…")
			}
			return nil
		},
	}
	p := at(g, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		env, err := p.environ(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		path, err := run.LookPath(args[1])
		if err != nil {
			return err
		}
		return p.become(cmd.Context(), path, args[1:], env)
	}
	return cmd
}

// merge returns an environment with more added, each variable once.
func merge(env, more []string) []string {
	merged := slices.Clone(env)
	for _, v := range more {
		name, _, _ := strings.Cut(v, "=")
		merged = slices.DeleteFunc(merged, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		merged = append(merged, v)
	}
	return merged
}
