package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/ticket"
)

func newServe(g *globals) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a registry",
		Long: "Run a registry until SIGTERM or Ctrl-C.\n\n" +
			"Its keys, ID and data are in the data directory, and so is regCred.dat, which clients\n" +
			"need and which is updated at every start. If data is missing or damaged, the registry\n" +
			"does not start; see 'xlreg restore'.",
		Example: "  xlreg serve --data /var/lib/xlreg --public registry.example.org:56789\n" +
			"  xlreg serve --dev",
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := newSettings(f.configFile, cmd.Flags(), g.FromEnv, cli.VariablesOf(cmd), g.Console)
			if err != nil {
				return err
			}
			cfg, err := settings.read()
			if err != nil {
				return cli.UsageError(err)
			}
			return g.serve(cmd.Context(), cfg)
		},
	}
	f.register(cmd)
	return cmd
}

// serve runs a registry until ctx ends.
func (g *globals) serve(ctx context.Context, cfg *serveConfig) (err error) {
	ctx, hangups, done := heedHangup(ctx, cfg)
	defer done()
	if err := cfg.admit(); err != nil {
		return err
	}
	if cfg.data == "" {
		dir, err := os.MkdirTemp("", "xlreg-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }() // what cannot be removed does no harm
		cfg.data = filepath.Join(dir, "data")
	}
	manager, err := findManager(cfg)
	if err != nil {
		return err
	}
	defer manager.close()
	node, err := openRegistryNode(ctx, cfg, g.Console)
	if errors.Is(err, context.Canceled) {
		return nil // stopped before it was open: a stop like any other
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	st, err := openStore(ctx, cfg, node)
	if err != nil {
		return err
	}
	defer func() { err = joinNew(err, st.Close()) }()
	cfg.fitOpenFiles(cli.OpenFileLimit())
	cfg.fitMemory(cli.MemoryLimit())
	seen, err := newObserver(cfg)
	if err != nil {
		return fmt.Errorf("--audit-log: %w", err)
	}
	defer func() { err = errors.Join(err, seen.close()) }()
	h, err := openHost(cfg, node, st, seen, manager)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	noteStore(cfg, node)
	others, err := openOthers(ctx, cfg, h, st, seen, manager.passed)
	defer others.close()
	if err != nil {
		return err
	}
	if err := g.announce(h.Cred(), h.Bound(), others.admin, cfg); err != nil {
		return err
	}
	reload := newReloader(cfg, h, manager, hangups,
		reloadable{"admin side", others.admin.reload}, reloadable{"audit log", seen.reload})
	err = serveAll(ctx, cfg, h, st, others, manager, reload)
	cfg.log.Info("registry is closed", "name", h.Cred().Name, "data", cfg.data)
	return err
}

// openHost makes the registry and opens its ports.
func openHost(cfg *serveConfig, node *identity.Node, st store.Store, seen *observer, m *manager) (*host.Host, error) {
	h, err := host.Open(host.Config{
		Node: node, Store: st, StoreKind: cfg.storeKind(), Listen: cfg.listen, Public: cfg.public, IDLen: cfg.idLen,
		Protocols: cfg.protocols, MaxWait: cfg.maxWait, Limits: cfg.limits, Logger: cfg.log, Level: cfg.level, Admit: cfg.admitted.admits,
		MinLease: cfg.leases.least, MaxLease: cfg.leases.most, Forget: cfg.leases.forget.forget(), ProxyFrom: cfg.proxyFrom,
		OwnProcess: !cfg.dev, Listeners: m.listeners, Version: buildVersion().Version,
		Observe: seen.Observe, ObserveStore: seen.metrics.ObserveStore,
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w; stop the program that has the port, or choose another with --listen", err)
	}
	return h, err
}

// announce writes regCred.dat and says where the registry is: where clients are
// told to find it, and where it listens, which may be a port it chose itself.
func (g *globals) announce(cred *xlreg.Credentials, bound []string, side *adminSide, cfg *serveConfig) error {
	path := filepath.Join(cfg.data, datadir.CredFile)
	if err := atomicfile.RemoveLeftovers(path); err != nil {
		return err
	}
	if err := regcred.Write(path, cred); err != nil {
		return err
	}
	sig, err := keys.Fingerprint(cred.SigKey)
	if err != nil {
		return err
	}
	if err := g.printOpen(cred, side, cfg); err != nil {
		return err
	}
	cfg.log.Info("registry is open", "name", cred.Name, "id", cred.ID, "endpoints", cred.Endpoints,
		"listening", bound, "sig", sig, "reg_cred", path, "ephemeral", cfg.ephemeral)
	return nil
}

// printOpen writes to standard output what there is to say about an open
// registry: to scripts in JSON, and to newcomers.
func (g *globals) printOpen(cred *xlreg.Credentials, side *adminSide, cfg *serveConfig) error {
	if !cfg.dev {
		if g.Output == "json" {
			return g.printCred(cred)
		}
		return nil
	}
	line, owner, err := devTicket(cred)
	if err != nil {
		return err
	}
	if g.Output != "json" {
		if err := g.printBanner(cred, line, owner); err != nil {
			return err
		}
		return g.printAdmin(side)
	}
	v, _, err := newCredJSON(cred)
	if err != nil {
		return err
	}
	v.Ticket = owner.Text()
	return g.PrintJSON(v)
}

// devTicket makes the owner's ticket of a cluster for trying out, and returns the
// registry's line, too.
func devTicket(cred *xlreg.Credentials) (string, *ticket.Ticket, error) {
	target, err := regcred.NewTarget(cred)
	if err != nil {
		return "", nil, err
	}
	line, err := target.URL()
	if err != nil {
		return "", nil, err
	}
	owner, err := ticket.NewOwner(target, "demo", xlreg.MinClusterSize, 1)
	return line, owner, err
}

// printBanner tells a newcomer what to paste next.
func (g *globals) printBanner(cred *xlreg.Credentials, line string, owner *ticket.Ticket) error {
	program := "xlreg"
	if strings.ContainsRune(g.Program, filepath.Separator) { // not found by its name alone
		program = launch.Quote(g.Program)
	}
	_, err := fmt.Fprintf(g.Out, `
A registry for trying out is open at %[1]s; everything is gone when it ends.

This ticket pins the registry, names the cluster demo, and admits whoever has it. Paste
the first line and one of the others into each of two terminals:

  export XLREG_TICKET='%[2]s'
  %[3]s join --node /tmp/xlreg-a --name a --endpoint 127.0.0.1:7001 --wait 60s
  %[3]s join --node /tmp/xlreg-b --name b --endpoint 127.0.0.1:7002 --wait 60s

For all else the registry is

  export XLREG_REGISTRY='%[4]s'

`, view.Endpoints(cred.Endpoints), owner.Text(), program, line)
	return err
}
