package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// node is this member, as far as Raft is concerned.
type node struct {
	raft      *raft.Raft
	transport *raft.NetworkTransport
	log       *raftboltdb.BoltStore
}

// start opens the data in dir and takes part in Raft. Without data, the members of c are
// the first configuration: all of them say the same, so that it does not matter who is
// first.
func start(c *cluster, keys *store, dir string) (*node, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	n := &node{log: log}
	if err := n.join(c, keys, dir); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *node) join(c *cluster, keys *store, dir string) error {
	logger := hclog.New(&hclog.LoggerOptions{Name: "raft", Level: hclog.Info, Output: os.Stderr})
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, logger)
	if err != nil {
		return err
	}
	layer, err := listen(c)
	if err != nil {
		return err
	}
	n.transport = raft.NewNetworkTransportWithLogger(layer, 3, 5*time.Second, logger)
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(c.self().name)
	config.Logger = logger
	before, err := raft.HasExistingState(n.log, n.log, snapshots)
	if err != nil {
		return err
	}
	if !before {
		err = raft.BootstrapCluster(config, n.log, n.log, snapshots, n.transport, c.configuration())
	}
	if err == nil {
		n.raft, err = raft.NewRaft(config, keys, n.log, n.log, snapshots, n.transport)
	}
	return err
}

func (c *cluster) configuration() raft.Configuration {
	var all raft.Configuration
	for _, m := range c.members {
		all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(m.name), Address: raft.ServerAddress(m.raft)})
	}
	return all
}

// close ends what start has begun, as far as it came.
func (n *node) close() error {
	var err error
	if n.raft != nil {
		err = n.raft.Shutdown().Error()
	}
	if n.transport != nil {
		err = errors.Join(err, n.transport.Close())
	}
	return errors.Join(err, n.log.Close())
}

// layer carries Raft over mutual TLS.
type layer struct {
	net.Listener
	tls *tls.Config
}

func listen(c *cluster) (*layer, error) {
	l, err := tls.Listen("tcp", c.self().raft, c.tls)
	if err != nil {
		return nil, err
	}
	return &layer{l, c.tls}, nil
}

// Dial connects to the member at an address, whose certificate has to have its host.
func (l *layer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: timeout}, "tcp", string(address), l.tls)
}
