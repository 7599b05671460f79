package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
)

// openNode opens the node that --node names, or the user's own, making it if it
// does not exist.
func (g *globals) openNode(ctx context.Context) (*identity.Node, error) {
	dir, err := g.nodeDir()
	if err != nil {
		return nil, err
	}
	node, err := g.warnRecovered(identity.Open(dir))
	if err == nil {
		return g.checkName(node)
	}
	if !errors.Is(err, identity.ErrNoNode) {
		return nil, err
	}
	node, err = makeNode(ctx, g.Console, dir, identity.Options{Name: g.name, CertificateLife: g.certLife}, g.Node == "")
	if err == nil && cli.IsTerminal(g.Err) {
		fmt.Fprintf(g.Err, "made the node %s in %s\n", node.Name(), dir)
	}
	return node, err
}

// checkName refuses a name other than the one that a node has.
func (g *globals) checkName(node *identity.Node) (*identity.Node, error) {
	if g.name == "" || g.name == node.Name() {
		return node, nil
	}
	err := cli.UsageError(fmt.Errorf("--name %s: the node in %s is called %s, and nodes keep their names: make another with --node NEWDIR --name %s",
		g.name, node.Dir(), node.Name(), g.name))
	return nil, errors.Join(err, node.Close())
}

// addName gives cmd the flag of those that may have to make a node.
func addName(cmd *cobra.Command, name *xlreg.Name) {
	cmd.Flags().Var((*nameFlag)(name), "name", "the `NAME` of a new node (default this machine's, with digits of the key if needed)")
}

// nameFlag is a flag that holds a name.
type nameFlag xlreg.Name

// String implements pflag.Value.
func (f *nameFlag) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *nameFlag) Type() string { return "NAME" }

// Set implements pflag.Value.
func (f *nameFlag) Set(s string) error {
	name, err := xlreg.ParseName(s)
	*f = nameFlag(name)
	return err
}

// openOldNode opens a node that has to exist.
func (g *globals) openOldNode() (*identity.Node, error) {
	dir, err := g.nodeDir()
	if err != nil {
		return nil, err
	}
	node, err := g.warnRecovered(identity.Open(dir))
	if err != nil {
		return nil, err
	}
	return g.checkName(node)
}

// warnRecovered passes on what identity.Open returns, and says what is lost of a node
// whose node.json was made anew.
func (g *globals) warnRecovered(node *identity.Node, err error) (*identity.Node, error) {
	if err == nil && node.Recovered() {
		fmt.Fprintf(g.Err, "xlreg: %s was empty, as after a power cut: the name %s is back from cert.pem; the IDs that registries gave this node are lost, and it gets new ones\n",
			filepath.Join(node.Dir(), "node.json"), node.Name())
	}
	return node, err
}

// makeNode makes a node, and shows that this takes its time. Without a name in o it gets
// one; onlyHere says that it is the only node of its user on this machine.
func makeNode(ctx context.Context, c *cli.Console, dir string, o identity.Options, onlyHere bool) (*identity.Node, error) {
	line := cli.NewStatusLine(c)
	defer line.End()
	if o.Keys == nil {
		line.Show("making keys for " + cmp.Or(string(o.Name), "a new node"))
	}
	return cli.Interruptible(ctx, func() (*identity.Node, error) {
		if err := nameNode(dir, &o, onlyHere); err != nil {
			return nil, err
		}
		return identity.Init(dir, o)
	})
}

// errNoHome says that the user has no place for a node of their own.
var errNoHome = errors.New("say which node with --node DIR")

// nodeDir returns where the node is.
func (g *globals) nodeDir() (string, error) {
	if g.Node != "" {
		return filepath.Abs(g.Node)
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", cli.UsageError(fmt.Errorf("%w: %w", errNoHome, err))
	}
	return filepath.Join(config, "xlreg", "node"), nil
}

// dial opens a session, as node if it is not nil, and registers the node.
func (g *globals) dial(ctx context.Context, target client.Target, node *identity.Node) (*client.Client, error) {
	c, err := client.Dial(ctx, target, client.Options{Node: node, Protocol: g.Protocol.Protocol})
	if err == nil {
		g.tellNextKey(c)
	}
	if err != nil || node == nil {
		return c, err
	}
	if _, err := c.Register(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// tellNextKey says that the registry has another key than the one that is known, which
// vouches for it for some time.
func (g *globals) tellNextKey(c *client.Client) {
	if sig, until, ok := c.NextFingerprint(); ok {
		g.warn("the registry has a new key, %s, for which the one that you know vouches until %s: get its new credentials before then",
			sig, until.UTC().Format(time.DateOnly))
	}
}

// inSession runs f in a session, as node if it is not nil.
func (g *globals) inSession(ctx context.Context, target client.Target, node *identity.Node, f func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	c, err := g.dialSoon(ctx, target, node)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(ctx, c)
}

// dialSoon is dial, and shows what it waits for if that takes long.
func (g *globals) dialSoon(ctx context.Context, target client.Target, node *identity.Node) (*client.Client, error) {
	defer cli.ShowLate(g.Console, "looking for the registry")()
	return g.dial(ctx, target, node)
}

// parseRef reads a cluster's name or ID.
func parseRef(s string) (xlreg.ClusterRef, error) {
	if id, err := xlreg.ParseClusterID(s); err == nil {
		return xlreg.ClusterRef{ID: id}, nil
	}
	name, err := xlreg.ParseName(s)
	if err != nil {
		return xlreg.ClusterRef{}, cli.UsageError(fmt.Errorf("cluster %q: %w", shownArg(s), err))
	}
	return xlreg.ClusterRef{Name: name}, nil
}

// parseEndpoints reads the addresses in a flag. Each has to be one that others
// can be sent to.
func parseEndpoints(flag string, list []string) ([]xlreg.Endpoint, error) {
	if len(list) > xlreg.MaxEndpoints {
		return nil, cli.UsageError(fmt.Errorf("--%s: %d addresses, at most %d allowed", flag, len(list), xlreg.MaxEndpoints))
	}
	endpoints := make([]xlreg.Endpoint, 0, len(list))
	for _, s := range list {
		e, err := xlreg.ParseEndpoint(s)
		if err != nil {
			return nil, cli.UsageError(fmt.Errorf("--%s: %w", flag, err))
		}
		if addr, ok := e.Addr(); ok {
			if err := client.CheckAddress(e, addr); err != nil {
				return nil, cli.UsageError(fmt.Errorf("--%s: %w", flag, err))
			}
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

// checkSize refuses a number of members that no cluster can have.
func (g *globals) checkSize(n int) error {
	most := xlreg.MaxClusterSize
	if g.Protocol.Classic() {
		most = xlreg.MaxClassicClusterSize
	}
	if n < xlreg.MinClusterSize || n > most {
		return cli.UsageError(fmt.Errorf("--size %d: want %d to %d", n, xlreg.MinClusterSize, most))
	}
	return nil
}
