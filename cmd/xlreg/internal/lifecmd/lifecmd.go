// Package lifecmd has the commands with which people look at a run and control it from another
// terminal: 'xlreg ps', 'stop', 'kill', 'restart', 'logs', 'env' and 'exec'.
package lifecmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/rundir"
)

// place is which run a command is about.
type place struct {
	*cli.Globals
	dir string
}

// New returns the commands.
func New(g *cli.Globals) []*cobra.Command {
	return []*cobra.Command{newPs(g), newStop(g), newKill(g), newRestart(g), newLogs(g), newEnv(g), newExec(g)}
}

// at gives a command the flag that names the run.
func at(g *cli.Globals, cmd *cobra.Command) *place {
	p := &place{Globals: g}
	cmd.Flags().StringVar(&p.dir, "dir", ".", "the run is in `DIR`, as it was named to 'xlreg run'")
	return p
}

// answerTime bounds a question. A run that takes longer does not answer at all.
const answerTime = 10 * time.Second

// with does something with the run that is in the directory.
func (p *place) with(ctx context.Context, do func(*rundir.Client) error) error {
	c, err := rundir.Dial(ctx, p.dir)
	if errors.Is(err, rundir.ErrNoRun) {
		return p.tellLeftovers(err)
	}
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

// status asks a run how it is.
func status(ctx context.Context, c *rundir.Client) (*rundir.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return c.Status(ctx)
}

// ErrNoMember says that a run has no member of that name.
var ErrNoMember = errors.New("no such member")

// errNotStarted says that a run waits for others, and has started none of its members.
var errNotStarted = errors.New("no member has started: the cluster is still forming; 'xlreg ps' shows who has joined")

// checkMember makes sure that a run has a member of that name.
func checkMember(name string, names []string) error {
	if slices.Contains(names, name) {
		return nil
	}
	if len(names) == 0 {
		return fmt.Errorf("%s: %w: there is none", name, ErrNoMember)
	}
	return fmt.Errorf("%s: %w, only %s", name, ErrNoMember, listed(names))
}

// mostNames is how many members an error names.
const mostNames = 16

func listed(names []string) string {
	if len(names) > mostNames {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), len(names)-mostNames)
	}
	return strings.Join(names, ", ")
}

func namesOf(s *rundir.Status) []string {
	names := make([]string, len(s.Members))
	for i := range s.Members {
		names[i] = s.Members[i].Name
	}
	return names
}

// upTo is the check of a command that takes one member's name, or none at all.
func upTo(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("unexpected argument %q after NAME", args[1])
	}
	return nil
}

// one is the check of a command that takes one member's name.
func one(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("missing NAME")
	}
	return upTo(cmd, args)
}

// nameIn returns the name among the arguments; empty if there is none.
func nameIn(args []string) string { return strings.Join(args, "") }
