package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/regcred"
)

// openNode opens the node that --node names, or the user's own, making it if it
// does not exist.
func (g *globals) openNode(ctx context.Context) (*identity.Node, error) {
	dir, name, err := g.nodeDir()
	if err != nil {
		return nil, err
	}
	node, err := identity.Open(dir)
	if !errors.Is(err, identity.ErrNoNode) {
		return g.warnRecovered(node, err)
	}
	if name.Validate() != nil {
		return nil, fmt.Errorf("no node in %s, and %q is no name for a new one: make it with 'xlreg node init %s --name NAME'", dir, name, dir)
	}
	node, err = makeNode(ctx, g.Console, dir, identity.Options{Name: name, CertificateLife: g.certLife})
	if err == nil && cli.IsTerminal(g.Err) {
		fmt.Fprintf(g.Err, "made the node %s in %s\n", name, dir)
	}
	return node, err
}

// openOldNode opens a node that has to exist.
func (g *globals) openOldNode() (*identity.Node, error) {
	dir, _, err := g.nodeDir()
	if err != nil {
		return nil, err
	}
	return g.warnRecovered(identity.Open(dir))
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

// makeNode makes a node, and shows that this takes its time.
func makeNode(ctx context.Context, c *cli.Console, dir string, o identity.Options) (*identity.Node, error) {
	line := cli.NewStatusLine(c)
	defer line.End()
	if o.Keys == nil {
		line.Show(fmt.Sprintf("making keys for %s", o.Name))
	}
	return cli.Interruptible(ctx, func() (*identity.Node, error) { return identity.Init(dir, o) })
}

// nodeDir returns where the node is and what a new one there is called: by its
// folder, or by this machine if the folder is the user's default.
func (g *globals) nodeDir() (string, xlreg.Name, error) {
	if g.Node != "" {
		dir, err := filepath.Abs(g.Node)
		return dir, xlreg.Name(filepath.Base(dir)), err
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", "", cli.UsageError(fmt.Errorf("say which node with --node DIR: %w", err))
	}
	host, err := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	if err != nil || xlreg.Name(host).Validate() != nil {
		host = "node"
	}
	return filepath.Join(config, "xlreg", "node"), xlreg.Name(host), nil
}

// dial opens a session, as node if it is not nil, and registers the node.
func (g *globals) dial(ctx context.Context, target *regcred.Target, node *identity.Node) (*client.Client, error) {
	c, err := client.Dial(ctx, target, client.Options{Node: node, Protocol: g.Protocol.Protocol})
	if err != nil || node == nil {
		return c, err
	}
	if _, err := c.Register(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// inSession runs f in a session, as node if it is not nil.
func (g *globals) inSession(ctx context.Context, target *regcred.Target, node *identity.Node, f func(context.Context, *client.Client) error) error {
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
func (g *globals) dialSoon(ctx context.Context, target *regcred.Target, node *identity.Node) (*client.Client, error) {
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
		return xlreg.ClusterRef{}, cli.UsageError(fmt.Errorf("cluster %q: %w", s, err))
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
		if addr, ok := e.Addr(); ok && addr.Unmap().IsUnspecified() {
			return nil, cli.UsageError(fmt.Errorf("--%s %s: stands for all addresses of a machine; give one where others reach it", flag, e))
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

// checkSize refuses a number of members that no cluster can have.
func checkSize(n int) error {
	if n < xlreg.MinClusterSize || n > xlreg.MaxClusterSize {
		return cli.UsageError(fmt.Errorf("--size %d: want %d to %d", n, xlreg.MinClusterSize, xlreg.MaxClusterSize))
	}
	return nil
}
