package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
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
func serveAll(ctx context.Context, cfg *serveConfig, h *host.Host, st store.Store, open sockets) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.Serve(ctx) })
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
func listenHealth(cfg *serveConfig) (net.Listener, error) {
	if cfg.health == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", cfg.health)
	if err != nil {
		return nil, fmt.Errorf("--health: %w", err)
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

// joinNew joins two errors, unless the second says no more than the first.
func joinNew(err, next error) error {
	if err != nil && (errors.Is(next, bolt.ErrMoved) || errors.Is(next, bolt.ErrDamaged)) {
		return err
	}
	return errors.Join(err, next)
}

// heedHangup keeps SIGHUP, which is sent to daemons that are to read their
// configuration anew, from ending a registry. A registry for trying out ends with the
// terminal that it was started in, as by Ctrl-C, unless nohup has it ignore that. The
// caller calls done at its end.
func heedHangup(ctx context.Context, cfg *serveConfig) (_ context.Context, done func()) {
	if cfg.dev && !signal.Ignored(syscall.SIGHUP) {
		return signal.NotifyContext(ctx, syscall.SIGHUP)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	var listening sync.WaitGroup
	listening.Go(func() {
		for range signals {
			cfg.log.Info("SIGHUP changes nothing: start the registry again to change its flags")
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		listening.Wait()
	}
}
