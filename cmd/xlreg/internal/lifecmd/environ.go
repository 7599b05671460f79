package lifecmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
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
		Long: "Print the variables that the run has set for a member, as a shell reads them. With '-o json' it\n" +
			"is an object of names and values.",
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
		if key == launch.EnvPath {
			fmt.Fprintf(&b, "PATH=\"$%s:$PATH\"; export PATH\n", key)
		}
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
		return nil, p.with(ctx, func(*rundir.Client) error { return errNotStarted })
	}
	if err := checkMember(name, known); err != nil {
		return nil, err
	}
	return rundir.Env(p.dir, name)
}

func newExec(g *cli.Globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NAME [flags] -- CMD ARG…",
		Short: "Run a command with the environment of a member of a run",
		Long: "Run CMD here, with the variables that the run has set for a member: where the cluster is, and\n" +
			"which certificate and key open it. xlreg exits with the status of CMD.",
		Example: "  xlreg exec m0 -- sh -c 'echo $XLREG_SELF of $XLREG_CLUSTER'\n" +
			"  xlreg exec m0 --dir ./etcd -- etcdctl member list",
		Args: func(cmd *cobra.Command, args []string) error {
			switch dash := cmd.ArgsLenAtDash(); {
			case len(args) < 2 || dash == 0:
				return errors.New("say whose environment and what to run: NAME -- CMD ARG…")
			case dash > 1:
				return fmt.Errorf("unexpected argument %q after NAME", args[1])
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
		env = run.WithSearchPath(env, launch.EnvPath)
		path, err := lookPath(args[1], env)
		if err != nil {
			return err
		}
		return p.become(cmd.Context(), path, args[1:], env)
	}
	return cmd
}

// lookPath finds a program where a process with this environment would, whose last variable
// is PATH.
func lookPath(program string, env []string) (string, error) {
	_, path, _ := strings.Cut(env[len(env)-1], "=")
	if err := os.Setenv("PATH", path); err != nil {
		return "", err
	}
	return run.LookPath(program)
}
