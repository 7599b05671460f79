package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/server"
)

// serveFlags are the flags of serve, as given.
type serveFlags struct {
	data      string
	listen    []string
	public    []string
	name      string
	ephemeral bool
	dev       bool
	idBits    int
	keyBits   int
	carriers  []string
	maxWait   time.Duration
	logLevel  string
	limits    server.Limits
}

// serveConfig is what serve runs on: the flags, checked.
type serveConfig struct {
	data      string // empty: a temporary directory
	listen    []string
	public    []xlreg.Endpoint
	name      xlreg.Name
	ephemeral bool
	dev       bool
	idLen     int
	keyBits   int
	protocols []xlreg.Protocol
	maxWait   time.Duration
	limits    server.Limits
	log       *slog.Logger
}

func newServe(g *globals) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a registry",
		Long: "Run a registry until SIGTERM or Ctrl-C.\n\n" +
			"Its keys, its ID, its data and regCred.dat, which clients need, are in the data\n" +
			"directory. regCred.dat is written anew at every start, once the port is open.",
		Example: "  xlreg serve --data /var/lib/xlreg --public registry.example.org:56789\n" +
			"  xlreg serve --dev",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(cmd.Flags(), g.console)
			if err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), cfg, g.console)
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *serveFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.data, "data", "", "`DIR` for keys, data and regCred.dat; made if it does not exist")
	flags.StringSliceVar(&f.listen, "listen", []string{":" + strconv.Itoa(xlreg.DefaultPort)}, "`ADDR` to listen on, repeatable; port 0 takes a free one")
	flags.StringSliceVar(&f.public, "public", nil, "`HOST:PORT` where clients find the registry, repeatable (default what is bound)")
	flags.StringVar(&f.name, "name", "xlReg", "the registry's `NAME`, when it is first started")
	flags.BoolVar(&f.ephemeral, "ephemeral", false, "keep nodes and clusters in memory only")
	flags.BoolVar(&f.dev, "dev", false, "for trying out: ephemeral, on loopback, on a free port")
	flags.IntVar(&f.idBits, "id-bits", 256, "size of new IDs in `BITS`: 256 or 160")
	flags.IntVar(&f.keyBits, "key-bits", 2048, "size of the registry's keys in `BITS`, when it is first started: 2048, 3072 or 4096")
	flags.StringSliceVar(&f.carriers, "carriers", []string{"2.0", "1.9", "1.8"}, "the `GENERATIONS` to speak")
	flags.DurationVar(&f.maxWait, "max-wait", xlreg.DefaultMaxWait, "`TIME` that one request may wait for a cluster to fill")
	flags.StringVar(&f.logLevel, "log-level", "info", "`LEVEL` to log from: debug, info, warn or error")
	f.registerLimits(flags)
}

func (f *serveFlags) registerLimits(flags *pflag.FlagSet) {
	d := server.DefaultLimits()
	l := &f.limits
	flags.IntVar(&l.Connections, "max-connections", d.Connections, "most connections open at once")
	flags.IntVar(&l.ConnectionsPerAddress, "max-connections-per-address", d.ConnectionsPerAddress, "most of those from one IPv4 address or IPv6 /64")
	flags.IntVar(&l.ConnectionsLoopback, "max-connections-loopback", d.ConnectionsLoopback, "the same for each loopback address")
	flags.IntVar(&l.NodesPerMinute, "new-nodes-per-minute", d.NodesPerMinute, "new nodes from one address")
	flags.IntVar(&l.ClustersPerMinute, "new-clusters-per-minute", d.ClustersPerMinute, "new clusters from one address")
	flags.IntVar(&l.LoopbackPerMinute, "new-per-minute-loopback", d.LoopbackPerMinute, "new nodes, and new clusters, from each loopback address")
	flags.DurationVar(&l.Hello, "hello-timeout", d.Hello, "`TIME` for a connection to say hello")
	flags.DurationVar(&l.CrowdedHello, "crowded-hello-timeout", d.CrowdedHello, "the same `TIME` while most connections have not")
	flags.DurationVar(&l.Message, "message-timeout", d.Message, "`TIME` from a message's first byte to its last")
	flags.DurationVar(&l.Idle, "idle-timeout", d.Idle, "`TIME` between two messages")
	flags.DurationVar(&l.Write, "write-timeout", d.Write, "`TIME` for a peer to take one message")
}

// config checks the flags and returns what to run on.
func (f *serveFlags) config(flags *pflag.FlagSet, c *console) (*serveConfig, error) {
	cfg := &serveConfig{
		data: f.data, listen: f.listen, ephemeral: f.ephemeral, dev: f.dev,
		keyBits: f.keyBits, idLen: f.idBits / 8, maxWait: f.maxWait, limits: f.limits,
	}
	if f.dev {
		cfg.ephemeral = true
		if !flags.Changed("listen") {
			cfg.listen = []string{"127.0.0.1:0"}
		}
	}
	if cfg.data == "" && !cfg.ephemeral {
		return nil, errors.New("say where to keep the data with --data DIR, or that it is not kept with --ephemeral")
	}
	if f.idBits != 8*xlreg.LongIDLen && f.idBits != 8*xlreg.ShortIDLen {
		return nil, fmt.Errorf("--id-bits %d: want 256 or 160", f.idBits)
	}
	var err error
	if cfg.name, err = xlreg.ParseName(f.name); err != nil {
		return nil, fmt.Errorf("--name: %w", err)
	}
	for _, s := range f.public {
		e, err := xlreg.ParseEndpoint(s)
		if err != nil {
			return nil, fmt.Errorf("--public: %w", err)
		}
		cfg.public = append(cfg.public, e)
	}
	for _, s := range f.carriers {
		p, err := xlreg.ParseProtocol(s)
		if err != nil {
			return nil, fmt.Errorf("--carriers: %w", err)
		}
		cfg.protocols = append(cfg.protocols, p)
	}
	if err := checkPositive(flags); err != nil {
		return nil, err
	}
	cfg.log, err = newLogger(c, f.logLevel)
	return cfg, err
}

// checkPositive refuses limits that would stop everything, and zeros, which
// would be taken for defaults.
func checkPositive(flags *pflag.FlagSet) (failed error) {
	flags.VisitAll(func(f *pflag.Flag) {
		n, numErr := strconv.Atoi(f.Value.String())
		d, durErr := time.ParseDuration(f.Value.String())
		isNumber := f.Value.Type() == "int" && numErr == nil && n <= 0
		isTime := f.Value.Type() == "duration" && durErr == nil && d <= 0
		if isNumber || isTime {
			failed = fmt.Errorf("--%s %v: want more than 0", f.Name, f.Value)
		}
	})
	return failed
}

// newLogger logs for people on a terminal, and JSON for machines elsewhere.
func newLogger(c *console, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	if isTerminal(c.err) {
		return slog.New(slog.NewTextHandler(c.err, o)), nil
	}
	return slog.New(slog.NewJSONHandler(c.err, o)), nil
}

// serve runs a registry until ctx ends.
func serve(ctx context.Context, cfg *serveConfig, c *console) (err error) {
	if cfg.data == "" {
		dir, err := os.MkdirTemp("", "xlreg-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		cfg.data = filepath.Join(dir, "data")
	}
	node, err := openRegistryNode(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	st, err := openStore(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	h, err := host.Open(host.Config{
		Node: node, Store: st, Listen: cfg.listen, Public: cfg.public, IDLen: cfg.idLen,
		Protocols: cfg.protocols, MaxWait: cfg.maxWait, Limits: cfg.limits, Logger: cfg.log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := announce(h.Cred(), cfg, c); err != nil {
		return err
	}
	return h.Serve(ctx)
}
