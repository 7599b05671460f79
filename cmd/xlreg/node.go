package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
)

func newNode(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Make and show nodes",
		Long:  "A node is a directory with a name, two keys, addresses, and the ID that each registry\ngave it.",
	}
	cmd.AddCommand(newNodeInit(g), newNodeImport(g), newNodeShow(g))
	return cmd
}

// nodeInitFlags are the flags of node init, as given.
type nodeInitFlags struct {
	name      string
	endpoints []string
	bits      int
	commsKey  string
	sigKey    string
	certLife  time.Duration
}

func newNodeInit(g *globals) *cobra.Command {
	var f nodeInitFlags
	cmd := &cobra.Command{
		Use:     "init DIR",
		Short:   "Make a node",
		Long:    "Make a node in DIR, with new keys or with keys you have: PEM (PKCS #1, PKCS #8) or\nOpenSSH files, without a passphrase.",
		Example: "  xlreg node init ./m0 --endpoint 192.0.2.7:4000\n  xlreg node init ./m0 --sig-key ~/.ssh/id_rsa --comms-key comms.pem",
		Args:    oneArg("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options()
			if err != nil {
				return err
			}
			node, err := makeNode(cmd.Context(), g.Console, args[0], o, false)
			if err != nil {
				return err
			}
			if _, err := node.Certificate(time.Now()); err != nil { // its life is kept with it
				return errors.Join(err, node.Close())
			}
			return errors.Join(g.printNode(node), node.Close())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "the node's `NAME` (default this machine's, with digits of the key)")
	flags.StringSliceVar(&f.endpoints, "endpoint", nil, "`HOST:PORT` where the node is found, repeatable")
	flags.IntVar(&f.bits, "bits", keys.DefaultBits, "size of new keys in `BITS`: 2048, 3072 or 4096")
	flags.StringVar(&f.sigKey, "sig-key", "", "take the key for signatures from `FILE`")
	addCertLife(cmd, &f.certLife)
	flags.StringVar(&f.commsKey, "comms-key", "", "take the key for encryption from `FILE`")
	return cmd
}

func (f *nodeInitFlags) options() (o identity.Options, err error) {
	if f.name != "" {
		if o.Name, err = xlreg.ParseName(f.name); err != nil {
			return o, cli.UsageError(fmt.Errorf("--name: %w", err))
		}
	}
	if o.Endpoints, err = parseEndpoints("endpoint", f.endpoints); err != nil {
		return o, err
	}
	if err := checkKeyBits("bits", f.bits); err != nil {
		return o, err
	}
	if err := checkCertLife(f.certLife); err != nil {
		return o, err
	}
	o.Bits, o.CertificateLife = f.bits, f.certLife
	o.Keys, err = f.keys()
	return o, err
}

// checkKeyBits refuses sizes of keys that are never made.
func checkKeyBits(flag string, bits int) error {
	switch bits {
	case 2048, 3072, 4096:
		return nil
	}
	return cli.UsageError(fmt.Errorf("--%s %d: want 2048, 3072 or 4096", flag, bits))
}

// keys reads the keys given; nil if none is.
func (f *nodeInitFlags) keys() (*keys.Set, error) {
	if f.sigKey == "" && f.commsKey == "" {
		return nil, nil
	}
	if f.sigKey == "" || f.commsKey == "" {
		return nil, cli.UsageError(errors.New("give both --sig-key and --comms-key, or neither"))
	}
	sig, err := identity.ReadPrivateKey(f.sigKey)
	if err != nil {
		return nil, err
	}
	comms, err := identity.ReadPrivateKey(f.commsKey)
	if err != nil {
		return nil, err
	}
	return keys.NewSet(comms, sig)
}

func newNodeShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show DIR",
		Short: "Show a node",
		Args:  oneArg("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			node, err := identity.Load(args[0])
			if err != nil {
				return err
			}
			return errors.Join(g.printNode(node), node.Close())
		},
	}
}

// nodeJSON is a node as scripts read it, without its private keys.
type nodeJSON struct {
	Name       xlreg.Name         `json:"name"`
	Attrs      xlreg.NodeAttrs    `json:"attrs"`
	Endpoints  []xlreg.Endpoint   `json:"endpoints"`
	Sig        string             `json:"sig"`
	Registries []nodeRegistryJSON `json:"registries"`
}

type nodeRegistryJSON struct {
	Sig       string           `json:"sig"`
	Name      xlreg.Name       `json:"name"`
	Endpoints []xlreg.Endpoint `json:"endpoints"`
	ID        string           `json:"id"`
}

func (g *globals) printNode(node *identity.Node) error {
	sig, err := keys.Fingerprint(node.Keys().SigKey)
	if err != nil {
		return err
	}
	v := nodeJSON{
		Name: node.Name(), Attrs: node.Attrs(), Sig: sig,
		Endpoints: view.List(node.Endpoints()), Registries: []nodeRegistryJSON{},
	}
	fields := []view.Field{
		{"name", string(v.Name)}, {"directory", node.Dir()}, {"sig key", sig},
		{"key bits", fmt.Sprint(node.Keys().Sig.Public().Bits())}, {"endpoints", view.Endpoints(v.Endpoints)},
	}
	for _, r := range node.Registries() {
		v.Registries = append(v.Registries, nodeRegistryJSON{r.Sig, r.Name, view.List(r.Endpoints), r.ID.String()})
		fields = append(fields, view.Field{"id at " + string(r.Name), r.ID.String()})
	}
	return g.PrintFields(v, fields...)
}
