package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
)

// serveAll serves clients and, where there are data on disk, those who run the
// registry, until ctx ends or the data can no longer be relied on.
func serveAll(ctx context.Context, cfg *serveConfig, h *host.Host, st store.Store, open sockets, m *manager, r *reloader) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.Serve(ctx) })
	group.Go(func() error { return m.attend(ctx, h) })
	group.Go(func() error { return r.attend(ctx) })
	disk, ok := st.(*bolt.Store)
	if ok {
		group.Go(func() error { return attend(ctx, cfg, disk) })
	}
	open.admin.serve(ctx, group)
	if open.health != nil {
		server := admin.NewHealth(h.Ready, cfg.log)
		group.Go(func() error { return server.Serve(ctx, open.health) })
	}
	return group.Wait()
}

// sockets are for others than clients; each is nil if there is none.
type sockets struct {
	admin  *adminSide
	health net.Listener
}

// listenHealth opens the address that says whether clients are served.
func listenHealth(cfg *serveConfig, passed passedSockets) (net.Listener, error) {
	l, err := passed.take(socketHealth, "health", cfg.health)
	if err == nil && l == nil && cfg.health != "" {
		l, err = net.Listen("tcp", cfg.health)
	}
	if err != nil {
		return nil, fmt.Errorf("--health: %w", err)
	}
	if l == nil {
		return nil, nil
	}
	cfg.log.Info("health is told", "listening", l.Addr().String())
	return l, nil
}

// attend watches over the data, and says what to do when they cannot be relied on.
func attend(ctx context.Context, cfg *serveConfig, disk *bolt.Store) error {
	path := filepath.Join(cfg.data, datadir.StoreFile)
	err := disk.Attend(ctx)
	if errors.Is(err, bolt.ErrDamaged) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return datadir.Advise(path, err)
}

// openOthers opens what is for others than clients, and makes sure that no socket of the
// service manager is left over. What it has opened is returned with an error, too.
func openOthers(ctx context.Context, cfg *serveConfig, h *host.Host, st store.Store, seen *observer, passed passedSockets) (s sockets, err error) {
	if s.health, err = listenHealth(cfg, passed); err != nil {
		return s, err
	}
	if s.admin, err = openAdmin(ctx, cfg, h, st, seen, passed); err != nil {
		return s, err
	}
	return s, passed.unused()
}

// close closes what is open. What is served is closed by then.
func (s sockets) close() {
	if s.health != nil {
		_ = s.health.Close()
	}
	if s.admin != nil {
		s.admin.close()
	}
}

// joinNew joins two errors, unless the second says no more than the first.
func joinNew(err, next error) error {
	if err != nil && (errors.Is(next, bolt.ErrMoved) || errors.Is(next, bolt.ErrDamaged)) {
		return err
	}
	return errors.Join(err, next)
}

// heedHangup keeps SIGHUP, which is sent to daemons that are to read their
// configuration anew, from ending a registry, and returns where it is told. A registry for
// trying out ends with the terminal that it was started in, as by Ctrl-C, unless nohup has
// it ignore that. The caller calls done at its end.
func heedHangup(ctx context.Context, cfg *serveConfig) (_ context.Context, hangups <-chan os.Signal, done func()) {
	if cfg.dev && !signal.Ignored(syscall.SIGHUP) {
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
		return ctx, nil, stop
	}
	signals := make(chan os.Signal, 1) // one that comes before the registry is open is heeded then
	signal.Notify(signals, syscall.SIGHUP)
	return ctx, signals, func() { signal.Stop(signals) }
}
