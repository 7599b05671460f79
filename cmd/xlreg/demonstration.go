package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/ticket"
)

// demonstration is a demo under way. What it opens is closed in reverse order.
type demonstration struct {
	*globals
	registry  *identity.Node
	nodes     []*identity.Node // of those who become members
	listeners []net.Listener   // where they are reached
	stranger  *identity.Node   // has no ticket
	impostor  *identity.Node   // says that it is the first member, and has another key

	owner, invite *ticket.Ticket
	members       []*client.Membership
	refused       error         // what the stranger was told
	strangers     chan error    // why the second member has refused a peer
	pause         time.Duration // after each row, for people to see them come
	closers       []func() error
	work          sync.WaitGroup // what goes on until it is done, or closed
}

// newDemonstration makes the keys. Those of the registry are RSA, and the only ones that
// take time.
func (g *globals) newDemonstration(ctx context.Context, n int) (*demonstration, error) {
	line := cli.NewStatusLine(g.Console)
	defer line.End()
	line.Show("making keys")
	return cli.Interruptible(ctx, func() (*demonstration, error) {
		d := &demonstration{globals: g, strangers: make(chan error, 1), pause: g.demoPause(n)}
		var err error
		if d.registry, err = identity.NewNode(identity.Options{Name: "demo"}); err != nil {
			return nil, err
		}
		for i := range n + 2 {
			node, err := identity.NewNode(identity.Options{Name: demoName(i, n), Kind: keys.P256})
			if err != nil {
				return nil, err
			}
			d.nodes = append(d.nodes, node)
		}
		d.stranger, d.impostor, d.nodes = d.nodes[n], d.nodes[n+1], d.nodes[:n]
		return d, nil
	})
}

// demoName returns the name of the node i: of a member, of the stranger, or of the
// impostor, who says that it is the first member.
func demoName(i, n int) xlreg.Name {
	switch i {
	case n:
		return "stranger"
	case n + 1:
		return "m0"
	}
	return xlreg.Name(fmt.Sprintf("m%d", i))
}

// demoPause is how long to wait after each row of the table. The members are there sooner
// than anybody could see: on a terminal they are shown one by one, within a moment for
// all of them.
func (g *globals) demoPause(n int) time.Duration {
	const each, all = 60 * time.Millisecond, 400 * time.Millisecond
	if g.Output != "table" || !cli.HasLine(g.Out) {
		return 0
	}
	return min(each, all/time.Duration(n))
}

func (d *demonstration) onClose(f func() error) { d.closers = append(d.closers, f) }

func (d *demonstration) close() error {
	var errs []error
	for _, f := range slices.Backward(d.closers) {
		errs = append(errs, f())
	}
	d.work.Wait()
	return errors.Join(errs...)
}

// say writes to people, unless they have asked for the roster alone, as scripts do.
func (d *demonstration) say(format string, args ...any) error {
	if d.Output != "table" {
		return nil
	}
	_, err := fmt.Fprintf(d.Out, format, args...)
	return err
}

// open starts the registry, and makes the tickets.
func (d *demonstration) open(context.Context) error {
	running, err := host.Start(host.Config{Node: d.registry, Store: memory.New()})
	if err != nil {
		return err
	}
	d.onClose(running.Close)
	target, err := regcred.NewTarget(running.Cred())
	if err != nil {
		return err
	}
	if d.owner, err = ticket.NewOwner(target, "demo", len(d.nodes), 1); err != nil {
		return err
	}
	if d.invite, err = d.owner.NewInvite(0, time.Time{}); err != nil {
		return err
	}
	return d.say("A registry listens at %s.\n\n", view.Endpoints(running.Cred().Endpoints))
}

// form lets the nodes join, each shown as it comes, and waits until all of them know all.
// The stranger comes while a seat is still free.
func (d *demonstration) form(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx) // nobody goes on if one fails
	defer cancel()
	d.members = make([]*client.Membership, len(d.nodes))
	ended := make(chan error, len(d.nodes))
	begun := time.Now()
	var paused time.Duration
	for i := range d.nodes {
		if i == len(d.nodes)-1 {
			if err := d.tryStranger(ctx); err != nil {
				return err
			}
		}
		if err := d.join(ctx, i, ended); err != nil {
			return err
		}
		if err := d.row(i); err != nil {
			return err
		}
		paused += d.pause
		if err := pause(ctx, d.pause); err != nil {
			return err
		}
	}
	for range d.nodes {
		if err := <-ended; err != nil {
			return err
		}
	}
	return d.say("\nThey are the cluster demo, formed in %v.\n", (time.Since(begun) - paused).Round(100*time.Microsecond))
}

// join starts one node on its way and returns when it has its seat. What comes of it is
// sent to ended.
func (d *demonstration) join(ctx context.Context, i int, ended chan<- error) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.onClose(func() error { return closeListener(l) })
	d.listeners = append(d.listeners, l)
	seated, failed := make(chan struct{}, 1), make(chan error, 1)
	o := client.FormOptions{
		Options: client.Options{Node: d.nodes[i]}, Listeners: []net.Listener{l},
		Joined: func(xlreg.Cluster) {
			select {
			case seated <- struct{}{}:
			default: // it was told again, since the registry had to be asked again
			}
		},
	}
	by := d.invite
	if i == 0 {
		by = d.owner // creates the cluster
	}
	if i == 1 {
		o.Logger = slog.New(troubles{d.noteStranger})
	}
	d.work.Go(func() {
		var err error
		if d.members[i], err = client.Form(ctx, by, o); err != nil {
			err = fmt.Errorf("member %s: %w", d.nodes[i].Name(), err)
			failed <- err
		}
		ended <- err
	})
	select {
	case <-seated:
		return nil
	case err := <-failed:
		return err
	}
}

// closeListener closes one that may be closed already, with what was put on top of it.
func closeListener(l net.Listener) error {
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// row shows a member that has joined. The columns are as wide as what can be in them.
func (d *demonstration) row(i int) error {
	wide := max(len("NAME"), len(d.nodes[len(d.nodes)-1].Name()))
	if i == 0 {
		if err := d.say("%-*s  %-15s  %s\n", wide, "NAME", "ADDRESS", "KEY"); err != nil {
			return err
		}
	}
	print, err := keys.Fingerprint(d.nodes[i].Keys().SigKey)
	if err != nil {
		return err
	}
	return d.say("%-*s  %-15s  %.16s…\n", wide, d.nodes[i].Name(), d.listeners[i].Addr(), print)
}

// compare holds the members' rosters against each other.
func (d *demonstration) compare(context.Context) error {
	first := d.members[0].Roster()
	for _, m := range d.members {
		if err := sameRoster(first, m.Roster()); err != nil {
			return err
		}
	}
	return d.say("Each of the %d has the names, addresses and keys of all,\nand has verified them:\nsum %s.\n\n", len(d.members), first.ShortSum())
}

// greet has the first member say something to the second, each having made sure who the
// other is.
func (d *demonstration) greet(ctx context.Context) error {
	l, err := d.members[1].Listen(d.listeners[1])
	if err != nil {
		return err
	}
	d.onClose(l.Close)
	answered := make(chan error, 1)
	d.work.Go(func() { answered <- answerGreeting(l) })
	c, err := d.members[0].Dial(ctx, d.nodes[1].Name())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(demoTime))
	if _, err := fmt.Fprintf(c, "hello %s\n", c.Member().Token.Name); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err = errors.Join(err, <-answered); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	return d.say("m0 greets m1 over mutual TLS. m1 answers:\n  %s", answer)
}

// answerGreeting answers one member, by the name that its certificate proves.
func answerGreeting(l net.Listener) error {
	nc, err := l.Accept()
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(demoTime))
	if _, err := bufio.NewReader(nc).ReadString('\n'); err != nil {
		return err
	}
	from := nc.(*client.Conn).Member() // which is what Listen accepts
	_, err = fmt.Fprintf(nc, "hello %s, I know your key\n", from.Token.Name)
	return err
}

// tryStranger has a node ask for a seat without having been invited. It knows the
// cluster's key, which is no secret.
func (d *demonstration) tryStranger(ctx context.Context) error {
	c, err := client.Dial(ctx, d.owner.Target(), client.Options{Node: d.stranger})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Register(ctx); err != nil {
		return err
	}
	if _, d.refused = c.JoinWith(ctx, client.JoinOptions{Cluster: d.owner.Ref()}); d.refused == nil {
		return errors.New("the registry has given a stranger a seat")
	}
	return nil
}

// showStrangers says what became of those who do not belong to the cluster.
func (d *demonstration) showStrangers(ctx context.Context) error {
	why, err := d.tryImpostor(ctx)
	if err != nil {
		return err
	}
	if err := d.say("A stranger without the invite asks for a seat.\nThe registry refuses:\n  %s\n", lastPart(d.refused)); err != nil {
		return err
	}
	return d.say("Another claims to be m0, with a key of its own. m1 refuses:\n  %s\n", lastPart(why))
}

// tryImpostor connects to the second member in the name of the first, and returns why it
// was refused.
func (d *demonstration) tryImpostor(ctx context.Context) (why error, err error) {
	der, err := d.impostor.Certificate(time.Now())
	if err != nil {
		return nil, err
	}
	dialer := tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, //nolint:gosec // it is the one that is not to be trusted
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: d.impostor.Keys().Sig.Signer()}},
	}}
	nc, err := dialer.DialContext(ctx, "tcp", d.listeners[1].Addr().String())
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(demoTime))
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		return nil, errors.New("a member has talked to an impostor")
	}
	select {
	case why := <-d.strangers:
		return why, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// noteStranger keeps why a peer was refused, if it is the first.
func (d *demonstration) noteStranger(why error) {
	if !errors.Is(why, client.ErrPeerRefused) {
		return
	}
	select {
	case d.strangers <- why:
	default:
	}
}

// lastPart returns what an error ends with: the reason, without what was tried. It is
// broken into lines that fit into a narrow terminal.
func lastPart(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return strings.NewReplacer("; ", ";\n  ", ", ", ",\n  ", ": ", ":\n  ").Replace(oneLine(err))
}
