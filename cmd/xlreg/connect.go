package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/regcred"
)

// requestTime bounds a command that does not wait for anything.
const requestTime = 30 * time.Second

// target returns the registry that the flags name.
func (g *globals) target() (*regcred.Target, error) {
	if g.registry == "" {
		return nil, usageError{errors.New("say which registry with --registry FILE|URL, or in XLREG_REGISTRY")}
	}
	return regcred.Load(g.registry)
}

// protocolChosen returns the generation that --protocol names, or zero.
func (g *globals) protocolChosen() (xlreg.Protocol, error) {
	if g.protocol == "" {
		return 0, nil
	}
	p, err := xlreg.ParseProtocol(g.protocol)
	if err != nil {
		return 0, usageError{fmt.Errorf("--protocol: %w", err)}
	}
	return p, nil
}

// openNode opens the node that --node names, or the user's own, making it if it
// does not exist.
func (g *globals) openNode() (*identity.Node, error) {
	dir, name, err := g.nodeDir()
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(filepath.Join(dir, "node.json"))
	if err == nil {
		return identity.Open(dir)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if name.Validate() != nil {
		return nil, fmt.Errorf("no node in %s, and %q is no name for a new one: make it with 'xlreg node init %s --name NAME'", dir, name, dir)
	}
	if isTerminal(g.err) {
		fmt.Fprintf(g.err, "making the node %s in %s\n", name, dir)
	}
	return identity.Init(dir, identity.Options{Name: name})
}

// nodeDir returns where the node is and what a new one there is called: by its
// folder, or by this machine if the folder is the user's default.
func (g *globals) nodeDir() (string, xlreg.Name, error) {
	if g.node != "" {
		dir, err := filepath.Abs(g.node)
		return dir, xlreg.Name(filepath.Base(dir)), err
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", "", usageError{fmt.Errorf("say which node with --node DIR: %w", err)}
	}
	host, err := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	if err != nil || xlreg.Name(host).Validate() != nil {
		host = "node"
	}
	return filepath.Join(config, "xlreg", "node"), xlreg.Name(host), nil
}

// dial opens a session, as node if it is not nil.
func (g *globals) dial(ctx context.Context, node *identity.Node) (*client.Client, error) {
	target, err := g.target()
	if err != nil {
		return nil, err
	}
	o := client.Options{Node: node}
	if o.Protocol, err = g.protocolChosen(); err != nil {
		return nil, err
	}
	return client.Dial(ctx, target, o)
}

// asNode runs f in a session in which the node has registered.
func (g *globals) asNode(ctx context.Context, f func(context.Context, *client.Client) error) (err error) {
	if _, err := g.target(); err != nil { // before a node is made
		return err
	}
	node, err := g.openNode()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	return g.withSession(ctx, node, f)
}

func (g *globals) withSession(ctx context.Context, node *identity.Node, f func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	c, err := g.dial(ctx, node)
	if err != nil {
		return err
	}
	defer c.Close()
	if node != nil {
		if _, err := c.Register(ctx); err != nil {
			return err
		}
	}
	return f(ctx, c)
}

// parseRef reads a cluster's name or ID.
func parseRef(s string) (xlreg.ClusterRef, error) {
	if id, err := xlreg.ParseClusterID(s); err == nil {
		return xlreg.ClusterRef{ID: id}, nil
	}
	name, err := xlreg.ParseName(s)
	if err != nil {
		return xlreg.ClusterRef{}, usageError{fmt.Errorf("cluster %q: want a name or an ID: %w", s, err)}
	}
	return xlreg.ClusterRef{Name: name}, nil
}

func parseEndpoints(flag string, list []string) ([]xlreg.Endpoint, error) {
	endpoints := make([]xlreg.Endpoint, 0, len(list))
	for _, s := range list {
		e, err := xlreg.ParseEndpoint(s)
		if err != nil {
			return nil, usageError{fmt.Errorf("--%s: %w", flag, err)}
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}
