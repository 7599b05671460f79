package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/ticket"
)

func newTicketAdmit(g *globals) *cobra.Command {
	var f ticketFlags
	var out string
	cmd := &cobra.Command{
		Use:   "admit [TICKET] NODE",
		Short: "Make a ticket that admits one node",
		Long: "Make a ticket of the owner's that admits one node and is no secret: no other node can use\n" +
			"it. NODE is the node's directory, or its public key as 'xlreg node show DIR --key' prints\n" +
			"it, in a file or as it stands. For a node that is a member already its fingerprint is\n" +
			"enough: the registry then tells the key.\n\n" + ticketHelp,
		Example: "  xlreg ticket admit --ticket-file owner.ticket ./m0\n" +
			"  xlreg ticket admit --ticket-file owner.ticket \"$(xlreg node show ./m0 --key)\"",
		Args: ticketAnd(oneArg("NODE")),
		RunE: func(cmd *cobra.Command, args []string) error {
			owner, rest, err := f.take(cmd.Context(), g, args)
			if err != nil {
				return err
			}
			key, err := g.admittedKey(cmd.Context(), owner, rest[0])
			if err != nil {
				return err
			}
			made, err := owner.NewAdmit(key)
			if err != nil {
				return err
			}
			return g.giveTicket(made, out)
		},
	}
	f.register(cmd)
	addTicketOut(cmd, &out)
	return cmd
}

// errNoSuchKey says what a node can be named by.
var errNoSuchKey = errors.New("want a node's directory, or its public key as 'xlreg node show DIR --key' prints it")

// admittedKey returns the sig key that somebody means.
func (g *globals) admittedKey(ctx context.Context, t *ticket.Ticket, node string) (xlreg.SigKey, error) {
	if strings.HasPrefix(node, "SHA256:") {
		return g.keyOfMember(ctx, t, node)
	}
	if key, err := keys.ParseSSH(strings.TrimSpace(node)); err == nil {
		return xlreg.SigKey(key.DER()), nil
	}
	info, err := os.Stat(node)
	if err != nil {
		return "", fmt.Errorf("%w: %w", err, errNoSuchKey)
	}
	if info.IsDir() {
		return keyOfNode(node)
	}
	return keyInFile(node)
}

// keyOfNode reads the key of a node, as Load does, but not that of a registry.
func keyOfNode(dir string) (xlreg.SigKey, error) {
	n, err := identity.Load(dir)
	if err != nil {
		return "", err
	}
	return n.Keys().SigKey, n.Close()
}

// keyInFile reads a public key, in the form of OpenSSH.
func keyInFile(path string) (xlreg.SigKey, error) {
	const most = 16 << 10
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > most {
		return "", fmt.Errorf("%s: %w", path, errNoSuchKey)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	key, err := keys.ParseSSH(strings.TrimSpace(string(data)))
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Clean(path), errNoSuchKey)
	}
	return xlreg.SigKey(key.DER()), nil
}

// keyOfMember asks the registry for the key with a fingerprint. What the owner signs is
// the key itself, so it has to be known in full.
func (g *globals) keyOfMember(ctx context.Context, t *ticket.Ticket, fingerprint string) (xlreg.SigKey, error) {
	if _, err := keys.ParseFingerprint(fingerprint); err != nil {
		return "", cli.UsageError(err)
	}
	roster, err := g.members(ctx, &place{target: t, ref: t.Ref(), ticket: t}, nil)
	if err != nil {
		return "", err
	}
	for i := range roster.Members {
		key := roster.Members[i].Token.SigKey
		if known, err := keys.Fingerprint(key); err == nil && known == fingerprint {
			return key, nil
		}
	}
	return "", fmt.Errorf("no member of %s has the key %s, and the fingerprint of a key is not enough to admit it: %w", t.Cluster, fingerprint, errNoSuchKey)
}
