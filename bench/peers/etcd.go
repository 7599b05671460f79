package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// etcdSystems are etcd with one server and its own client. The second is what
// etcd could do if its disk cost nothing; etcd warns that it loses data.
func etcdSystems() []system {
	serve := func(noSync bool) func(context.Context, string) (server, error) {
		return func(ctx context.Context, dir string) (server, error) { return serveEtcd(ctx, dir, noSync) }
	}
	return []system{
		{"etcd", "disk", "plaintext, nobody", serve(false), formEtcd},
		{"etcd, no fsync", "disk, unsafe", "plaintext, nobody", serve(true), formEtcd},
	}
}

// serveEtcd starts a server with the defaults but for its ports and its log, which
// is discarded.
func serveEtcd(ctx context.Context, dir string, noSync bool) (server, error) {
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(dir, "etcd")
	cfg.UnsafeNoFsync = noSync
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = local, local
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = local, local
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return server{}, fmt.Errorf("start etcd: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	select {
	case <-e.Server.ReadyNotify():
	case <-ctx.Done():
		e.Close()
		return server{}, fmt.Errorf("start etcd: %w", ctx.Err())
	}
	return server{where: e.Clients[0].Addr().String(), close: func() error {
		e.Close()
		return nil
	}}, nil
}

func formEtcd(ctx context.Context, where, cluster string, n int) (cost, error) {
	return formAll(ctx, n, etcdMember(where, cluster, n))
}

// etcdMember does put, get and watch: it puts its own key, gets those that are
// there, and watches from that revision on until it has seen everybody. It takes no
// lease, so its key would outlive it; that only saves work.
func etcdMember(where, cluster string, n int) member {
	prefix := "/" + cluster + "/"
	return func(ctx context.Context, i int) (io.Closer, error) {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{where}, Logger: zap.NewNop(), DialTimeout: startTime})
		if err != nil {
			return nil, err
		}
		return c, learnEtcd(ctx, c, prefix, i, n)
	}
}

func learnEtcd(ctx context.Context, c *clientv3.Client, prefix string, i, n int) error {
	if _, err := c.Put(ctx, prefix+memberName(i), memberEndpoint(i)); err != nil {
		return err
	}
	got, err := c.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	seen := len(got.Kvs)
	if seen >= n {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for r := range c.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1)) {
		if err := r.Err(); err != nil {
			return err
		}
		for _, event := range r.Events {
			if event.IsCreate() {
				seen++
			}
		}
		if seen >= n {
			return nil
		}
	}
	return errors.Join(errors.New("watch ended"), ctx.Err())
}
