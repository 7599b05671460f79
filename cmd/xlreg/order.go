package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/ticket"
)

// order is what an owner's command does, once it knows as whom.
type order func(ctx context.Context, owner *client.Owner, t *ticket.Ticket, args []string) (*orderJSON, error)

// orderJSON is an order that was done, as scripts read it.
type orderJSON struct {
	Order   string     `json:"order"`
	Cluster xlreg.Name `json:"cluster"`
	Member  xlreg.Name `json:"member,omitempty"`
	Sig     string     `json:"sig,omitempty"`
	Invite  string     `json:"invite,omitempty"`

	text string // for people
}

// newOrder returns a command that gives an order with the owner's ticket.
func newOrder(g *globals, cmd *cobra.Command, rest cobra.PositionalArgs, do order) *cobra.Command {
	var f ticketFlags
	cmd.Long += "\n\n" + ticketHelp
	cmd.Args = ticketAnd(rest)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, rest, err := g.ticketPlace(cmd.Context(), &f, args)
		if err != nil {
			return err
		}
		owner, err := client.NewOwner(p.ticket, client.Options{Protocol: g.Protocol.Protocol, Logger: newTroubles(g)})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), requestTime)
		defer cancel()
		done, err := do(ctx, owner, p.ticket, rest)
		if err != nil {
			return err
		}
		return g.printOrder(done, p.ticket)
	}
	f.register(cmd)
	return cmd
}

func (g *globals) printOrder(done *orderJSON, t *ticket.Ticket) error {
	done.Cluster = t.Cluster
	if g.Output == "json" {
		return g.PrintJSON(done)
	}
	_, err := fmt.Fprintln(g.Out, done.text)
	return err
}

func newEvict(g *globals) *cobra.Command {
	var ban bool
	cmd := &cobra.Command{
		Use:   "evict [TICKET] MEMBER",
		Short: "Put a member out of a cluster, as its owner",
		Long: "Free the seat of a member, with the owner's ticket. MEMBER is its name, or the fingerprint\n" +
			"of its key. It may join again; with --ban it may not, and the invite that it came with,\n" +
			"if it came with one, admits nobody any more. Others who came with that invite stay.",
		Example: "  xlreg evict --ticket-file owner.ticket m3 --ban",
	}
	cmd.Flags().BoolVar(&ban, "ban", false, "keep its key out for good, and revoke its invite")
	return newOrder(g, cmd, oneArg("MEMBER"), func(ctx context.Context, owner *client.Owner, t *ticket.Ticket, args []string) (*orderJSON, error) {
		m, err := findMember(ctx, owner, t, args[0])
		if err != nil {
			return nil, err
		}
		sig, err := keys.Fingerprint(m.Token.SigKey)
		if err != nil {
			return nil, err
		}
		done := &orderJSON{Order: "evict", Member: m.Token.Name, Sig: sig, text: fmt.Sprintf("evicted %s from %s", m.Token.Name, t.Cluster)}
		if !ban {
			return done, owner.Evict(ctx, m.Token.SigKey)
		}
		done.Order, done.text = "ban", fmt.Sprintf("banned %s from %s", m.Token.Name, t.Cluster)
		return done, owner.BanMember(ctx, m)
	})
}

// findMember returns the member with a name, or with a key of a fingerprint.
func findMember(ctx context.Context, owner *client.Owner, t *ticket.Ticket, who string) (*client.Member, error) {
	roster, err := owner.Members(ctx)
	if err != nil {
		return nil, err
	}
	for i := range roster.Members {
		m := &roster.Members[i]
		sig, err := keys.Fingerprint(m.Token.SigKey)
		if string(m.Token.Name) == who || err == nil && sig == who {
			return m, nil
		}
	}
	return nil, xlreg.Errorf(xlreg.ErrNotMember, "%s has no member %q", t.Cluster, shownArg(who))
}

func newReopen(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reopen [TICKET]",
		Short: "Free all seats of a cluster, as its owner",
		Long:  "Begin a new epoch of a cluster in which all seats are free, with the owner's ticket. Those\nwho were members are told, and have to join again.",
	}
	return newOrder(g, cmd, noArgs, func(ctx context.Context, owner *client.Owner, t *ticket.Ticket, _ []string) (*orderJSON, error) {
		return &orderJSON{Order: "reopen", text: "reopened " + string(t.Cluster)}, owner.Reopen(ctx)
	})
}

func newRevoke(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke [TICKET] INVITE",
		Short: "Take an invite back, as the owner of a cluster",
		Long: "Take an invite back, with the owner's ticket: it admits nobody any more, and nobody back\n" +
			"who came with it. Members who are there stay; see 'xlreg evict'. INVITE is the key of the\n" +
			"invite, as 'xlreg ticket show' shows it, or a file that holds the invite.",
		Example: "  xlreg revoke --ticket-file owner.ticket invite.ticket",
	}
	return newOrder(g, cmd, oneArg("INVITE"), func(ctx context.Context, owner *client.Owner, t *ticket.Ticket, args []string) (*orderJSON, error) {
		key, err := inviteKey(t, args[0])
		if err != nil {
			return nil, err
		}
		text := keys.FormatClusterKey(key)
		return &orderJSON{Order: "revoke", Invite: text, text: "revoked the invite " + text}, owner.Revoke(ctx, key)
	})
}

// inviteKey returns the key of an invite.
func inviteKey(t *ticket.Ticket, invite string) (xlreg.ClusterKey, error) {
	if key, err := base64.RawURLEncoding.Strict().DecodeString(invite); err == nil && len(key) == xlreg.ClusterKeyLen {
		return xlreg.ClusterKey(key), nil
	}
	made, err := readInvite(invite)
	if err != nil {
		return "", err
	}
	switch {
	case made.Kind() != ticket.KindInvite:
		return "", fmt.Errorf("this is no invite, but a ticket of kind %v", made.Kind())
	case made.Key != t.Key:
		return "", fmt.Errorf("the invite is for another cluster, %s", made.Cluster)
	}
	return made.Invite().Key, nil
}

func readInvite(invite string) (*ticket.Ticket, error) {
	if isTicketArg(invite) && invite != "-" {
		return ticket.Load(invite)
	}
	file, err := os.Open(invite)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%q is neither the key of an invite, as 'xlreg ticket show' shows it, nor a file that holds one", shownArg(invite))
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t, err := ticket.Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", invite, err)
	}
	return t, nil
}

func newDelete(g *globals) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete [TICKET]",
		Short: "Delete a cluster for good, as its owner",
		Long: "Delete a cluster for good, with the owner's ticket: neither it nor another one of this name\n" +
			"and key can be made again. Its members are told. On a terminal you are asked first.",
		Example: "  xlreg delete --ticket-file owner.ticket --yes",
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return newOrder(g, cmd, noArgs, func(ctx context.Context, owner *client.Owner, t *ticket.Ticket, _ []string) (*orderJSON, error) {
		if !yes {
			if err := g.askDelete(ctx, t); err != nil {
				return nil, err
			}
		}
		return &orderJSON{Order: "delete", text: "deleted " + string(t.Cluster)}, owner.Delete(ctx)
	})
}

// askDelete asks the person at the terminal.
func (g *globals) askDelete(ctx context.Context, t *ticket.Ticket) error {
	if !cli.IsTerminal(g.In) || !cli.IsTerminal(g.Err) {
		return cli.UsageError(errors.New("nobody is here to be asked, and what is deleted cannot be made again: say --yes"))
	}
	fmt.Fprintf(g.Err, "Delete the cluster %s for good? [y/N] ", t.Cluster)
	yes, err := g.AskYes(ctx)
	if err == nil && !yes {
		err = errors.New("nothing deleted")
	}
	return err
}
