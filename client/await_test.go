package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/wire"
)

// awaitOptions are those of a reader who waits for c; over a classic carrier it has to
// be a node.
func (f *fake) awaitOptions(t *testing.T) client.AwaitOptions {
	var node *identity.Node
	if f.protocol.Classic() {
		node = newNode(t, "reader")
	}
	return client.AwaitOptions{Options: f.options(node), Cluster: clusterC}
}

func TestAwaitIsOneRequest(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, p)
				f.tell(wire.OpGetCluster, f.wait)
				after(t, 4*time.Second, func() { addThree(f) })
				o := f.awaitOptions(t)
				o.Size = 3 // which classic replies do not tell a reader
				r, err := client.Await(t.Context(), f.target(), o)
				if err != nil || len(r.Members) != 3 || r.Members[0].Verified == p.Classic() {
					t.Fatalf("got %+v, %v", r, err)
				}
				f.sessions.Wait()
				if f.dialled != 1 || len(f.requests(wire.OpGetCluster)) != 1 || len(f.requests(wire.OpBye)) != 1 {
					t.Fatalf("%d sessions, %d reads", f.dialled, len(f.requests(wire.OpGetCluster)))
				}
				if registered := len(f.requests(wire.OpMember)); (registered == 1) != p.Classic() {
					t.Fatalf("registered %d times", registered)
				}
			})
		})
	}
}

// told is what an Await has told of its progress, as N of SIZE.
type told []string

func (w *told) hear(p client.Progress) {
	if p.Err != nil {
		*w = append(*w, "again")
		return
	}
	*w = append(*w, fmt.Sprintf("%d of %d", len(p.Roster.Members), p.Size))
}

func TestAwaitTellsWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.tell(wire.OpGetCluster, f.wait)
		for i, name := range []string{"alice", "bob", "carol"} {
			after(t, time.Duration(i+1)*time.Second, func() { f.addOther(name) })
		}
		o := f.awaitOptions(t)
		var heard told
		o.Progress = heard.hear
		if _, err := client.Await(t.Context(), f.target(), o); err != nil {
			t.Fatal(err)
		}
		if want := (told{"0 of 3", "1 of 3", "2 of 3", "3 of 3"}); !slices.Equal(heard, want) {
			t.Errorf("told %q, want %q", heard, want)
		}
		heard = nil
		before := len(f.requests(wire.OpGetCluster))
		if _, err := client.Await(t.Context(), f.target(), o); err != nil {
			t.Fatal(err)
		}
		if asked := len(f.requests(wire.OpGetCluster)) - before; asked != 1 || !slices.Equal(heard, told{"3 of 3"}) {
			t.Errorf("of a cluster that is complete: %d requests, told %q", asked, heard)
		}
	})
}

// A registry that goes away, or has no time, is asked again.
func TestAwaitThroughRestarts(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, p)
				addThree(f)
				f.tell(wire.OpGetCluster, func(r request) *wire.Message {
					switch r.session {
					case 1:
						return nil
					case 2:
						return wire.NewError(xlreg.ErrTryLater)
					case 3:
						return wire.NewError(&xlreg.Error{Kind: xlreg.ErrTooManyRequests, Retry: 5 * time.Second})
					}
					return f.wait(r)
				})
				o := f.awaitOptions(t)
				o.Size = 3
				var heard told
				o.Progress = heard.hear
				began := time.Now()
				r, err := client.Await(t.Context(), f.target(), o)
				if err != nil || len(r.Members) != 3 {
					t.Fatalf("got %+v, %v", r, err)
				}
				if want := (told{"again", "again", "again", "3 of 3"}); !slices.Equal(heard, want) {
					t.Errorf("told %q, want %q", heard, want)
				}
				if took := time.Since(began); took < 5*time.Second || took > 8*time.Second {
					t.Errorf("it took %v, and the registry said to come back in 5 s", took)
				}
			})
		})
	}
}

// What will not change is not tried again.
func TestAwaitEndsForGood(t *testing.T) {
	for name, c := range map[string]struct {
		answer *wire.Message
		want   error
	}{
		"no cluster": {wire.NewError(xlreg.ErrNoSuchClusterName), xlreg.ErrNoSuchClusterName},
		"nonsense":   {wire.NewAck(), xlreg.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, xlreg.Protocol20)
				f.tell(wire.OpGetCluster, func(request) *wire.Message { return c.answer })
				_, err := client.Await(t.Context(), f.target(), f.awaitOptions(t))
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				f.sessions.Wait()
				if f.dialled != 1 {
					t.Errorf("%d sessions", f.dialled)
				}
			})
		})
	}
	f := newFake(t, xlreg.Protocol20)
	o := f.awaitOptions(t)
	o.Cluster = xlreg.ClusterRef{}
	if _, err := client.Await(t.Context(), f.target(), o); !errors.Is(err, xlreg.ErrNoClusterNamed) || f.dialled != 0 {
		t.Errorf("no cluster named: %v", err)
	}
}

func TestAwaitRunsOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.tell(wire.OpGetCluster, f.wait)
		f.addOther("alice")
		for _, progress := range []func(client.Progress){nil, func(client.Progress) {}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			o := f.awaitOptions(t)
			o.Progress = progress
			_, err := client.Await(ctx, f.target(), o)
			var late *client.IncompleteError
			if !errors.As(err, &late) || late.Roster.ByName("alice") == nil || late.Size != 3 || late.Cause != nil {
				t.Errorf("got %v", err)
			}
		}
	})
}

// A registry that was never reached is what the error is about.
func TestAwaitWithoutARegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		o := f.awaitOptions(t)
		o.Dialer = dialerFunc(func(context.Context, string) (net.Conn, error) { return nil, errRefused })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client.Await(ctx, f.target(), o)
		var late *client.IncompleteError
		if !errors.Is(err, errRefused) || !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRetryable(t *testing.T) {
	lost := fmt.Errorf("%w: broken pipe", client.ErrSessionEnded)
	cases := []struct {
		err  error
		want bool
	}{
		{lost, true},
		{fmt.Errorf("x: %w", &xlreg.Error{Kind: xlreg.ErrTryLater}), true},
		{xlreg.ErrTooManyRequests, true},
		{fmt.Errorf("%w: %w", client.ErrSessionEnded, client.ErrHandshake), false},
		{xlreg.ErrNoSuchClusterName, false},
		{client.ErrUntrusted, false},
	}
	for _, c := range cases {
		if got := client.Retryable(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// A registry that goes away for good leaves behind what it said before.
func TestAwaitLosesTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.addOther("alice")
		f.tell(wire.OpGetCluster, func(r request) *wire.Message {
			if r.get().Wait {
				return nil
			}
			return f.members(r.get().Which)
		})
		o := f.awaitOptions(t)
		o.Progress = func(client.Progress) {}
		o.Dialer = dialerFunc(func(ctx context.Context, address string) (net.Conn, error) {
			if f.dialled > 0 {
				return nil, errRefused
			}
			return f.DialContext(ctx, "tcp", address)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client.Await(ctx, f.target(), o)
		var late *client.IncompleteError
		if !errors.As(err, &late) || late.Roster.ByName("alice") == nil || late.Size != 3 || !errors.Is(late.Cause, errRefused) {
			t.Errorf("got %v", err)
		}
	})
}
