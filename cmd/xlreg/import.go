package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
)

func newNodeImport(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "import ORIGINAL DIR",
		Short: "Import the node of an original client",
		Long: "Make a node in DIR with the name, the keys and the addresses of an original node.\n" +
			"ORIGINAL is its .xlattice directory, or the one above that, and has node.config or\n" +
			"cluster.member.config in it. With --registry the new node also keeps the ID that the\n" +
			"original had there, over the classic carriers. Its seat in a cluster is not taken over: join again. Nothing in\n" +
			"ORIGINAL is changed.",
		Example: "  xlreg node import /var/app/alice ./alice --registry regCred.dat",
		Args:    originalAndDir,
		RunE: func(_ *cobra.Command, args []string) error {
			node, err := g.importNode(args[0], args[1])
			if err != nil {
				return err
			}
			return errors.Join(g.printNode(node), node.Close())
		},
	}
}

// originalAndDir is the check of node import's arguments.
func originalAndDir(_ *cobra.Command, args []string) error {
	switch {
	case len(args) < 2:
		return errors.New("missing " + []string{"ORIGINAL and DIR", "DIR"}[len(args)])
	case len(args) > 2:
		return fmt.Errorf("unexpected argument %q after DIR", args[2])
	}
	return nil
}

// importNode makes a node in dir of an original one. The original did not keep which
// registry its ID is from, so that has to be said.
func (g *globals) importNode(original, dir string) (*identity.Node, error) {
	o, err := identity.ReadOriginal(original)
	if err != nil {
		return nil, err
	}
	node, err := identity.Init(dir, identity.Options{Name: o.Name, Endpoints: o.Endpoints, Keys: o.Keys})
	if err != nil || g.Registry == "" {
		return node, err
	}
	target, err := g.Target()
	if err == nil {
		err = node.SetRegistry(identity.KnownRegistry{Sig: target.Fingerprint, Endpoints: target.Endpoints, ID: o.ID})
	}
	if err != nil {
		return nil, errors.Join(err, node.Close())
	}
	return node, nil
}

// importRegistry makes the registry's own identity of an original registry's: its keys
// and its ID, so that clients find with their regCred.dat what they know.
func importRegistry(ctx context.Context, cfg *serveConfig, c *cli.Console) (*identity.Node, error) {
	o, err := identity.ReadOriginal(cfg.importDir)
	if err != nil {
		return nil, fmt.Errorf("--import: %w", err)
	}
	name := o.Name
	if cfg.nameGiven {
		name = cfg.name
	}
	node, err := makeNode(ctx, c, cfg.data, identity.Options{Name: name, Keys: o.Keys, Registry: true}, false)
	if err != nil {
		return nil, err
	}
	sig, err := keys.Fingerprint(o.Keys.SigKey)
	if err == nil {
		err = node.SetRegistry(identity.KnownRegistry{Sig: sig, Name: name, ID: o.ID})
	}
	if err != nil {
		return nil, errors.Join(err, node.Close())
	}
	return node, nil
}

// checkImported makes sure that a registry which is there already is the one that is to
// be imported, as after a restart with the same flags.
func checkImported(cfg *serveConfig, node *identity.Node) error {
	if cfg.importDir == "" {
		return nil
	}
	o, err := identity.ReadOriginal(cfg.importDir)
	if err != nil {
		return fmt.Errorf("--import: %w", err)
	}
	if o.Keys.SigKey != node.Keys().SigKey {
		return fmt.Errorf("--import %s: %s already holds another registry: import into a new directory", cfg.importDir, cfg.data)
	}
	return nil
}
