// Package host puts a registry together: an identity, the rules on an open store,
// listeners, and the server that joins them. The program, the demo and registries
// inside tests differ only in the Config they pass.
package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/overview"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/server"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/metered"
	"github.com/xlattice/xlreg/keys"
)

// Config is what a Host is made of. Node and Store stay the caller's, to close after
// the Host, except that Start takes over the Store. A zero field has the default of
// the package it is passed on to.
type Config struct {
	Node      *identity.Node // whose name and keys the registry has
	Store     store.Store
	StoreKind string           // of Store, as people are told: memory, bolt, etcd or postgres
	Listen    []string         // host:port, port 0 for a free one
	Listeners []net.Listener   // sockets of the service manager, in place of Listen; the Host closes them
	Public    []xlreg.Endpoint // where clients find the registry; empty: what is bound
	IDLen     int              // bytes of new IDs
	Protocols []xlreg.Protocol
	MaxWait   time.Duration
	Limits    guard.Limits
	Logger    *slog.Logger
	Admit     func(xlreg.SigKey) bool // whose keys may be registered; nil: anybody's
	MinLease  time.Duration           // shorter leases are made as long
	MaxLease  time.Duration           // longer leases are made as short
	Forget    time.Duration           // after which what nobody needs is forgotten; less than 0: never
	EndFormer time.Time               // when the keys before end to count, if not later; zero: when their word ends
	Version   string                  // of the program, for the others that share the store
	Now       func() time.Time        // the time of joins, certificates and limits; nil: time.Now
	Clock     registry.Clock          // by which the rules go; nil: Now, and the machine's for how long things last

	// ProxyFrom are the networks of load balancers, which say by version 2 of the PROXY
	// protocol for whom they connect. They have to, and nobody else is believed.
	ProxyFrom []netip.Prefix

	// Observe is told of what has happened, as registry.Config says; nil: nobody is.
	Observe func(registry.Event)

	// Level is that of Logger, for those who run the registry to change; nil: they cannot.
	Level *slog.LevelVar

	// ObserveStore is told how each transaction of the rules went; nil: nobody is.
	ObserveStore func(metered.Transaction)

	// OwnProcess says that the process is this registry and nothing else, so that
	// the Host may look after its memory.
	OwnProcess bool
}

// Host is a registry with everything it needs.
type Host struct {
	cred     *xlreg.Credentials
	store    store.Store
	registry *registry.Registry
	server   *server.Server
	overview *overview.Overview
	steward  steward
	listen   listening
	process  *process // nil if it is not the Host's own
	log      *slog.Logger

	shared Shared // nil: no other server stands on the store
	fleet  membership
	ready  atomic.Bool

	draining sync.Mutex
	undrain  func() // guarded by draining; nil: nobody is turned away for it
}

// Open makes the registry and opens its ports. Nobody is served before Serve.
func Open(cfg Config) (*Host, error) {
	id, err := ownID(cfg.Node, cfg.IDLen)
	if err != nil {
		return nil, err
	}
	h := &Host{store: cfg.Store, listen: listening{cfg: &cfg}}
	if err := h.open(&cfg, id); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *Host) open(cfg *Config, id xlreg.NodeID) (err error) {
	log := bounded(cfg.Logger)
	h.log = cmp.Or(log, slog.New(slog.DiscardHandler))
	if err := checkWhole(cfg.Store); err != nil {
		return err
	}
	if h.shared, _ = cfg.Store.(Shared); h.shared != nil {
		if id, err = h.enterFleet(cfg, id); err != nil {
			return err
		}
	}
	h.registry, err = registry.New(registry.Config{
		Store: cfg.metered(), Self: id, IDLen: cfg.IDLen, MaxWait: cfg.MaxWait, Logger: log, Admit: cfg.Admit,
		Clock: cfg.clock(), Bounds: cfg.bounds(), Server: h.fleet.id, Observe: h.steward.observer(cfg.Observe),
	})
	if err != nil {
		return err
	}
	h.overview = overview.New(overview.Config{
		Store: cfg.Store, Logger: log, Now: cfg.Now, Lazy: h.shared != nil || !cfg.OwnProcess,
	})
	if cfg.OwnProcess {
		h.process = newProcess(cmp.Or(cfg.Limits.Connections, guard.DefaultLimits().Connections))
	}
	if h.listen, err = listenOn(cfg, log); err != nil {
		return err
	}
	endpoints, err := h.endpoints(cfg.Public)
	if err != nil {
		return err
	}
	own := cfg.Node.Keys()
	former, succession, err := successionOf(cfg.Node)
	if err != nil {
		return err
	}
	h.cred = &xlreg.Credentials{
		Name: cfg.Node.Name(), ID: id, CommsKey: own.CommsKey, SigKey: own.SigKey,
		Endpoints: endpoints, Version: xlreg.Version20,
	}
	h.server, err = server.New(server.Config{
		Registry: h.registry, Comms: own.Comms, Sig: own.Sig, Describe: *h.cred,
		FormerComms: former, Succession: succession,
		Protocols: cfg.Protocols, Limits: cfg.Limits, Logger: log, Now: cfg.Now,
		Reopen: h.reopened,
	})
	if err != nil {
		return err
	}
	h.EndFormer(cfg.EndFormer)
	return h.steward.know(cfg, h.cred)
}

// metered returns the store as the rules see it.
func (cfg *Config) metered() store.Store {
	if cfg.ObserveStore == nil {
		return cfg.Store
	}
	return metered.New(cfg.Store, cfg.ObserveStore)
}

// bounds returns how much the rules keep at most, and for how long.
func (cfg *Config) bounds() registry.Bounds {
	l := cfg.Limits.WithDefaults()
	return registry.Bounds{
		Nodes: l.Nodes, Clusters: l.Clusters, Bytes: int64(l.DataMiB) << 20,
		MinLease: cfg.MinLease, MaxLease: cfg.MaxLease, Forget: cfg.Forget,
	}
}

// clock returns the clock of the rules: the machine's, unless another is given, which may
// tell another time of day. How long a wait lasts does not depend on that.
func (cfg *Config) clock() registry.Clock {
	switch {
	case cfg.Clock != nil:
		return cfg.Clock
	case cfg.Now == nil:
		return registry.SystemClock{}
	}
	return clock{now: cfg.Now}
}

type clock struct {
	registry.SystemClock
	now func() time.Time
}

// Now implements registry.Clock.
func (c clock) Now() time.Time { return c.now() }

// enterFleet finds out what the registry's ID is, and announces this server.
func (h *Host) enterFleet(cfg *Config, own xlreg.NodeID) (xlreg.NodeID, error) {
	ctx, cancel := context.WithTimeout(context.Background(), announceTime)
	defer cancel()
	id, err := settle(ctx, h.shared, cfg.Node, own)
	if err != nil {
		return "", err
	}
	return id, h.fleet.enter(h.shared, cfg.Version)
}

// SetLimits has other limits count from now on, as server.Server.SetLimits says, and as
// much be kept as they say. What there is already stays.
func (h *Host) SetLimits(l guard.Limits) {
	h.server.SetLimits(l)
	h.steward.limits.set(l.WithDefaults())
	h.registry.SetRoom((&Config{Limits: l}).bounds())
}

// Cred returns the credentials that clients need.
func (h *Host) Cred() *xlreg.Credentials { return h.cred }

// Bound returns the addresses that the registry listens on.
func (h *Host) Bound() []string { return h.listen.bound }

// Ready reports whether clients are served: not before Serve, after it, while a store that
// others share cannot be reached, and while the server is drained.
func (h *Host) Ready() bool { return h.ready.Load() && !h.server.Draining() }

// Stats returns the server's counts.
func (h *Host) Stats() server.Stats { return h.server.Stats() }

// Serve answers clients until ctx ends and the last request is answered. It may
// be called once.
func (h *Host) Serve(ctx context.Context) error {
	if h.process != nil {
		trimCtx, stop := context.WithCancel(ctx)
		var trimming sync.WaitGroup
		trimming.Go(func() { h.process.trim(trimCtx, func() int { return h.Stats().Open }) })
		defer trimming.Wait()
		defer stop()
	}
	if h.shared != nil {
		return h.serveFleet(ctx)
	}
	return h.serve(ctx)
}

func (h *Host) serve(ctx context.Context) error {
	h.ready.Store(true)
	defer h.ready.Store(false)
	return h.server.Serve(ctx, h.listen.listeners...)
}

// Close frees the ports and stops the rules. Serve must have returned, if it
// was called. Close may be called again.
func (h *Host) Close() error {
	h.endDrain()
	errs := []error{h.listen.close()}
	if h.overview != nil {
		h.overview.Close()
	}
	if h.registry != nil {
		errs = append(errs, h.registry.Close())
	}
	h.fleet.leave()
	return errors.Join(errs...)
}

// ownID returns the registry's ID, made on the first start and kept like any
// node keeps the ID it has at a registry.
func ownID(node *identity.Node, idLen int) (xlreg.NodeID, error) {
	sig, err := keys.Fingerprint(node.Keys().SigKey)
	if err != nil {
		return "", err
	}
	if known, ok := node.Registry(sig); ok {
		return known.ID, nil
	}
	if idLen == 0 {
		idLen = xlreg.LongIDLen
	}
	b := make([]byte, idLen)
	rand.Read(b) // never fails
	id, err := xlreg.NodeIDFromBytes(b)
	if err != nil {
		return "", err
	}
	if err := node.SetRegistry(identity.KnownRegistry{Sig: sig, Name: node.Name(), ID: id}); err != nil {
		return "", fmt.Errorf("keep the registry's ID: %w", err)
	}
	return id, nil
}
