package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/ticket"
)

func newTicket(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ticket",
		Short: "Make and show tickets, which admit to a cluster",
		Long: "A ticket is one line of text that says where the registry is and how to recognise it,\n" +
			"names a cluster with its key, and admits whoever holds it. The registry takes no part in\n" +
			"making one, and cannot make one itself.\n\n" +
			"Whoever has the owner's ticket creates the cluster, admits others and gives orders. An\n" +
			"invite admits those who hold it; a ticket for one node admits that node and is no secret;\n" +
			"a reader's ticket admits nobody, and verifies what the registry says of the cluster.",
	}
	cmd.AddCommand(newTicketNew(g), newTicketInvite(g), newTicketAdmit(g), newTicketReader(g), newTicketShow(g))
	return cmd
}

func newTicketNew(g *globals) *cobra.Command {
	var size, endpoints int
	var out string
	cmd := &cobra.Command{
		Use:   "new NAME --size N",
		Short: "Make the owner's ticket of a new cluster",
		Long: "Make a key for a new cluster, and print its owner's ticket. Nothing is asked of the\n" +
			"registry: the first member that joins with the owner's ticket creates the cluster.\n" +
			"Keep the ticket safe: it cannot be made again, and whoever has it owns the cluster.",
		Example: "  xlreg ticket new web --size 3 --registry regCred.dat --out owner.ticket",
		Args:    oneArg("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := g.newOwnerTicket(args[0], size, endpoints)
			if err != nil {
				return err
			}
			return g.giveTicket(t, out)
		},
	}
	cmd.Flags().IntVar(&size, "size", 0, fmt.Sprintf("how many `MEMBERS` the cluster has, %d to %d", xlreg.MinClusterSize, xlreg.MaxClusterSize))
	cmd.Flags().IntVar(&endpoints, "endpoints", 1, "how many `ADDRESSES` each member must have, 1 to 16")
	addTicketOut(cmd, &out)
	return cmd
}

// addTicketOut gives cmd the flag of those that make tickets.
func addTicketOut(cmd *cobra.Command, out *string) {
	cmd.Flags().StringVar(out, "out", "", "write the ticket to the new `FILE`, which only you can read (default standard output)")
}

func (g *globals) newOwnerTicket(name string, size, endpoints int) (*ticket.Ticket, error) {
	if g.Protocol.Classic() {
		return nil, cli.UsageError(fmt.Errorf("ticket: %w", client.ErrNeeds20))
	}
	cluster, err := xlreg.ParseName(name)
	if err != nil {
		return nil, cli.UsageError(fmt.Errorf("cluster %q: %w", shownArg(name), err))
	}
	if size == 0 {
		return nil, cli.UsageError(errors.New("say how many members with --size N"))
	}
	if err := g.checkSize(size); err != nil {
		return nil, err
	}
	if err := checkEndpointCount(endpoints); err != nil {
		return nil, err
	}
	target, err := g.modernTarget()
	if err != nil {
		return nil, err
	}
	return ticket.NewOwner(target, cluster, size, endpoints)
}

// modernTarget returns the registry that the flags name, which has to speak 2.0: the
// others know no tickets.
func (g *globals) modernTarget() (*regcred.Target, error) {
	target, err := g.Target()
	if err != nil || target.Cred == nil || g.Protocol.Protocol == xlreg.Protocol20 {
		return target, err
	}
	if _, modern := target.Cred.Protocol(); !modern {
		return nil, fmt.Errorf("%s is of a registry of version %v, which knows no tickets; if it has been upgraded since, say --protocol 2.0", g.Registry, target.Cred.Version)
	}
	return target, nil
}

func newTicketInvite(g *globals) *cobra.Command {
	var f ticketFlags
	var uses int
	var life time.Duration
	var out string
	cmd := &cobra.Command{
		Use:   "invite [TICKET]",
		Short: "Make an invite, by which others become members",
		Long: "Make an invite of the owner's ticket. It admits any node that holds it, --uses of them at\n" +
			"most, and new ones only within the time that --for says. Members that have come by it\n" +
			"can come back after that. 'xlreg revoke' takes an invite back.\n\n" + ticketHelp,
		Example: "  xlreg ticket invite --ticket-file owner.ticket --uses 2 --for 24h --out invite.ticket",
		Args:    ticketAnd(noArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			owner, _, err := f.take(cmd.Context(), g, args)
			if err != nil {
				return err
			}
			made, err := invite(owner, uses, life)
			if err != nil {
				return err
			}
			return g.giveTicket(made, out)
		},
	}
	f.register(cmd)
	cmd.Flags().IntVar(&uses, "uses", 0, "how many `NODES` it admits, up to 1000 (default any number)")
	cmd.Flags().DurationVar(&life, "for", 0, "the `TIME`, such as 24h, within which it admits new nodes (default for ever)")
	addTicketOut(cmd, &out)
	return cmd
}

func invite(owner *ticket.Ticket, uses int, life time.Duration) (*ticket.Ticket, error) {
	if uses < 0 || uses > xlreg.MaxInviteUses {
		return nil, cli.UsageError(fmt.Errorf("--uses %d: want 1 to %d, or 0 for any number", uses, xlreg.MaxInviteUses))
	}
	if life < 0 {
		return nil, cli.UsageError(fmt.Errorf("--for %v: want more than 0", life))
	}
	var end time.Time
	if life > 0 {
		end = time.Now().Add(life)
	}
	return owner.NewInvite(uses, end)
}

func newTicketReader(g *globals) *cobra.Command {
	var f ticketFlags
	var out string
	cmd := &cobra.Command{
		Use:   "reader [TICKET]",
		Short: "Make a ticket that admits nobody, of any other",
		Long: "Make the ticket of the same cluster that only looks: it admits nobody, and is no secret.\n" +
			"Whoever reads the cluster with it verifies that the owner admitted every member.\n\n" + ticketHelp,
		Example: "  xlreg ticket reader --ticket-file owner.ticket",
		Args:    ticketAnd(noArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, _, err := f.take(cmd.Context(), g, args)
			if err != nil {
				return err
			}
			return g.giveTicket(t.Reader(), out)
		},
	}
	f.register(cmd)
	addTicketOut(cmd, &out)
	return cmd
}

func newTicketShow(g *globals) *cobra.Command {
	var f ticketFlags
	var secret bool
	cmd := &cobra.Command{
		Use:     "show [TICKET]",
		Short:   "Show what a ticket is for",
		Long:    "Show what a ticket is for, without what is secret in it.\n\n" + ticketHelp,
		Example: "  xlreg ticket show --ticket-file invite.ticket",
		Args:    ticketAnd(noArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, _, err := f.take(cmd.Context(), g, args)
			if err != nil {
				return err
			}
			return g.printTicket(t, secret)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&secret, "secret", false, "show the ticket itself, too")
	return cmd
}

// giveTicket hands a new ticket out: to a file, or to standard output, where it stands
// alone so that a script can take it.
func (g *globals) giveTicket(t *ticket.Ticket, out string) error {
	if out != "" {
		if err := writeTicket(out, t); err != nil {
			return err
		}
		return g.printTicket(t, false)
	}
	if g.Output == "json" {
		return g.printTicket(t, true)
	}
	_, err := fmt.Fprintln(g.Out, t.Text())
	return err
}

// writeTicket writes a new file. One that is there stays: an owner's ticket cannot be made
// again.
func writeTicket(path string, t *ticket.Ticket) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, perhaps a ticket that cannot be made again: choose another --out", path)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, t.Text())
	return errors.Join(err, file.Sync(), file.Close())
}

// ticketJSON is a ticket as scripts read it.
type ticketJSON struct {
	Kind          string           `json:"kind"`
	Cluster       xlreg.Name       `json:"cluster"`
	Size          int              `json:"size"`
	EndpointCount int              `json:"endpointCount"`
	Key           string           `json:"key"`
	Registry      string           `json:"registry"`
	Endpoints     []xlreg.Endpoint `json:"endpoints"`
	Sig           string           `json:"sig"`
	Invite        *inviteJSON      `json:"invite,omitempty"`
	Ticket        string           `json:"ticket,omitempty"` // in full; only where it is wanted
}

type inviteJSON struct {
	Key   string     `json:"key"`
	Until *time.Time `json:"until,omitempty"`
	Uses  uint32     `json:"uses,omitempty"`
}

func (g *globals) printTicket(t *ticket.Ticket, secret bool) error {
	line, err := t.Registry.URL()
	if err != nil {
		return err
	}
	v := ticketJSON{
		Kind: t.Kind().String(), Cluster: t.Cluster, Size: t.Size, EndpointCount: t.EndpointCount,
		Key: keys.FormatClusterKey(t.Key), Registry: line, Endpoints: t.Registry.Endpoints, Sig: t.Registry.Fingerprint,
	}
	fields := []view.Field{
		{"ticket", v.Kind}, {"cluster", string(v.Cluster)}, {"size", fmt.Sprint(v.Size)},
		{"endpoints", fmt.Sprint(v.EndpointCount)}, {"key", v.Key},
		{"registry", view.Endpoints(v.Endpoints)}, {"sig key", v.Sig},
	}
	if t.Kind() == ticket.KindInvite {
		var more []view.Field
		v.Invite, more = describeInvite(t)
		fields = append(fields, more...)
	}
	if secret {
		v.Ticket = t.Text()
		fields = append(fields, view.Field{"line", v.Ticket})
	}
	return g.PrintFields(v, fields...)
}

func describeInvite(t *ticket.Ticket) (*inviteJSON, []view.Field) {
	i := t.Invite()
	v := &inviteJSON{Key: keys.FormatClusterKey(i.Key), Uses: i.Uses}
	until, uses := "no end", "any number"
	if !i.NotAfter.IsZero() {
		end := i.NotAfter.UTC()
		v.Until, until = &end, end.Format(time.RFC3339)
	}
	if i.Uses > 0 {
		uses = fmt.Sprint(i.Uses)
	}
	return v, []view.Field{{"invite", v.Key}, {"until", until}, {"uses", uses}}
}

// checkEndpointCount refuses a number of endpoints that no member can have.
func checkEndpointCount(n int) error {
	if n < 1 || n > xlreg.MaxEndpoints {
		return cli.UsageError(fmt.Errorf("--endpoints %d: want 1 to %d", n, xlreg.MaxEndpoints))
	}
	return nil
}
