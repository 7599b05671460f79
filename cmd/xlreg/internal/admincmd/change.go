package admincmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// resultJSON is a change that has no answer of its own in the API.
type resultJSON struct {
	Done string `json:"done"`
}

// say writes what was done.
func (a *admin) say(v any, text string) error {
	if a.Output == "json" {
		return a.PrintJSON(v)
	}
	_, err := fmt.Fprintln(a.Out, cli.Printable(text))
	return err
}

func newEvict(a *admin) *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use:     "evict CLUSTER MEMBER",
		Short:   "Take a member's seat in an open cluster",
		Long:    "Take a member's seat in an open cluster. It is told, and may join again; see 'xlreg admin ban'.\nA cluster with an owner is for the owner to change: see 'xlreg evict'.",
		Example: "  xlreg admin evict web m3 --yes",
		Args:    wants("CLUSTER", "MEMBER"), ValidArgsFunction: a.complete(completeClusters, completeMembers),
	}
	c.register(cmd)
	cmd.RunE = a.with(func(ctx context.Context, client *adminclient.Client, args []string) error {
		return a.evict(ctx, client, &c, args[0], api.Eviction{Member: args[1]})
	})
	return cmd
}

func newBan(a *admin) *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use:   "ban CLUSTER MEMBER|KEY",
		Short: "Keep a key out of an open cluster for good",
		Long: "Take a member's seat in an open cluster, and keep its key out for good. KEY is the fingerprint\n" +
			"of a key, SHA256:…, whether or not it has a seat; 'xlreg admin cluster -o wide' shows those\n" +
			"of members.",
		Example: "  xlreg admin ban web m3 --yes",
		Args:    wants("CLUSTER", "MEMBER"), ValidArgsFunction: a.complete(completeClusters, completeMembers),
	}
	c.register(cmd)
	cmd.RunE = a.with(func(ctx context.Context, client *adminclient.Client, args []string) error {
		e := api.Eviction{Member: args[1], Ban: true}
		if strings.HasPrefix(args[1], "SHA256:") {
			e.Member, e.Key = "", args[1]
		}
		return a.evict(ctx, client, &c, args[0], e)
	})
	return cmd
}

// evict takes a seat. Where somebody was asked, it does so only as long as the cluster is
// what was shown.
func (a *admin) evict(ctx context.Context, client *adminclient.Client, c *consent, cluster string, e api.Eviction) error {
	found, err := findOpen(ctx, client, cluster)
	if err != nil {
		return err
	}
	whom, verb, past := e.Member+e.Key, "Evict", "evicted"
	if e.Ban {
		verb, past = "Ban", "banned"
	}
	if err := a.ask(ctx, c, fmt.Sprintf("%s %s from %s", verb, cli.Printable(whom), describe(found))); err != nil {
		return err
	}
	done, err := client.Evict(ctx, found.ID, e, c.asked(found))
	if err != nil {
		return explain(err, found)
	}
	text := fmt.Sprintf("%s %s from %s", past, whom, found.Name)
	if e.Key != "" {
		text += ": " + Count(len(done.Evicted), "seat") + " freed"
	}
	return a.say(done, text)
}

// asked returns the tag of the cluster that somebody has agreed to change; none if nobody
// was asked.
func (c *consent) asked(found *api.Cluster) string {
	if c.yes {
		return ""
	}
	return adminclient.Tag(found)
}

// findOpen returns a cluster that an admin may change.
func findOpen(ctx context.Context, client *adminclient.Client, what string) (*api.Cluster, error) {
	found, err := find(ctx, client, what)
	if err == nil && found.Owner != "" {
		err = fmt.Errorf("cluster %s: %w", found.Name, api.ErrOwned)
	}
	return found, err
}

// describe says what a cluster is, to somebody who has to decide about it.
func describe(c *api.Cluster) string {
	return fmt.Sprintf("the cluster %s (%.12s, %s, %d of %d members)", cli.Printable(c.Name), c.ID, c.State, c.Members, c.Size)
}

// explain says of which cluster an error is.
func explain(err error, c *api.Cluster) error {
	if errors.Is(err, api.ErrChanged) {
		return fmt.Errorf("cluster %s: %w: nothing was done, look at it again", c.Name, api.ErrChanged)
	}
	return fmt.Errorf("cluster %s: %w", c.Name, err)
}

// onCluster is a change of a cluster as a whole.
type onCluster func(c *adminclient.Client, ctx context.Context, id, tag string) (api.Done, error)

// newOnCluster returns a command that changes a cluster as a whole.
func newOnCluster(a *admin, cmd *cobra.Command, ask, past string, do onCluster) *cobra.Command {
	var c consent
	cmd.Args = wants("CLUSTER")
	cmd.ValidArgsFunction = a.complete(completeClusters)
	c.register(cmd)
	cmd.RunE = a.with(func(ctx context.Context, client *adminclient.Client, args []string) error {
		found, err := findOpen(ctx, client, args[0])
		if err != nil {
			return err
		}
		if err := a.ask(ctx, &c, fmt.Sprintf(ask, describe(found))); err != nil {
			return err
		}
		done, err := do(client, ctx, found.ID, c.asked(found))
		if err != nil {
			return explain(err, found)
		}
		return a.say(done, fmt.Sprintf("%s %s", past, found.Name))
	})
	return cmd
}

func newReopen(a *admin) *cobra.Command {
	return newOnCluster(a, &cobra.Command{
		Use:   "reopen CLUSTER",
		Short: "Free all seats of an open cluster",
		Long:  "Begin a new epoch of an open cluster, in which all seats are free. Its members are told, and\nhave to join again.",
	}, "Free all seats of %s", "reopened", (*adminclient.Client).Reopen)
}

func newDelete(a *admin) *cobra.Command {
	return newOnCluster(a, &cobra.Command{
		Use:   "delete CLUSTER",
		Short: "Delete an open cluster for good",
		Long:  "Delete an open cluster for good. Its members are told. Another one of this name can be made\nafterwards.",
	}, "Delete %s for good", "deleted", (*adminclient.Client).Delete)
}

func newForget(a *admin) *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use:   "forget NODE",
		Short: "Forget a node that has no seat",
		Long:  "Forget a node that has no seat. NODE is its ID, the beginning of its ID, or its name. It can\nregister again.",
		Args:  wants("NODE"), ValidArgsFunction: a.complete(completeNodes),
	}
	c.register(cmd)
	cmd.RunE = a.with(func(ctx context.Context, client *adminclient.Client, args []string) error {
		n, err := findNode(ctx, client, args[0])
		if err != nil {
			return err
		}
		if err := a.ask(ctx, &c, fmt.Sprintf("Forget the node %s (%s)", cli.Printable(n.Name), n.ID)); err != nil {
			return err
		}
		if err := client.Forget(ctx, n.ID); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
		return a.say(resultJSON{"forgotten"}, fmt.Sprintf("forgot %s", n.Name))
	})
	return cmd
}

func newDrain(a *admin) *cobra.Command {
	var off bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Let a server take no more connections",
		Long: "Let a server take no more connections, as before it is stopped. Sessions that are open go on,\n" +
			"and those that wait are told to try elsewhere. --off takes that back.",
		Args: wants(),
	}
	cmd.Flags().BoolVar(&off, "off", false, "take connections again")
	cmd.RunE = a.with(func(ctx context.Context, c *adminclient.Client, _ []string) error {
		if err := c.Drain(ctx, !off); err != nil {
			return err
		}
		if off {
			return a.say(resultJSON{"serving"}, "connections are taken again")
		}
		return a.say(resultJSON{"draining"}, "draining: no new connections are taken")
	})
	return cmd
}

// logLevels are what a registry can log, the most first.
func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

func newLogLevel(a *admin) *cobra.Command {
	return &cobra.Command{
		Use:       "log-level LEVEL",
		Short:     "Change what a registry logs, until it is started again",
		Args:      wants("LEVEL"),
		ValidArgs: logLevels(),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, args []string) error {
			level := args[0]
			if !slices.Contains(logLevels(), level) {
				return cli.UsageError(fmt.Errorf("log level %q: want debug, info, warn or error", level))
			}
			if err := c.SetLogLevel(ctx, level); err != nil {
				return err
			}
			return a.say(resultJSON{level}, "the log level is "+level)
		}),
	}
}
