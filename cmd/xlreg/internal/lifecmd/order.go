package lifecmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
)

func newStop(g *cli.Globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop [NAME]",
		Short: "Stop a run, or one member of it, and wait for the end",
		Long: "Stop the run in a directory, as Ctrl-C does where it was started, and wait until it has ended:\n" +
			"until its members, and all that they have started, are gone. If the run itself was killed, what\n" +
			"is left of it is ended. With NAME only that member is stopped, and the others go on.",
		Example: "  xlreg stop\n" +
			"  xlreg stop m2 --dir ./redis",
		Args: upTo,
	}
	p := at(g, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := p.order(cmd.Context(), rundir.Order{Do: string(run.DoStop), Name: nameIn(args)}, "has stopped")
		if len(args) > 0 || !errors.Is(err, rundir.ErrNoRun) {
			return err
		}
		if ended, failed := p.endLeftovers(); ended {
			return failed
		}
		return err
	}
	return cmd
}

func newKill(g *cli.Globals) *cobra.Command {
	var signal string
	cmd := &cobra.Command{
		Use:   "kill NAME",
		Short: "Send a signal to a member of a run, SIGKILL if none is named",
		Long: "Send a signal to a member's program, to see what the others make of its death. The run goes on\n" +
			"after a death that was asked for in this way, and --restart does not start the member again:\n" +
			"'xlreg restart' does.",
		Example: "  xlreg kill m0\n" +
			"  xlreg kill m0 --signal STOP",
		Args: one,
	}
	p := at(g, cmd)
	cmd.Flags().StringVar(&signal, "signal", "KILL", "`SIGNAL` to send, by name or number")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := parseSignal(signal)
		if err != nil {
			return cli.UsageError(fmt.Errorf("--signal %q: %w", signal, err))
		}
		return p.order(cmd.Context(), rundir.Order{Do: string(run.DoKill), Name: args[0], Signal: number}, "was sent the signal")
	}
	return cmd
}

func newRestart(g *cli.Globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart [NAME]",
		Short: "Stop and start again one member of a run, or all of them",
		Long: "Stop a member of the run in a directory and start it again, with the same name, ports, keys\n" +
			"and files, and wait until it is ready. Without NAME all members are stopped and started again\n" +
			"at the same time; with --first, the others once member 0 is ready.",
		Example: "  xlreg restart m1\n" +
			"  xlreg restart --dir ./redis",
		Args: upTo,
	}
	p := at(g, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.order(cmd.Context(), rundir.Order{Do: string(run.DoRestart), Name: nameIn(args)}, "was started again")
	}
	return cmd
}

// order has the run do something, waits until that is done, and says so.
func (p *place) order(ctx context.Context, o rundir.Order, done string) error {
	return p.with(ctx, func(c *rundir.Client) error {
		if err := p.obeyed(ctx, c, o); err != nil {
			return err
		}
		switch {
		case o.Name != "":
			return p.say(o.Name + " " + done)
		case o.Do == string(run.DoStop):
			return p.say("the run has ended")
		}
		return p.say("every member " + done)
	})
}

// obeyed returns when the order has been carried out. Its line on the terminal is gone then.
func (p *place) obeyed(ctx context.Context, c *rundir.Client, o rundir.Order) error {
	defer cli.ShowLate(p.Console, "waiting for the run")()
	stops := o.Do == string(run.DoStop) && o.Name == ""
	s, err := status(ctx, c) // one that does not answer, as it is stopped itself, would never obey
	if err != nil && !(stops && isEnd(err)) {
		return err
	}
	if o.Name != "" {
		if err := checkMember(o.Name, namesOf(s)); err != nil {
			return err
		}
	}
	if stops {
		return stopAll(ctx, c, o)
	}
	return c.Order(ctx, o)
}

// stopAll ends the run. One that is gone before it has answered has ended, too, and one that
// is about to end takes no orders.
func stopAll(ctx context.Context, c *rundir.Client, o rundir.Order) error {
	refused := c.Order(ctx, o)
	if !isEnd(refused) {
		soon, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		if !isEnd(c.End(soon)) {
			return refused
		}
		return nil
	}
	if err := c.End(ctx); !isEnd(err) {
		return err
	}
	return nil
}

// isEnd reports whether err is none, or that of a run that is gone.
func isEnd(err error) bool {
	return err == nil || errors.Is(err, rundir.ErrCut) || errors.Is(err, rundir.ErrNoRun)
}

// say tells people what was done. Scripts have the exit code.
func (p *place) say(what string) error {
	if p.Output == "json" {
		return nil
	}
	return p.PrintText(bytes.NewBufferString(what + "\n"))
}
