package main

import (
	"context"
	"errors"
	"fmt"
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
func serveAll(ctx context.Context, cfg *serveConfig, h *host.Host, st store.Store) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.Serve(ctx) })
	if disk, ok := st.(*bolt.Store); ok {
		group.Go(func() error { return attend(ctx, cfg, disk) })
		group.Go(func() error { return serveAdmin(ctx, cfg, disk) })
	}
	return group.Wait()
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

// serveAdmin offers backups on a socket in the data directory. A registry that cannot
// have one, such as on a full disk, goes on without.
func serveAdmin(ctx context.Context, cfg *serveConfig, disk *bolt.Store) error {
	l, err := admin.Listen(filepath.Join(cfg.data, datadir.SocketFile))
	if err != nil {
		cfg.log.Warn("no backup can be made while the registry runs, as there is no socket for it", "err", err)
		return nil
	}
	return admin.New(admin.Config{Keeper: disk, Logger: cfg.log}).Serve(ctx, l)
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
// terminal that it was started in, as by Ctrl-C. The caller calls done at its end.
func heedHangup(ctx context.Context, cfg *serveConfig) (_ context.Context, done func()) {
	if cfg.dev {
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
