package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/detach"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/keys"
)

// runFlags are the flags of run, as given.
type runFlags struct {
	members int
	size    int
	ticket  ticketFlags
	cluster string
	prefix  string
	dir     string
	wait    time.Duration
	quiet   bool

	program    programFlags
	ports      portFlags
	order      orderFlags
	lifeFlags  lifeFlags
	certLife   time.Duration
	key        string
	unverified bool
}

func (f *runFlags) register(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cli.Group(cmd, "What is started", f.registerStarted)
	cli.Group(cmd, "Where members listen", f.ports.register)
	cli.Group(cmd, "What comes first, and last", f.order.register)
	cli.Group(cmd, "How they live and end", f.lifeFlags.register)
	cli.Group(cmd, "What is kept", f.registerKept)
	cli.Group(cmd, "The cluster", f.registerCluster)
	cli.Group(cmd, "Keys and certificates", f.registerKeys)
	cli.Complete(cmd, "key", keyWords()...)
	cmd.ValidArgsFunction = cobra.FixedCompletions(recipe.Names(), cobra.ShellCompDirectiveNoFileComp)
}

func (f *runFlags) registerStarted(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&f.members, "members", "n", 0, "how many members to start: `N` (default the recipe's)")
	f.program.registerRun(cmd)
}

// programFlags are those about the program that is to be started.
type programFlags struct {
	recipe string
	env    []string
	files  []string
	secret string
	pass   bool

	members []string // of run alone
	roles   []string
	tls     string
	san     []string

	authority string
}

// register gives cmd the flags that run and join have.
func (f *programFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.recipe, "recipe", "", "use the recipe in `FILE`, or the one of that name among 'xlreg recipes'")
	flags.StringArrayVar(&f.env, "env", nil, "set `NAME=VALUE` in COMMAND's environment, VALUE being a template; repeatable")
	flags.StringArrayVar(&f.files, "file", nil, "write the file NAME into the member's directory, `NAME=TEMPLATE` or NAME=@PATH; repeatable")
	flags.StringVar(&f.secret, "secret-file", "", "read the secret that templates can use from `FILE`: 32 bytes in hex, the same for all members")
	flags.BoolVar(&f.pass, "pass-listeners", false, "pass the open ports to COMMAND, as systemd does (LISTEN_FDS)")
}

// registerTLS gives cmd the flags about certificates. Authorities differ.
func (f *programFlags) registerTLS(cmd *cobra.Command, ca string) {
	flags := cmd.Flags()
	flags.StringVar(&f.tls, "tls", "", "the `KIND` of certificates: self (each member signs its own), "+ca+" or none (default self, or the recipe's)")
	flags.StringVar(&f.authority, "authority", "", "have the certificates signed by the authority in `FILE`, which holds its certificate and private key in PEM; implies --tls ca")
	flags.StringSliceVar(&f.san, "san", nil, "a `NAME` or address to have in the certificates besides the members' own, with --tls ca; repeatable")
	cli.Complete(cmd, "tls", recipe.TLSSelf, recipe.TLSCA, recipe.TLSNone)
}

func (f *programFlags) registerRun(cmd *cobra.Command) {
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.members, "member", nil, "give some members another command, `INDEX[-TO]:CMD`, which sh -c runs; repeatable")
	flags.StringArrayVar(&f.roles, "role", nil, "give some members a role, `INDEX[-TO]=NAME`: it becomes their label role, and they get what the recipe has for it; repeatable")
}

// portFlags say where members listen.
type portFlags struct {
	ports   string
	base    int
	address string
}

func (f *portFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.ports, "ports", "", "how many `PORTS` each member has, or their names: peer,client or, with --address, http=8080 (default 1, or the recipe's)")
	flags.IntVar(&f.base, "port-base", 0, "take consecutive ports from `PORT` on (default any that are free)")
	flags.StringVar(&f.address, "address", "", "where members listen, `ADDRESS`: 127.0.0.N for one each, the first member's from which the others count on, or an interface such as eth0, whose address all of them have")
}

func (f *portFlags) tell(to *runplan.Flags) (err error) {
	to.Ports, to.PortBase, to.Address = f.ports, f.base, f.address
	nic, missing := net.InterfaceByName(f.address)
	_, noAddress := netip.ParseAddr(f.address)
	switch {
	case missing == nil:
		to.Host, err = addressOf(nic)
	case noAddress != nil && f.address != "" && f.address != recipe.EachAddress:
		err = cli.UsageError(fmt.Errorf("want %s with the letter N, the first member's IP address, or an interface of this machine", recipe.EachAddress))
	}
	if err != nil {
		return fmt.Errorf("--address %s: %w", f.address, err)
	}
	return nil
}

// orderFlags say what comes before and after what.
type orderFlags struct {
	first        bool
	ready        string
	readyTimeout time.Duration
	afterReady   string
	then         string
}

func (f *orderFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.first, "first", false, "start member 0 first, and the others when it is ready")
	flags.StringVar(&f.ready, "ready", "", "a member is ready when this `CHECK` passes: tcp[:PORT], http[s]:[PORT]/PATH, or a command for sh -c")
	flags.DurationVar(&f.readyTimeout, "ready-timeout", 0, fmt.Sprintf("how much `TIME` a member may take to get ready (default %v, or the recipe's)", run.DefaultReadyTimeout))
	flags.StringVar(&f.afterReady, "after-ready", "", "run `CMD` once, with sh -c, when all members are ready; the cluster stays")
	flags.StringVar(&f.then, "then", "", "run `CMD` with sh -c when all members are ready, end everything after it, and exit with its status")
}

func (f *orderFlags) tell(to *runplan.Flags) {
	to.First, to.Ready, to.ReadyTimeout, to.AfterReady, to.Then = f.first, f.ready, f.readyTimeout, f.afterReady, f.then
}

// lifeFlags say what happens to members that run.
type lifeFlags struct {
	keepGoing bool
	restart   string
	stop      time.Duration
	stopGiven func() bool // else the recipe's counts
	shared    []string
	logDir    string
	detach    bool
}

func (f *lifeFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.keepGoing, "keep-going", false, "go on with the others when a member that was ready ends")
	flags.StringVar(&f.restart, "restart", "", "restart a member that has failed, `on-failure[:N]`: at most N times in a row")
	f.stopGiven = func() bool { return flags.Changed("stop-timeout") }
	flags.DurationVar(&f.stop, "stop-timeout", 0, fmt.Sprintf("how much `TIME` members have to end before they are killed (default %v, or the recipe's)", run.DefaultGrace))
	flags.StringSliceVar(&f.shared, "shared", nil, "the `NAME` of a program, such as epmd, that one member starts for all and that stays until the run ends; repeatable")
}

// lifeOptions are lifeFlags, checked.
type lifeOptions struct {
	*lifeFlags
	again   run.Restart
	starter *detach.Starter // of a process that goes on in the background; nil: this one does not
}

func (f *lifeFlags) parse(r *runFlags) (o lifeOptions, err error) {
	switch {
	case f.stopGiven() && f.stop <= 0:
		return o, cli.UsageError(fmt.Errorf("--stop-timeout %v: want more than 0", f.stop))
	case f.detach && r.dir == "":
		return o, cli.UsageError(errors.New("--detach needs --dir DIR, where the run is found again"))
	case f.detach && r.ticket.line == "-":
		return o, cli.UsageError(errors.New("--ticket - is read from standard input, which a run in the background does not have: give --ticket-file FILE"))
	case f.detach && r.order.then != "":
		return o, cli.UsageError(errors.New("with --detach nobody waits for the end of --then: leave one of them out"))
	}
	o.lifeFlags = f
	if o.again, err = parseRestart(f.restart); err != nil {
		return o, cli.UsageError(fmt.Errorf("--restart %s: %w", f.restart, err))
	}
	return o, nil
}

func parseRestart(text string) (r run.Restart, err error) {
	word, most, bounded := strings.Cut(text, ":")
	switch {
	case text == "":
		return r, nil
	case word != "on-failure":
		return r, errors.New("want on-failure or on-failure:N")
	case bounded:
		if r.Most, err = strconv.Atoi(most); err != nil || r.Most < 1 {
			return r, errors.New("want on-failure:N, where N is how often in a row")
		}
	}
	r.OnFailure = true
	return r, nil
}

func (f *runFlags) registerKept(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "", "keep the members, their ports and their files in `DIR` (default a temporary directory)")
	flags.StringVar(&f.lifeFlags.logDir, "log-dir", "", "write what each member prints to `DIR`/NAME.log (default logs in --dir)")
	flags.BoolVar(&f.lifeFlags.detach, "detach", false, "go on in the background, once all members are ready")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing but errors, and deaths after which the run goes on")
}

func (f *runFlags) registerCluster(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntVar(&f.size, "size", 0, "how many `MEMBERS` the cluster has, if others are started elsewhere (default N)")
	flags.StringVar(&f.cluster, "cluster", "", "the cluster's `NAME` (default a new one)")
	flags.StringVar(&f.prefix, "prefix", "m", "members are named `PREFIX`0, PREFIX1 and so on")
	flags.DurationVar(&f.wait, "wait", formTime, "how much `TIME` to wait for all members")
	f.ticket.register(cmd)
}

func (f *runFlags) registerKeys(cmd *cobra.Command) {
	f.program.registerTLS(cmd, "ca (an authority made for this run signs them)")
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "the `KIND` of new members' keys: p256, rsa2048, rsa3072 or rsa4096 (default p256, over classic protocols rsa2048)")
	addCertLife(cmd, &f.certLife)
	flags.BoolVar(&f.unverified, "allow-unverified", false, "start COMMAND without TLS if a member came over a classic carrier")
}

// check looks at what the flags say of the cluster and its members.
func (f *runFlags) check(g *globals) (*runOptions, error) {
	o := &runOptions{runFlags: f, size: max(f.size, f.members), cluster: xlreg.Name(f.cluster)}
	switch {
	case f.members == 0:
		return nil, cli.UsageError(errors.New("say how many members to start with -n N, and after -- which COMMAND; or name a recipe, as 'xlreg recipes' lists them"))
	case f.members < 0 || f.members > xlreg.MaxClusterSize:
		return nil, cli.UsageError(fmt.Errorf("-n %d: want 1 to %d", f.members, xlreg.MaxClusterSize))
	case f.size != 0 && f.size < f.members:
		return nil, cli.UsageError(fmt.Errorf("--size %d: is less than -n %d", f.size, f.members))
	}
	if err := checkCertLife(f.certLife); err != nil {
		return nil, err
	}
	var err error
	if o.keys, err = g.memberKeys(f.key); err != nil {
		return nil, err
	}
	if err := checkFormWait(f.wait); err != nil {
		return nil, err
	}
	if err := f.name(f.members - 1).Validate(); err != nil { // which is the longest
		return nil, cli.UsageError(fmt.Errorf("--prefix: %w", err))
	}
	if f.ticket.has(g, nil) {
		return o, f.checkTicket(g)
	}
	return o, f.checkOpen(g, o)
}

// checkOpen looks at the flags of a run without a ticket.
func (f *runFlags) checkOpen(g *globals, o *runOptions) error {
	if !o.isAlone() {
		if err := g.checkSize(o.size); err != nil {
			return err
		}
	}
	switch {
	case o.size > f.members && f.cluster == "":
		return cli.UsageError(errors.New("--size needs --cluster NAME: those elsewhere must know which cluster"))
	case o.size > f.members && g.Registry == "":
		return cli.UsageError(errors.New("--size needs --registry FILE|URL: those elsewhere cannot join at the registry of this run"))
	}
	if o.cluster != "" && o.cluster.Validate() != nil {
		return cli.UsageError(fmt.Errorf("--cluster: %w", o.cluster.Validate()))
	}
	return nil
}

// checkTicket looks at the flags of a run with a ticket, which names the cluster.
func (f *runFlags) checkTicket(g *globals) error {
	if f.cluster != "" {
		return cli.UsageError(errors.New("--cluster: the ticket names the cluster: leave it out"))
	}
	if g.Protocol.Classic() {
		return cli.UsageError(fmt.Errorf("--ticket: %w", client.ErrNeeds20))
	}
	return nil
}

// name returns that of the member i.
func (f *runFlags) name(i int) xlreg.Name { return xlreg.Name(fmt.Sprintf("%s%d", f.prefix, i)) }

// memberKeys reads the flag. Keys on P-256 are made in no time, and classic protocols know
// only RSA.
func (g *globals) memberKeys(word string) (c keyChoice, err error) {
	switch {
	case word != "":
	case g.Protocol.Classic():
		word = defaultKey
	default:
		word = "p256"
	}
	c.kind, c.bits, err = keys.ParseChoice(word)
	if err != nil {
		return c, cli.UsageError(fmt.Errorf("--%w", err))
	}
	if c.kind != keys.RSA && g.Protocol.Classic() {
		return c, cli.UsageError(fmt.Errorf("--key %s: classic protocols need RSA: want rsa2048, rsa3072 or rsa4096", word))
	}
	return c, nil
}

// addCertLife gives cmd the flag of those that make nodes.
func addCertLife(cmd *cobra.Command, life *time.Duration) {
	cmd.Flags().DurationVar(life, "cert-life", 0, "`TIME` for which the certificates of a new node are valid (default 2160h, which is 90 days)")
}

// checkCertLife refuses lives that no certificate is given; 0 is the default.
func checkCertLife(life time.Duration) error {
	const shortest = 2 * time.Hour
	if life != 0 && life < shortest {
		return cli.UsageError(fmt.Errorf("--cert-life %v: want at least %v", life, shortest))
	}
	return nil
}

func checkFormWait(wait time.Duration) error {
	if wait <= 0 {
		return cli.UsageError(fmt.Errorf("--wait %v: want more than 0", wait))
	}
	return nil
}

// errOtherRun says that a cluster cannot be shared in the way that was asked for.
var errOtherRun = errors.New("that cluster is in use by another run: wait for its end, choose another --cluster, or share it with another --prefix and a --size for both")

// explainShared adds what to do when another run has the cluster of that name.
func explainShared(err error) error {
	if slices.ContainsFunc([]error{xlreg.ErrMemberNameInUse, xlreg.ErrClusterFull}, func(kind error) bool { return errors.Is(err, kind) }) {
		return fmt.Errorf("%w (%w)", errOtherRun, err)
	}
	return err
}
