package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/regcred"
)

// endpoints returns n of them.
func endpoints(n int) []xlreg.Endpoint {
	all := make([]xlreg.Endpoint, n)
	for i := range all {
		all[i] = xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", i+1))
	}
	return all
}

// asWritten leaves endpoints in the order that they are given in.
func asWritten(int, func(i, j int)) {}

// triesOf dials n endpoints, of which the last alone is the registry's and the others are
// as told, and returns which were tried, in their order, and how long it took.
func triesOf(t *testing.T, n int, other func(*trouble, context.Context) (net.Conn, error)) (tried []string, took time.Duration) {
	t.Helper()
	f := &trouble{fake: newFake(t, xlreg.Protocol20)}
	target := f.target()
	target.Endpoints = endpoints(n)
	var mu sync.Mutex
	o := f.options()
	o.Shuffle = asWritten
	o.Dialer = dialerFunc(func(ctx context.Context, address string) (net.Conn, error) {
		mu.Lock()
		tried = append(tried, address)
		mu.Unlock()
		if address != string(target.Endpoints[n-1]) {
			return other(f, ctx)
		}
		return f.fake.DialContext(ctx, "tcp", address)
	})
	start := time.Now()
	must[*client.Client](t)(client.Dial(t.Context(), target, o)).Close()
	return tried, time.Since(start)
}

// The endpoints of a registry are tried one after another. Those that are dead or silent hold
// nobody up for long, however many there are.
func TestDialTriesEndpointsInTurn(t *testing.T) {
	for name, c := range map[string]struct {
		other func(*trouble, context.Context) (net.Conn, error)
		most  time.Duration
	}{
		"refused": {func(*trouble, context.Context) (net.Conn, error) { return nil, errRefused }, 0},
		"dead":    {func(_ *trouble, ctx context.Context) (net.Conn, error) { return deaf(ctx) }, 3 * time.Second},
		"silent":  {(*trouble).silent, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tried, took := triesOf(t, xlreg.MaxEndpoints, c.other)
				var want []string
				for _, e := range endpoints(xlreg.MaxEndpoints) {
					want = append(want, string(e))
				}
				if got := strings.Join(tried, " "); got != strings.Join(want, " ") {
					t.Errorf("tried %s", got)
				}
				if took > c.most {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// A registry that answers at its first endpoint hears of no other try.
func TestDialTriesNoMoreThanItNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		target := f.target()
		target.Endpoints = endpoints(xlreg.MaxEndpoints)
		must[*client.Client](t)(client.Dial(t.Context(), target, f.options(nil))).Close()
		if f.dialled != 1 {
			t.Errorf("%d tries", f.dialled)
		}
	})
}

// Two endpoints that answer at the same moment make one session, and the connection that
// is not needed is closed: the fake waits for its end.
func TestDialKeepsOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		target := f.target()
		target.Endpoints = endpoints(2)
		start := time.Now()
		o := f.options(nil)
		o.Dialer = dialerFunc(func(ctx context.Context, address string) (net.Conn, error) {
			elapse(time.Second - time.Since(start))
			return f.DialContext(ctx, "tcp", address)
		})
		c := must[*client.Client](t)(client.Dial(t.Context(), target, o))
		defer c.Close()
		if _, err := c.Cluster(t.Context(), clusterC); f.dialled != 2 || err != nil {
			t.Errorf("%d tries, %v", f.dialled, err)
		}
	})
}

// A handshake that makes progress for a while and then none is given up in time.
func TestFormPastAStalledHandshake(t *testing.T) {
	for _, k := range []int{100, 600, 1100} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			start := time.Now()
			first, second := n.cable(), n.cable()
			first.chunk = 64
			first.filters = once(func() (up, down filter) { return nil, chain(slowly10, silentAfter(k)) })
			done := make(chan error)
			go func() { done <- second.formOn(t.Context(), xlreg.Protocol20, 1, 2, nil) }()
			err := errors.Join(first.formOn(t.Context(), xlreg.Protocol20, 0, 2, nil), <-done)
			if took := time.Since(start); err != nil || took > goal {
				t.Errorf("silent after %d: %v after %v", k, err, took)
			}
		})
	}
}

// slowly10 lets pass 64 bytes in a second.
func slowly10(b []byte) ([]byte, bool) { elapse(time.Second); return b, false }

func chain(first, second filter) filter {
	return func(b []byte) ([]byte, bool) {
		b, _ = first(b)
		return second(b)
	}
}

// TestFormPastDeadEndpoints lets a session die without a word, of a registry that has only
// one of its addresses left, and wants the goal to be met.
func TestFormPastDeadEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.target = &regcred.Target{Cred: n.target.Cred, Endpoints: endpoints(xlreg.MaxEndpoints), Fingerprint: n.target.Fingerprint}
		c := n.cable()
		only := string(n.target.Endpoints[0])
		o := client.FormOptions{
			Options: client.Options{Node: newNodeWith(t, 1, "m0", []xlreg.Endpoint{"127.0.0.1:4001"})},
			Cluster: clusterC, Size: 2,
		}
		o.Dialer = dialerFunc(func(ctx context.Context, address string) (net.Conn, error) {
			if address != only {
				return deaf(ctx)
			}
			return c.DialContext(ctx, "tcp", address)
		})
		done := make(chan error)
		go func() { _, err := client.Form(t.Context(), n.target, o); done <- err }()
		elapse(5001 * time.Millisecond)
		only = string(n.target.Endpoints[xlreg.MaxEndpoints-1])
		n.freeze()
		full := time.Now()
		err := errors.Join(n.cable().formOn(t.Context(), xlreg.Protocol20, 1, 2, nil), <-done)
		if took := time.Since(full); err != nil || took > goal {
			t.Errorf("%v after %v", err, took)
		}
	})
}
