package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// long reports whether there are minutes to spend.
func long() bool { return os.Getenv("XLREG_LONG") != "" }

// network lies between members and a real registry, all of them in one bubble of
// testing/synctest, and so with the times that they have by default.
type network struct {
	t        *testing.T
	lines    sync.WaitGroup
	port     int
	registry *registryFor
	target   *regcred.Target
	calls    chan net.Conn
	closed   chan struct{}

	mu   sync.Mutex
	hole chan struct{} // guarded by mu: closed when new connections pass again; nil if they do
	dead chan struct{} // guarded by mu: closed when the connections of now carry nothing any more
	open []net.Conn    // guarded by mu: the middle of each line that there was
	gone bool          // guarded by mu: it was killed
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	return newNetworkTo(t, 9, "", memory.New())
}

// newNetworkTo leads to one of the servers that share the data, at the given port.
func newNetworkTo(t *testing.T, port int, id records.ServerID, data store.Store) *network {
	t.Helper()
	return newNetworkOf(t, testKeys()[0], port, id, data)
}

// newNetworkOf is newNetworkTo for a registry with these keys.
func newNetworkOf(t *testing.T, set *keys.Set, port int, id records.ServerID, data store.Store) *network {
	t.Helper()
	n := &network{t: t, port: port, calls: make(chan net.Conn), closed: make(chan struct{}), dead: make(chan struct{})}
	r, err := serveWith(set, id, n, data)
	if err != nil {
		t.Fatal(err)
	}
	n.registry = &registryFor{running: r, t: t, dialer: n.cable()}
	n.target = n.registry.target()
	t.Cleanup(func() {
		if err := r.stop(); err != nil && !n.wasKilled() {
			t.Error(err)
		}
		n.lines.Wait()
	})
	return n
}

// Accept, Close and Addr are the registry's net.Listener.
func (n *network) Accept() (net.Conn, error) {
	select {
	case nc := <-n.calls:
		return nc, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.closed:
	default:
		close(n.closed)
	}
	return nil
}

func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.port} }

// kill ends all connections, and there are no new ones, as if the server's machine were gone.
func (n *network) kill() {
	_ = n.Close() // always nil
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = true
	for _, nc := range n.open {
		nc.Close()
	}
}

func (n *network) wasKilled() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gone
}

// freeze keeps all connections open and lets nothing through any more.
func (n *network) freeze() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.dead)
	n.dead = make(chan struct{})
}

// cutOff is freeze, and for a time there are no new connections either.
func (n *network) cutOff(d time.Duration) {
	n.freeze()
	n.mu.Lock()
	defer n.mu.Unlock()
	hole := make(chan struct{})
	n.hole = hole
	time.AfterFunc(d, func() { close(hole) })
}

// filter is what becomes of bytes that pass a line: those that it returns go on, and
// then, if it says so, the line is cut.
type filter func(b []byte) (pass []byte, cut bool)

// cable leads one member to the registry.
type cable struct {
	*network
	chunk int
	// filters are for the next connection, in either direction. Nil lets all pass.
	filters func() (up, down filter)
}

func (n *network) cable() *cable { return &cable{network: n, chunk: 4 << 10} }

// DialContext implements client.ContextDialer.
func (c *cable) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	c.mu.Lock()
	hole, dead := c.hole, c.dead
	c.mu.Unlock()
	if hole != nil {
		select {
		case <-hole:
			c.mu.Lock()
			dead = c.dead
			c.mu.Unlock()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	near, mine := net.Pipe()
	theirs, far := net.Pipe()
	select {
	case c.calls <- far:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.closed:
		return nil, errRefused
	}
	c.mu.Lock()
	if c.open = append(c.open, mine, theirs); c.gone {
		mine.Close()
		theirs.Close()
	}
	c.mu.Unlock()
	up, down := filter(nil), filter(nil)
	if c.filters != nil {
		up, down = c.filters()
	}
	c.lines.Go(func() { c.carry(theirs, mine, up, dead) })
	c.lines.Go(func() { c.carry(mine, theirs, down, dead) })
	return near, nil
}

// carry moves bytes until the line is cut or dead. What comes on a dead line is lost, and
// its other end does not hear of a close.
func (c *cable) carry(to, from net.Conn, f filter, dead <-chan struct{}) {
	b := make([]byte, c.chunk)
	for {
		n, err := from.Read(b)
		select {
		case <-dead:
			if err != nil {
				return
			}
			continue
		default:
		}
		pass, cut := b[:n], false
		if f != nil {
			pass, cut = f(pass)
		}
		_, lost := to.Write(pass)
		if err != nil || lost != nil || cut {
			to.Close()
			from.Close()
			return
		}
	}
}

// formOn has member i of n form the cluster c.
func (c *cable) formOn(ctx context.Context, p xlreg.Protocol, i, n int, change func(*client.FormOptions)) error {
	o := client.FormOptions{
		Options: client.Options{Node: newNodeOf(c.t, keysFor(p, i), fmt.Sprintf("m%d", i), "127.0.0.1:4001"), Protocol: p, Dialer: c},
		Cluster: clusterC, Size: n,
	}
	if change != nil {
		change(&o)
	}
	m, err := client.Form(ctx, c.target, o)
	if err == nil && len(m.Roster().Members) != n {
		err = fmt.Errorf("%d members", len(m.Roster().Members))
	}
	if err != nil {
		return fmt.Errorf("m%d: %w", i, err)
	}
	return nil
}

// whole is the size of the clusters that are cut.
const whole = 13

// TestFormPastACut cuts each member's first connection after every so many bytes of the
// registry, and wants the formation to be complete all the same.
func TestFormPastACut(t *testing.T) {
	step := 2900
	if long() {
		step = 100
	}
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			for k := 0; k < mostBytes(p); k += step {
				formDamaged(t, p, fmt.Sprintf("cut after %d", k), func() (up, down filter) { return nil, cutAfter(k) })
			}
		})
	}
}

// mostBytes is more than a registry sends one member of a cluster of 13.
func mostBytes(p xlreg.Protocol) int {
	if p.Classic() {
		return 14 << 10
	}
	return 30 << 10
}

// TestFormPastDamage changes one byte of each member's first connection, of either side's.
// TLS notices that. Over a classic carrier it is a message that makes no sense, or a
// request for something else.
func TestFormPastDamage(t *testing.T) {
	step := 1499
	if long() {
		step = 37
	}
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			for k := 0; k < mostBytes(p); k += step {
				formDamaged(t, p, fmt.Sprintf("registry's byte %d", k), func() (up, down filter) { return nil, damage(k) })
			}
			for k := 0; k < 5<<10; k += step / 3 {
				formDamaged(t, p, fmt.Sprintf("member's byte %d", k), func() (up, down filter) { return damage(k), nil })
			}
		})
	}
}

// TestFormPastDamagedHeaders changes each byte of the head of each TLS record.
func TestFormPastDamagedHeaders(t *testing.T) {
	records := []int{0, 5, 6} // of which two come when the certificate is believed already
	if long() {
		records = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	}
	for _, record := range records {
		for at := range 5 {
			formDamaged(t, xlreg.Protocol20, fmt.Sprintf("byte %d of record %d", at, record), func() (up, down filter) {
				return nil, flipHeader(record, at)
			})
		}
	}
}

func formDamaged(t *testing.T, p xlreg.Protocol, how string, filters func() (up, down filter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var g errgroup.Group
		for i := range whole {
			c := n.cable()
			c.filters = once(filters)
			g.Go(func() error { return c.formOn(ctx, p, i, whole, nil) })
		}
		if err := g.Wait(); err != nil {
			t.Errorf("%v, %s: %v", p, how, err)
		}
	})
}

// once returns what filters returns, and from the second call on nothing.
func once(filters func() (up, down filter)) func() (up, down filter) {
	used := false
	return func() (up, down filter) {
		if used {
			return nil, nil
		}
		used = true
		return filters()
	}
}

func cutAfter(k int) filter {
	return func(b []byte) ([]byte, bool) {
		if len(b) > k {
			return b[:k], true
		}
		k -= len(b)
		return b, false
	}
}

func damage(k int) filter {
	return func(b []byte) ([]byte, bool) {
		if k >= 0 && k < len(b) {
			b[k] ^= 0x55
		}
		k -= len(b)
		return b, false
	}
}

// flipHeader finds records by their lengths.
func flipHeader(record, at int) filter {
	header, left, seen := 0, 0, 0
	return func(b []byte) ([]byte, bool) {
		for i, v := range b {
			if left > 0 {
				left--
				continue
			}
			switch header {
			case 3:
				seen = int(v) << 8
			case 4:
				left = seen | int(v)
			}
			if record == 0 && header == at {
				b[i] ^= 0x55
			}
			if header++; header == 5 {
				header = 0
				record--
			}
		}
		return b, false
	}
}

// elapse lets time go by, in a bubble.
func elapse(d time.Duration) { <-time.After(d) }

// goal is how long after the moment when the registry can be reached and the cluster is
// full every member has its roster, whatever happened before.
const goal = 35 * time.Second

// TestFormPastSilence lets the network die without a word, at different moments of a
// wait, and wants the goal to be met.
func TestFormPastSilence(t *testing.T) {
	for name, die := range map[string]func(*network) time.Duration{
		"half-open relay": func(n *network) time.Duration { n.freeze(); return 0 },
		"hole of 5 s":     func(n *network) time.Duration { n.cutOff(5 * time.Second); return 5 * time.Second },
		"hole of 60 s":    func(n *network) time.Duration { n.cutOff(time.Minute); return time.Minute },
		"hole of 300 s":   func(n *network) time.Duration { n.cutOff(5 * time.Minute); return 5 * time.Minute },
	} {
		for _, p := range protocols {
			for _, at := range []time.Duration{time.Millisecond, 5001 * time.Millisecond, 24 * time.Second, 99 * time.Second} {
				t.Run(fmt.Sprintf("%v %s at %v", p, name, at), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { formPastSilence(t, p, at, die) })
				})
			}
		}
	}
}

func formPastSilence(t *testing.T, p xlreg.Protocol, at time.Duration, die func(*network) time.Duration) {
	const n = 4
	net := newNetwork(t)
	var g errgroup.Group
	for i := range n - 1 {
		g.Go(func() error { return net.cable().formOn(t.Context(), p, i, n, nil) })
	}
	elapse(at)
	back := die(net)
	elapse(back)
	full := time.Now()
	g.Go(func() error { return net.cable().formOn(t.Context(), p, n-1, n, nil) })
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(full); took > goal {
		t.Errorf("complete after %v", took)
	}
}

// TestAwaitPastSilence is about a reader.
func TestAwaitPastSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var g errgroup.Group
		g.Go(func() error { return n.cable().formOn(t.Context(), xlreg.Protocol20, 0, 2, nil) })
		elapse(time.Second)
		g.Go(func() error {
			o := client.AwaitOptions{Options: client.Options{Dialer: n.cable()}, Cluster: clusterC}
			_, err := client.Await(t.Context(), n.target, o)
			return err
		})
		elapse(time.Minute)
		n.freeze()
		full := time.Now()
		g.Go(func() error { return n.cable().formOn(t.Context(), xlreg.Protocol20, 1, 2, nil) })
		if err := g.Wait(); err != nil || time.Since(full) > goal {
			t.Errorf("%v after %v", err, time.Since(full))
		}
	})
}

// TestFormPastSilenceAnywhere lets a member's connection die after every so many bytes of
// the registry, and so within handshakes and messages too.
func TestFormPastSilenceAnywhere(t *testing.T) {
	step := 1700
	if long() {
		step = 100
	}
	for k := 0; k < 8<<10; k += step {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			start := time.Now()
			var g errgroup.Group
			for i := range 3 {
				c := n.cable()
				c.filters = once(func() (up, down filter) { return nil, silentAfter(k) })
				g.Go(func() error { return c.formOn(t.Context(), xlreg.Protocol20, i, 3, nil) })
			}
			if err := g.Wait(); err != nil || time.Since(start) > goal {
				t.Errorf("silent after %d: %v after %v", k, err, time.Since(start))
			}
		})
	}
}

func silentAfter(k int) filter {
	return func(b []byte) ([]byte, bool) {
		pass := b[:min(k, len(b))]
		k -= len(pass)
		return pass, false
	}
}

// TestTheErrorKnowsTheSeat has a member join a cluster that gets full, and lets the
// network die for good. It has joined, and its error says so.
func TestTheErrorKnowsTheSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var g errgroup.Group
		g.Go(func() error { return n.cable().formOn(ctx, xlreg.Protocol20, 0, 2, nil) })
		elapse(6 * time.Second)
		heard := time.Now()
		n.cutOff(time.Hour)
		err := g.Wait()
		var incomplete *client.IncompleteError
		if !errors.As(err, &incomplete) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if !incomplete.Joined || incomplete.Index != 0 || incomplete.Missing() != 1 || heard.Sub(incomplete.Heard) > 2*time.Second {
			t.Errorf("%+v", incomplete)
		}
		t.Log(err)
		elapse(time.Hour)
	})
}
