package client_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/wire"
)

// yours is the deadline of calls that have no bound of their own.
const yours = time.Hour

// slowly is a time just within that for an answer, or for a Dial.
const slowly = 29 * time.Second

// trouble is a fake with a line to it that a test can spoil.
type trouble struct {
	*fake

	mu   sync.Mutex
	dial func(ctx context.Context) (net.Conn, error) // guarded by mu; nil: as it should be
}

func (f *trouble) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	f.mu.Lock()
	dial := f.dial
	f.mu.Unlock()
	if dial != nil {
		return dial(ctx)
	}
	return f.fake.DialContext(ctx, network, addr)
}

func (f *trouble) spoil(dial func(context.Context) (net.Conn, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dial = dial
}

// once spoils the first connection alone.
func (f *trouble) once(dial func(context.Context) (net.Conn, error)) {
	f.spoil(func(ctx context.Context) (net.Conn, error) { f.spoil(nil); return dial(ctx) })
}

// silent is a connection on which nothing comes.
func (f *trouble) silent(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	f.sessions.Go(func() { _, _ = io.Copy(io.Discard, far) })
	return near, nil
}

func deaf(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }

// refuseUntil refuses connections for a time.
func (f *trouble) refuseUntil(d time.Duration) {
	start := time.Now()
	f.spoil(func(ctx context.Context) (net.Conn, error) {
		if time.Since(start) < d {
			return nil, errRefused
		}
		return f.fake.DialContext(ctx, "tcp", "")
	})
}

// silence leaves requests of a kind without an answer.
func (f *trouble) silence(op wire.Op) {
	f.tell(op, func(request) *wire.Message { elapse(2 * yours); return nil })
}

func (f *trouble) options() client.Options {
	o := f.fake.options(newNode(f.t, "n"))
	o.Dialer = f
	return o
}

func (f *trouble) form() (*client.Membership, error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), yours)
	defer cancel()
	return client.Form(ctx, f.target(), client.FormOptions{Options: f.options(), Cluster: clusterC, Size: 3})
}

// timeouts do what the rows of docs/timeouts.md are about, at an other end that lets them
// wait for as long as they will, and return how long that was.
var timeouts = map[string]func(f *trouble) time.Duration{
	"`Dial`": func(f *trouble) time.Duration {
		f.refuseUntil(yours)
		return took(func() { _, _ = client.Dial(f.t.Context(), f.target(), f.options()) })
	},
	"`Dial`, until another endpoint is tried beside one that does not answer": func(f *trouble) time.Duration {
		return f.untilAnother(deaf)
	},
	"`Dial`, until another endpoint is tried beside one that is silent in the handshake": func(f *trouble) time.Duration {
		return f.untilAnother(f.silent)
	},
	"`Dial`, one endpoint that does not answer": func(f *trouble) time.Duration {
		f.once(deaf)
		return took(func() { must[*client.Client](f.t)(client.Dial(f.t.Context(), f.target(), f.options())).Close() })
	},
	"`Dial`, a registry that is silent in the handshake": func(f *trouble) time.Duration {
		f.once(f.silent)
		ctx, cancel := context.WithTimeout(f.t.Context(), yours)
		defer cancel()
		return took(func() { must[*client.Client](f.t)(client.Dial(ctx, f.target(), f.options())).Close() })
	},
	"`Register`, `Login`, `Create`, `Cluster`, `Join`, `Members`, `Leave`, `Registry`": longestRequest,
	"`Register`, the first time at a registry known by its URL alone": func(f *trouble) time.Duration {
		url := f.target()
		url.Cred = nil
		f.tell(wire.OpMember, func(r request) *wire.Message { elapse(slowly); return f.usual(r) })
		f.silence(wire.OpRegCredRequest)
		c := must[*client.Client](f.t)(client.Dial(f.t.Context(), url, f.options()))
		return took(func() { _, _ = c.Register(f.t.Context()) })
	},
	"`Members` over a classic carrier": func(f *trouble) time.Duration {
		f = &trouble{fake: newFake(f.t, xlreg.Protocol19)}
		f.roster.Cluster.MaxSize = xlreg.MaxClassicClusterSize
		f.tell(wire.OpGetCluster, func(r request) *wire.Message {
			elapse(slowly + 900*time.Millisecond)
			return f.usual(r)
		})
		c := must[*client.Client](f.t)(client.Dial(f.t.Context(), f.target(), f.options()))
		defer c.Close()
		return took(func() { must[*client.Roster](f.t)(c.Members(f.t.Context(), clusterC)) })
	},
	"`Wait`, a registry that is silent": func(f *trouble) time.Duration {
		c := must[*client.Client](f.t)(client.Dial(f.t.Context(), f.target(), f.options()))
		f.tell(wire.OpGetCluster, f.wait)
		time.AfterFunc(time.Second, func() { f.silence(wire.OpGetCluster) })
		const first = 5 * time.Second // of the request that is answered
		return took(func() { _, _ = c.Wait(f.t.Context(), clusterC, 3) }) - first
	},
	"`Wait`, `Await`, `Form`, members that do not come": func(f *trouble) time.Duration {
		f.tell(wire.OpGetCluster, f.wait)
		return took(func() { _, _ = f.form() })
	},
	"`Await`, `Form`, a registry that is silent or cannot be reached": func(f *trouble) time.Duration {
		f.silence(wire.OpMember)
		time.AfterFunc(yours/2, func() { f.spoil(deaf) })
		return took(func() { _, _ = f.form() })
	},
	"`Form`, a name to advertise that does not resolve": func(f *trouble) time.Duration {
		ctx, cancel := context.WithTimeout(f.t.Context(), yours)
		defer cancel()
		o := client.FormOptions{Options: f.options(), Cluster: clusterC, Size: 3}
		o.Advertise, o.Resolver = []xlreg.Endpoint{"nowhere.example:1"}, resolvesNothing{}
		return took(func() { _, _ = client.Form(ctx, f.target(), o) })
	},
	"`Close`": func(f *trouble) time.Duration {
		f.silence(wire.OpBye)
		c := must[*client.Client](f.t)(client.Dial(f.t.Context(), f.target(), f.options()))
		return took(func() { c.Close() })
	},
	"`Membership.Refresh`": func(f *trouble) time.Duration {
		m := f.member()
		f.silence(wire.OpGetCluster)
		f.refuseUntil(slowly)
		return took(func() { _, _ = m.Refresh(f.t.Context()) })
	},
	"`Membership.Leave`": func(f *trouble) time.Duration {
		m := f.member()
		f.tell(wire.OpMember, func(request) *wire.Message {
			elapse(slowly)
			return wire.NewMemberOK(&xlreg.Token{Name: "n", ID: m.Self().Token.ID})
		})
		f.silence(wire.OpLeave)
		f.refuseUntil(slowly)
		return took(func() { _ = m.Leave(f.t.Context()) })
	},
	"`Membership.Dial`, `Roster.Dial`": func(f *trouble) time.Duration {
		m := f.member()
		f.spoil(deaf)
		return took(func() { _, _ = m.Dial(f.t.Context(), "other") })
	},
	"`Membership.Listen`, one handshake": func(f *trouble) time.Duration {
		near, far := net.Pipe()
		one := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
		l := must[net.Listener](f.t)(f.member().Listen(one))
		defer l.Close()
		one.conn <- near
		return took(func() { _, _ = io.Copy(io.Discard, far) }) // until it is closed
	},
	"`Probe`": func(f *trouble) time.Duration {
		f.spoil(f.silent)
		return took(func() { _, _ = client.Probe(f.t.Context(), "127.0.0.1:9", f.options()) })
	},
}

// resolvesNothing is a server of names that knows none.
type resolvesNothing struct{}

func (resolvesNothing) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Name: host, Err: "no such host", IsNotFound: true}
}

// untilAnother returns after what time the second of two endpoints is tried, where the
// first is as told.
func (f *trouble) untilAnother(first func(context.Context) (net.Conn, error)) time.Duration {
	f.once(first)
	target := f.target()
	target.Endpoints = endpoints(2)
	return took(func() { must[*client.Client](f.t)(client.Dial(f.t.Context(), target, f.options())).Close() })
}

func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// waitStep is the step that is Wait.
const waitStep = 7

// longestRequest lets each kind of request wait for its answer.
func longestRequest(f *trouble) time.Duration {
	longest := time.Duration(0)
	for i, step := range steps {
		if i == waitStep { // which has a row of its own
			continue
		}
		c := must[*client.Client](f.t)(client.Dial(f.t.Context(), f.target(), f.options()))
		must[xlreg.NodeID](f.t)(c.Register(f.t.Context()))
		f.silence(step.op)
		longest = max(longest, took(func() { _ = step.do(f.t.Context(), c) }))
		f.tell(step.op, f.usual)
		c.Close()
	}
	return longest
}

// member is in a cluster of two that is full. The other has a key of its own.
func (f *trouble) member() *client.Membership {
	f.t.Helper()
	f.roster.Cluster.MaxSize = 2
	other := newNodeWith(f.t, 2, "other", []xlreg.Endpoint{"127.0.0.1:4001"})
	token, _, err := other.Token(f.protocol, "", time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	f.add(*token, xlreg.NodeID(id("other")))
	o := client.FormOptions{Options: f.options(), Cluster: clusterC, Size: 2}
	return must[*client.Membership](f.t)(client.Form(f.t.Context(), f.target(), o))
}

// oneConn is a listener to which one connection comes.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conn:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestTimeouts holds each row of the documentation's first table.
func TestTimeouts(t *testing.T) {
	text := string(must[[]byte](t)(os.ReadFile("../docs/timeouts.md")))
	_, text, _ = strings.Cut(text, "## What a client's call can take")
	text, _, _ = strings.Cut(text, "## What a command can take")
	rows := 0
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		rows++
		call, says := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		want := yours
		if says != "your deadline" {
			want = must[time.Duration](t)(time.ParseDuration(strings.ReplaceAll(says, " ", "")))
		}
		t.Run(call, func(t *testing.T) {
			if timeouts[call] == nil {
				t.Fatal("no test")
			}
			synctest.Test(t, func(t *testing.T) {
				got := timeouts[call](&trouble{fake: newFake(t, xlreg.Protocol20)})
				if got > want+time.Second || got < want-min(want/2, 3*time.Second) {
					t.Errorf("took %v, and the table says %s", got, says)
				}
			})
		})
	}
	if rows != len(timeouts) {
		t.Errorf("%d rows, %d tests", rows, len(timeouts))
	}
}
