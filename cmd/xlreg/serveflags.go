package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/stores"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/registry"
)

// serveFlags are the flags of serve, as given.
type serveFlags struct {
	data      string
	listen    []string
	public    []string
	name      string
	importDir string
	ephemeral bool
	dev       bool
	newData   bool
	store     string
	stores    stores.Options
	health    string
	idBits    int
	keyBits   int
	carriers  []string
	maxWait   time.Duration
	logLevel  string
	limits    guard.Limits
	leases    leaseFlags
	proxyFrom []string
	observe   observeFlags
	admin     adminFlags

	configFile, admitFile string
	formerUntil           day
}

// leaseFlags are for how long what is kept is kept.
type leaseFlags struct {
	least, most time.Duration
	forget      orNever
}

// orNever is a flag for a time that may be 0, which is never.
type orNever time.Duration

// String implements pflag.Value.
func (n *orNever) String() string { return time.Duration(*n).String() }

// Set implements pflag.Value.
func (n *orNever) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("want 0 or more")
	}
	*n = orNever(d)
	return err
}

// Type implements pflag.Value.
func (n *orNever) Type() string { return "time" }

// forget returns the time in the form of host.Config.
func (n orNever) forget() time.Duration {
	if n == 0 {
		return -1
	}
	return time.Duration(n)
}

// serveConfig is what serve runs on: the flags, checked.
type serveConfig struct {
	data        string // empty: a temporary directory
	listen      []string
	listenGiven bool
	public      []xlreg.Endpoint
	name        xlreg.Name
	nameGiven   bool
	importDir   string // empty: none
	ephemeral   bool
	dev         bool
	newData     bool
	store       string // URL of a store that others share; empty: a file in data
	stores      stores.Options
	health      string // address to answer on whether clients are served; empty: none
	idLen       int
	keyBits     int
	protocols   []xlreg.Protocol
	maxWait     time.Duration
	limits      guard.Limits
	leases      leaseFlags
	proxyFrom   []netip.Prefix
	observe     observeFlags
	admin       adminFlags
	log         *slog.Logger
	level       *slog.LevelVar // of log
	admitFile   string         // empty: all may register
	formerUntil time.Time      // zero: as long as the old key vouches for the present one
	admitted    *admitted
	settings    *settings      // where the flags came from
	flags       *pflag.FlagSet // all of them, as they are set
}

func (f *serveFlags) register(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	f.define(cmd.Flags())
	cli.Complete(cmd, "log-level", "debug", "info", "warn", "error")
	cli.Complete(cmd, "id-bits", "256", "160")
	cli.Complete(cmd, "key-bits", "2048", "3072", "4096")
	cli.Complete(cmd, "carriers", "2.0", "2.0,1.9,1.8")
}

func (f *serveFlags) define(flags *pflag.FlagSet) {
	flags.StringVar(&f.data, "data", "", "`DIR` for keys, data and regCred.dat; made if it does not exist")
	flags.StringSliceVar(&f.listen, "listen", []string{":" + strconv.Itoa(xlreg.DefaultPort)}, "`ADDR` to listen on, repeatable; port 0 takes a free one")
	flags.StringSliceVar(&f.public, "public", nil, "`HOST:PORT` where clients find the registry, repeatable (default the addresses it listens on)")
	flags.StringVar(&f.importDir, "import", "", "at the first start, take over the identity of the original registry whose .xlattice `DIR` this is")
	flags.StringVar(&f.name, "name", "xlReg", "the registry's `NAME`, at the first start")
	flags.BoolVar(&f.ephemeral, "ephemeral", false, "keep nodes and clusters in memory only")
	flags.BoolVar(&f.dev, "dev", false, "for trying out: ephemeral, on loopback, on a free port")
	flags.BoolVar(&f.newData, "new-data", false, "start without nodes and clusters because the data is lost; a damaged file is kept under another name")
	flags.StringVar(&f.store, "store", "", "`URL` of an etcd or a PostgreSQL that several servers share, which are one registry: etcd://HOST:PORT,…/PREFIX or postgres://USER@HOST:PORT/DATABASE")
	f.stores.Register(flags)
	flags.StringVar(&f.health, "health", "", "`ADDR` to answer on whether clients are served, at /healthz")
	flags.IntVar(&f.idBits, "id-bits", 256, "size of new IDs in `BITS`: 256 or 160")
	flags.IntVar(&f.keyBits, "key-bits", 2048, "size of the registry's keys in `BITS`, at the first start: 2048, 3072 or 4096")
	flags.StringSliceVar(&f.carriers, "carriers", []string{"2.0", "1.9", "1.8"}, "the `GENERATIONS` to speak")
	flags.StringVar(&f.logLevel, "log-level", "info", "`LEVEL` to log from: debug, info, warn or error")
	flags.DurationVar(&f.maxWait, "max-wait", xlreg.DefaultMaxWait, "`TIME` that one request may wait for a cluster to fill")
	flags.StringSliceVar(&f.proxyFrom, "proxy-from", nil, "`CIDR` of load balancers, repeatable: they must use version 2 of the PROXY protocol, and nobody else is believed")
	f.admin.register(flags)
	f.observe.register(flags)
	flags.StringVar(&f.admitFile, "admit-file", "", "`FILE` with the keys of the nodes that may register, a fingerprint or public key on each line (default all may)")
	flags.StringVar(&f.configFile, "config", "", "`FILE` that sets flags, as XLREG_NAME=value on each line; the command line and the environment come first")
	flags.Var(&f.formerUntil, "former-key-until", "`DATE` from which clients that know only the registry's keys before the present ones are refused (default when 'registry next-key' said)")
	f.registerLimits(flags)
	f.registerLeases(flags)
}

func (f *serveFlags) registerLimits(flags *pflag.FlagSet) {
	d := guard.DefaultLimits()
	l := &f.limits
	flags.IntVar(&l.Connections, "max-connections", d.Connections, "maximum of connections open at once, `N`")
	flags.IntVar(&l.ConnectionsPerAddress, "max-connections-per-address", d.ConnectionsPerAddress, "maximum of connections from one IPv4 address or IPv6 /64, `N`")
	flags.IntVar(&l.ConnectionsLoopback, "max-connections-loopback", d.ConnectionsLoopback, "the same for each loopback address, `N`")
	flags.IntVar(&l.NodesPerMinute, "new-nodes-per-minute", d.NodesPerMinute, "new nodes from one address, `N`")
	flags.IntVar(&l.ClustersPerMinute, "new-clusters-per-minute", d.ClustersPerMinute, "new clusters from one address, `N`")
	flags.IntVar(&l.LoopbackPerMinute, "new-per-minute-loopback", d.LoopbackPerMinute, "new nodes, and new clusters, from each loopback address, `N`")
	flags.IntVar(&l.WritesPerMinute, "writes-per-minute", d.WritesPerMinute, "writes from one address, each of up to 4 KiB, `N`")
	flags.DurationVar(&l.WriteBurst, "write-burst", d.WriteBurst, "`TIME` whose worth of writes one address may make at once")
	flags.IntVar(&l.WritesPerMinuteLoopback, "writes-per-minute-loopback", d.WritesPerMinuteLoopback, "the same from each loopback address, `N`")
	flags.IntVar(&l.WritesPerMinuteTotal, "writes-per-minute-total", d.WritesPerMinuteTotal, "the same from all addresses but loopback, `N`")
	flags.IntVar(&l.ReadMiBPerMinute, "read-mib-per-minute", d.ReadMiBPerMinute, "what one address may read, `MIB`")
	flags.IntVar(&l.ReadMiBPerMinuteLoopback, "read-mib-per-minute-loopback", d.ReadMiBPerMinuteLoopback, "the same for each loopback address, `MIB`")
	flags.IntVar(&l.Nodes, "max-nodes", d.Nodes, "maximum of nodes, `N`")
	flags.IntVar(&l.Clusters, "max-clusters", d.Clusters, "maximum of clusters, `N`")
	flags.IntVar(&l.DataMiB, "max-data-mib", d.DataMiB, "maximum of data, `MIB`")
	flags.DurationVar(&l.Hello, "hello-timeout", d.Hello, "`TIME` for a connection to say hello; the rest of a TLS handshake has three times as long")
	flags.DurationVar(&l.CrowdedHello, "crowded-hello-timeout", d.CrowdedHello, "the same `TIME`, while most connections have not said hello")
	flags.DurationVar(&l.Message, "message-timeout", d.Message, "`TIME` between two bytes of a message")
	flags.DurationVar(&l.Idle, "idle-timeout", d.Idle, "`TIME` between two messages")
	flags.DurationVar(&l.Write, "write-timeout", d.Write, "`TIME` in which the peer must take a byte of an answer")
}

func (f *serveFlags) registerLeases(flags *pflag.FlagSet) {
	l := &f.leases
	l.forget = orNever(registry.DefaultForget)
	flags.DurationVar(&l.least, "min-lease", registry.DefaultMinLease, "least `TIME` that a member's lease lasts")
	flags.DurationVar(&l.most, "max-lease", registry.DefaultMaxLease, "most `TIME` that a member's lease lasts")
	flags.Var(&l.forget, "forget", "`TIME` after which nodes without a seat and clusters without members that nobody has asked for are forgotten; 0 is never")
}

// config checks the flags and returns what to run on.
func (f *serveFlags) config(flags *pflag.FlagSet, c *cli.Console) (*serveConfig, error) {
	cfg := &serveConfig{
		listen: f.listen, listenGiven: flags.Changed("listen"), nameGiven: flags.Changed("name"), importDir: f.importDir, ephemeral: f.ephemeral || f.dev, dev: f.dev, newData: f.newData,
		store: f.store, stores: f.stores, health: f.health,
		admitFile: f.admitFile, formerUntil: time.Time(f.formerUntil), idLen: f.idBits / 8, keyBits: f.keyBits, maxWait: f.maxWait, limits: f.limits, leases: f.leases,
	}
	if f.dev && !flags.Changed("listen") {
		cfg.listen = []string{"127.0.0.1:0"}
	}
	if f.data == "" && !cfg.ephemeral {
		return nil, errors.New("say where to keep the data with --data DIR, or that it is not kept with --ephemeral")
	}
	if f.newData && cfg.ephemeral {
		return nil, errors.New("--new-data: the data are not kept, so there are none to begin anew")
	}
	if err := f.checkStore(); err != nil {
		return nil, err
	}
	if err := f.admin.check(); err != nil {
		return nil, err
	}
	cfg.observe = f.observe
	cfg.admin = f.admin.with(f.dev && !flags.Changed("http"))
	if len(cfg.listen) == 0 {
		return nil, errors.New("--listen: want at least one address")
	}
	if err := f.checkSizes(flags); err != nil {
		return nil, err
	}
	var err error
	if cfg.data, err = absolute(f.data); err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	if cfg.name, err = xlreg.ParseName(f.name); err != nil {
		return nil, fmt.Errorf("--name: %w", err)
	}
	if cfg.public, err = parseEndpoints("public", f.public); err != nil {
		return nil, err
	}
	if cfg.proxyFrom, err = parseNetworks("proxy-from", f.proxyFrom); err != nil {
		return nil, err
	}
	if cfg.protocols, err = cli.ParseCarriers(f.carriers); err != nil {
		return nil, err
	}
	cfg.log, cfg.level, err = newLogger(c, f.logLevel)
	return cfg, err
}

// checkStore checks what is said of a store that others share.
func (f *serveFlags) checkStore() error {
	switch {
	case f.store == "" && f.stores.Given():
		return errors.New("--store-ca, --store-cert, --store-key, --store-user and --store-password-file are for --store")
	case f.store == "":
		return nil
	case f.ephemeral || f.dev:
		return errors.New("--store keeps nodes and clusters, --ephemeral and --dev do not: leave one of them out")
	case f.newData:
		return errors.New("--new-data is for a lost file, not for --store: give another prefix or database to begin anew")
	}
	if err := stores.Check(f.store, &f.stores); err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	return nil
}

// parseNetworks reads networks; a single address is one, too.
func parseNetworks(flag string, given []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, 0, len(given))
	for _, text := range given {
		network, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("--%s %q: want an address or a network such as 10.0.0.0/8", flag, text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// absolute makes dir good for the log, whatever folder its reader is in.
func absolute(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	return filepath.Abs(dir)
}

func (f *serveFlags) checkSizes(flags *pflag.FlagSet) error {
	if f.idBits != 8*xlreg.LongIDLen && f.idBits != 8*xlreg.ShortIDLen {
		return fmt.Errorf("--id-bits %d: want 256 or 160", f.idBits)
	}
	if err := checkKeyBits("key-bits", f.keyBits); err != nil {
		return err
	}
	if f.leases.least > f.leases.most {
		return fmt.Errorf("--min-lease %v: want no more than --max-lease %v", f.leases.least, f.leases.most)
	}
	return cli.CheckPositive(flags)
}

// newLogger logs for people on a terminal, and JSON for machines elsewhere. The level can
// be changed afterwards.
func newLogger(c *cli.Console, level string) (*slog.Logger, *slog.LevelVar, error) {
	l := new(slog.LevelVar)
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	if cli.IsTerminal(c.Err) {
		return slog.New(slog.NewTextHandler(c.Err, o)), l, nil
	}
	return slog.New(slog.NewJSONHandler(c.Err, o)), l, nil
}

// fitOpenFiles lowers the limits on connections to what the system allows, since
// beyond that no connection can even be refused.
func (cfg *serveConfig) fitOpenFiles(allowed int, known bool) {
	l := &cfg.limits
	if !known || l.Connections+l.Refusals()+cli.SpareFiles <= allowed {
		return
	}
	fit := max(1, (allowed-cli.SpareFiles)*15/16) // the others are for refusals
	cfg.log.Warn("too few files may be open for so many connections: raise it with ulimit -n",
		"open_files", allowed, "max_connections", l.Connections, "lowered_to", fit)
	cfg.lowerConnections(fit)
}

// What a registry needs of memory: docs/operate says so.
const (
	ownMemory        = 64 << 20
	connectionMemory = 128 << 10
)

// fitMemory lowers the limits on connections to what fits into memory, since beyond
// that strangers could have the system end the registry. Data that is kept in memory
// may have a quarter of it, and connections the rest.
func (cfg *serveConfig) fitMemory(allowed int64, by string) {
	l := &cfg.limits
	if by == "" {
		return
	}
	left := allowed - ownMemory
	if cfg.ephemeral {
		l.DataMiB = min(l.DataMiB, max(1, int(allowed>>20/4)))
		left -= int64(l.DataMiB) << 20
	}
	fit := max(1, int(left/connectionMemory))
	if l.Connections <= fit {
		return
	}
	cfg.log.Warn("too little memory for so many connections",
		"memory_mib", allowed>>20, "by", by, "max_connections", l.Connections, "lowered_to", fit)
	cfg.lowerConnections(fit)
}

func (cfg *serveConfig) lowerConnections(fit int) {
	l := &cfg.limits
	l.Connections = fit
	l.ConnectionsLoopback = min(l.ConnectionsLoopback, max(1, fit*3/4)) // as in the defaults
}
