package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/ticket"
)

// address is one that belongs now to one machine and then to another. It is a ContextDialer.
type address struct {
	mu    sync.Mutex
	owner client.ContextDialer // guarded by mu, as is all below
	calls int                  // of the owner of now
}

func (a *address) DialContext(ctx context.Context, network, text string) (net.Conn, error) {
	a.mu.Lock()
	owner := a.owner
	a.calls++
	a.mu.Unlock()
	return owner.DialContext(ctx, network, text)
}

// moveTo gives the address to another machine, and returns how often the last was called.
func (a *address) moveTo(owner client.ContextDialer) (calls int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owner, calls, a.calls = owner, a.calls, 0
	return calls
}

// somethingElse is a machine that serves each connection in its own way.
func somethingElse(t *testing.T, serve func(net.Conn)) client.ContextDialer {
	var work sync.WaitGroup
	t.Cleanup(work.Wait)
	return dialerFunc(func(context.Context, string) (net.Conn, error) {
		near, far := net.Pipe()
		work.Go(func() {
			defer far.Close()
			serve(far)
		})
		return near, nil
	})
}

// strangers are all who may answer in the place of a registry, and what is told of them.
func strangers(t *testing.T) map[string]struct {
	machine func(*testing.T) client.ContextDialer
	want    error
} {
	overTLS := func(protocols ...string) func(*testing.T) client.ContextDialer {
		config := &tls.Config{Certificates: []tls.Certificate{registryCertificate(t)}, NextProtos: protocols}
		return func(t *testing.T) client.ContextDialer {
			return somethingElse(t, func(nc net.Conn) {
				s := tls.Server(nc, config)
				if s.Handshake() == nil {
					_, _ = s.Read(make([]byte, 1)) // until the client has seen enough
				}
			})
		}
	}
	return map[string]struct {
		machine func(*testing.T) client.ContextDialer
		want    error
	}{
		"a registry with other keys": {func(t *testing.T) client.ContextDialer {
			return newNetworkOf(t, testKeys()[3], 9, "", memory.New()).cable()
		}, client.ErrUntrusted},
		"plain text": {func(t *testing.T) client.ContextDialer {
			return somethingElse(t, func(nc net.Conn) {
				if _, err := nc.Read(make([]byte, 16<<10)); err == nil {
					_, _ = nc.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
				}
			})
		}, client.ErrNotARegistry},
		"TLS without ALPN":    {overTLS(), client.ErrNotARegistry},
		"TLS for another one": {overTLS("h2"), client.ErrNotARegistry},
	}
}

// follower is a member of a test that follows its cluster, and what it was told of strangers.
type follower struct {
	*client.Membership
	told chan error
	log  *bytes.Buffer
}

// placed is member i, who has an address already.
func placed(t *testing.T, i int) *identity.Node {
	return newNodeOf(t, memberKeys()[i], fmt.Sprintf("m%d", i), "127.0.0.1:4001")
}

// formAt forms a cluster of two that find their registry at an address.
func formAt(t *testing.T, to client.Target, at *address, lease time.Duration) [2]follower {
	t.Helper()
	var members [2]follower
	var g errgroup.Group
	for i := range members {
		m := &members[i]
		m.told, m.log = make(chan error, 9), new(bytes.Buffer)
		o := client.FormOptions{
			Options: client.Options{Node: placed(t, i), Dialer: at, Logger: slog.New(slog.NewTextHandler(m.log, nil))},
			Lease:   lease, Stranger: func(err error) { m.told <- err },
		}
		g.Go(func() (err error) {
			m.Membership, err = client.Form(t.Context(), to, o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		t.Cleanup(func() { m.Close() })
	}
	return members
}

// watched is what comes next of a Watch.
type watched struct {
	client.Change
	err error
}

// next returns what comes within two minutes, which are no time in a bubble.
func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing comes")
	}
	return v
}

// inBackground waits for the next change of a Watch, which does nothing unless it is asked.
func inBackground(c *changes) <-chan watched {
	coming := make(chan watched, 1)
	go func() {
		change, err, _ := c.next()
		coming <- watched{change, err}
	}()
	return coming
}

// theirTime is how long somebody else has the address.
const theirTime = 10 * time.Minute

// Somebody else has the address of the registry for a while. A member that follows its cluster
// believes nothing of what that one says, tells it once, asks seldom, but often enough for its
// lease, and follows again when the registry is back.
func TestFollowersOutlastStrangers(t *testing.T) {
	for name, stranger := range strangers(t) {
		for _, lease := range []time.Duration{0, 30 * time.Second} {
			t.Run(fmt.Sprintf("%s, lease %v", name, lease), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { outlast(t, stranger.machine(t), stranger.want, lease) })
			})
		}
	}
}

func outlast(t *testing.T, stranger client.ContextDialer, want error, lease time.Duration) {
	data := memory.New()
	before := newNetworkTo(t, 9, "", data)
	to := must[*ticket.Ticket](t)(ticket.NewOwner(before.target, "keyed", 2, 1))
	at := &address{owner: before.cable()}
	members := formAt(t, to, at, lease)
	m := members[0]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := inBackground(watching(t, m.Watch(ctx)))
	synctest.Wait()

	at.moveTo(stranger)
	if err := before.registry.stop(); err != nil {
		t.Fatal(err)
	}
	elapse(theirTime)
	if err := next(t, m.told); !errors.Is(err, want) || len(m.told) != 0 || m.Err() != nil {
		t.Fatalf("told %v, and %d more; fate %v", err, len(m.told), m.Err())
	}
	after := newNetworkTo(t, 9, "", data)
	calls, followers, most := at.moveTo(after.cable()), 1, 30*time.Second
	if lease > 0 {
		followers, most = 2, lease/3
	}
	if least := followers * int(theirTime/most); calls < least || calls > 5*least/2 {
		t.Errorf("the stranger was called %d times, want some %d", calls, least*4/3)
	}
	if err := next(t, m.told); err != nil {
		t.Errorf("told %v when the registry was back", err)
	}
	elapse(5 * time.Minute)
	if err := members[1].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if got := next(t, watch); got.err != nil || len(got.Went) != 1 {
		t.Errorf("watched %v, %v", &got.Change, got.err)
	}
	if m.Err() != nil || len(m.Roster().Members) != 1 {
		t.Errorf("fate %v, roster %v", m.Err(), m.Roster())
	}
	m.Close()
	for _, part := range []string{"somebody else answers", "the registry answers at its address again"} {
		if strings.Count(m.log.String(), part) != 1 {
			t.Errorf("the log does not say %q once: %s", part, m.log)
		}
	}
	if strings.Contains(m.log.String(), `msg="registry could not prove its identity"`) {
		t.Errorf("the log tells of each try: %s", m.log)
	}
}

// Who resumes has been with the registry in an earlier start, and goes on, too.
func TestResumeOutlastsStrangers(t *testing.T) {
	for name, stranger := range strangers(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data := memory.New()
				before := newNetworkTo(t, 9, "", data)
				to := must[*ticket.Ticket](t)(ticket.NewOwner(before.target, "keyed", 2, 1))
				at := &address{owner: before.cable()}
				members := formAt(t, to, at, 0)
				file := must[[]byte](t)(members[0].SaveRoster())
				saved := must[*client.SavedRoster](t)(client.LoadRoster(to, members[0].Node(), file, client.LoadOptions{}))
				members[0].Close()

				at.moveTo(stranger.machine(t))
				told, joined := make(chan error, 9), false
				m := must[*client.Membership](t)(client.Resume(to, saved, client.FormOptions{
					Options: client.Options{Node: members[0].Node(), Dialer: at}, Lease: time.Minute,
					Stranger: func(err error) { told <- err }, Joined: func(xlreg.Cluster) { joined = true },
				}))
				defer m.Close()
				elapse(theirTime)
				if err := next(t, told); !errors.Is(err, stranger.want) || len(told) != 0 || m.Err() != nil {
					t.Fatalf("told %v, and %d more; fate %v", err, len(told), m.Err())
				}
				at.moveTo(before.cable())
				if err := next(t, told); err != nil || !joined || m.Lease() != time.Minute {
					t.Errorf("told %v, joined %v with a lease of %v", err, joined, m.Lease())
				}
			})
		})
	}
}

// A reader goes on as well, once it has seen the cluster. Whoever comes to a stranger first is
// told at once, and so is a member that waits for others.
func TestStrangersAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := newNetwork(t)
		other := newNetworkOf(t, testKeys()[3], 9, "", memory.New())
		to := must[*ticket.Ticket](t)(ticket.NewOwner(before.target, "keyed", 2, 1))
		at := &address{owner: other.cable()}
		o := client.WatchOptions{Options: client.Options{Dialer: at}}
		watching(t, client.Watch(t.Context(), to, o)).wantEnd(client.ErrUntrusted)

		at.moveTo(before.cable())
		joined := make(chan xlreg.Cluster, 1)
		failed := make(chan error, 1)
		go func() {
			_, err := client.Form(t.Context(), to, client.FormOptions{
				Options: client.Options{Node: placed(t, 0), Dialer: at},
				Joined:  func(c xlreg.Cluster) { joined <- c },
			})
			failed <- err
		}()
		select {
		case <-joined:
		case err := <-failed:
			t.Fatal(err)
		}
		told := make(chan error, 9)
		o.Stranger = func(err error) { told <- err }
		reader := watching(t, client.Watch(t.Context(), to, o))
		if first, err, _ := reader.next(); err != nil {
			t.Fatal(&first, err)
		}
		at.moveTo(other.cable())
		before.freeze()
		if err := next(t, failed); !errors.Is(err, client.ErrUntrusted) {
			t.Errorf("who waits for others is told %v", err)
		}
		end := inBackground(reader)
		if err := next(t, told); !errors.Is(err, client.ErrUntrusted) {
			t.Errorf("a reader is told %v", err)
		}
		at.moveTo(before.cable())
		if err := next(t, told); err != nil {
			t.Errorf("a reader is told %v when the registry is back", err)
		}
		owner := must[*client.Owner](t)(client.NewOwner(to, client.Options{Dialer: at}))
		if err := owner.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := next(t, end); !errors.Is(got.err, xlreg.ErrNoSuchClusterID) && !errors.Is(got.err, xlreg.ErrNoSuchClusterName) {
			t.Errorf("in the end a reader is told %v, %v", &got.Change, got.err)
		}
	})
}
