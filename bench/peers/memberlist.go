package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/memberlist"
)

// memberlistSystems are hashicorp's memberlist, which has no server: members
// find each other by gossip, at the pace that is configured.
func memberlistSystems() []system {
	const carrier = "plaintext, nobody"
	return []system{
		{"memberlist, LAN", "none", carrier, serveNothing, memberlistWith(memberlist.DefaultLANConfig)},
		{"memberlist, local", "none", carrier, serveNothing, memberlistWith(memberlist.DefaultLocalConfig)},
	}
}

func serveNothing(context.Context, string) (server, error) {
	return server{where: "nowhere", close: func() error { return nil }}, nil
}

func memberlistWith(defaults func() *memberlist.Config) former {
	return func(ctx context.Context, _, _ string, n int) (cost, error) {
		return formAll(ctx, n, memberlistMember(defaults, n))
	}
}

// memberlistMember joins at the first member, unless it is that. Real ones have to
// be told where that is; these are told as soon as it listens.
func memberlistMember(defaults func() *memberlist.Config, n int) member {
	seed := make(chan string, n)
	return func(ctx context.Context, i int) (io.Closer, error) {
		all := newCounter(n)
		list, err := memberlist.Create(memberlistConfig(defaults(), i, all))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			tellSeed(seed, list.LocalNode().Address(), n-1)
		} else if err := joinSeed(ctx, list, seed); err != nil {
			return gossiper{list}, err
		}
		return gossiper{list}, all.await(ctx)
	}
}

func memberlistConfig(cfg *memberlist.Config, i int, events memberlist.EventDelegate) *memberlist.Config {
	cfg.Name = memberName(i)
	cfg.BindAddr, cfg.AdvertiseAddr = "127.0.0.1", "127.0.0.1"
	cfg.BindPort, cfg.AdvertisePort = 0, 0
	cfg.LogOutput = io.Discard
	cfg.Events = events
	return cfg
}

func tellSeed(seed chan<- string, where string, times int) {
	for range times {
		seed <- where
	}
}

// joinSeed tries again when the first member was too busy to answer in time.
func joinSeed(ctx context.Context, list *memberlist.Memberlist, seed <-chan string) error {
	var where string
	select {
	case where = <-seed:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		_, err := list.Join([]string{where})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
}

// gossiper is a member that is silenced when it is closed.
type gossiper struct{ list *memberlist.Memberlist }

func (g gossiper) Close() error { return g.list.Shutdown() }

// counter is told by memberlist of each other member, and of itself.
type counter struct {
	mu   sync.Mutex
	seen map[string]bool
	n    int
	full chan struct{}
}

func newCounter(n int) *counter {
	return &counter{seen: make(map[string]bool, n), n: n, full: make(chan struct{})}
}

// NotifyJoin implements memberlist.EventDelegate.
func (c *counter) NotifyJoin(node *memberlist.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[node.Name] {
		return
	}
	c.seen[node.Name] = true
	if len(c.seen) == c.n {
		close(c.full)
	}
}

// NotifyLeave implements memberlist.EventDelegate. Nobody leaves.
func (c *counter) NotifyLeave(*memberlist.Node) {}

// NotifyUpdate implements memberlist.EventDelegate. Nobody changes.
func (c *counter) NotifyUpdate(*memberlist.Node) {}

func (c *counter) await(ctx context.Context) error {
	select {
	case <-c.full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
