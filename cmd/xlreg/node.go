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

// defaultKey is the kind of keys of nodes that are made to last: every generation of the
// protocol takes it.
const defaultKey = "rsa2048"

// keyWords are the kinds of keys that can be asked for.
func keyWords() []string { return []string{"p256", defaultKey, "rsa3072", "rsa4096"} }

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
	key       string
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
		Example: "  xlreg node init ./m0 --endpoint 192.0.2.7:4000 --key p256\n  xlreg node init ./m0 --sig-key ~/.ssh/id_rsa --comms-key comms.pem",
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
	flags.StringVar(&f.key, "key", defaultKey, "the `KIND` of new keys: p256, rsa2048, rsa3072 or rsa4096; classic protocols need RSA")
	flags.StringVar(&f.sigKey, "sig-key", "", "take the key for signatures from `FILE`")
	cli.Complete(cmd, "key", keyWords()...)
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
	if o.Kind, o.Bits, err = keys.ParseChoice(f.key); err != nil {
		return o, cli.UsageError(fmt.Errorf("--%w", err))
	}
	if err := checkCertLife(f.certLife); err != nil {
		return o, err
	}
	o.CertificateLife = f.certLife
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
	var key bool
	cmd := &cobra.Command{
		Use:   "show DIR",
		Short: "Show a node",
		Long:  "Show a node, or with --key its public key alone, in the form of OpenSSH.",
		Args:  oneArg("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			node, err := identity.Load(args[0])
			if err != nil {
				return err
			}
			show := g.printNode
			if key {
				show = g.printNodeKey
			}
			return errors.Join(show(node), node.Close())
		},
	}
	cmd.Flags().BoolVar(&key, "key", false, "print the public key alone, for 'xlreg ticket admit'")
	return cmd
}

// printNodeKey writes the public sig key in one line.
func (g *globals) printNodeKey(node *identity.Node) error {
	key := keys.FormatSSH(node.Keys().Sig.Public())
	if g.Output == "json" {
		return g.PrintJSON(struct {
			Key string `json:"key"`
		}{key})
	}
	_, err := fmt.Fprintln(g.Out, key)
	return err
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
		{"key bits", describeBits(node.Keys().Sig.Public())}, {"endpoints", view.Endpoints(v.Endpoints)},
	}
	for _, r := range node.Registries() {
		v.Registries = append(v.Registries, nodeRegistryJSON{r.Sig, r.Name, view.List(r.Endpoints), r.ID.String()})
		fields = append(fields, view.Field{"id at " + string(r.Name), r.ID.String()})
	}
	return g.PrintFields(v, fields...)
}

// describeBits says how large a key is, and of which kind unless that is the usual one.
func describeBits(key keys.Public) string {
	if key.Kind() == keys.RSA {
		return fmt.Sprint(key.Bits())
	}
	return fmt.Sprintf("%d (%s)", key.Bits(), key.Kind())
}
