package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/wire"
)

// after calls f at a time from now, in the bubble.
func after(t *testing.T, d time.Duration, f func()) {
	done := make(chan struct{})
	time.AfterFunc(d, func() { defer close(done); f() })
	t.Cleanup(func() { <-done })
}

func addThree(f *fake) {
	for _, name := range []string{"alice", "bob", "carol"} {
		f.addOther(name)
	}
}

func TestWaitIsOneRequest(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, p)
				f.tell(wire.OpGetCluster, f.wait)
				c := f.dial(newNode(t, "n"))
				must[xlreg.NodeID](t)(c.Register(t.Context()))
				after(t, 4*time.Second, func() { addThree(f) })
				start := time.Now()
				r, err := c.Wait(t.Context(), clusterC, 3)
				if err != nil || len(r.Members) != 3 || time.Since(start) != 4*time.Second {
					t.Fatalf("got %v, %v after %v", r, err, time.Since(start))
				}
				asked := f.requests(wire.OpGetCluster)
				if len(asked) != 1 || *asked[0].get().WaitSize != 3 {
					t.Fatalf("%d requests", len(asked))
				}
			})
		})
	}
}

// No request waits so long that a registry which is gone would go unnoticed. Members
// that are known are not asked for again, but for once at the end.
func TestALongWaitIsAskedForAgain(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, p)
				f.tell(wire.OpGetCluster, f.wait)
				f.addOther("alice")
				target := f.target()
				target.Cred.Version = xlreg.Version20 // no original
				c := must[*client.Client](t)(client.Dial(t.Context(), target, f.options(newNode(t, "n"))))
				defer c.Close()
				must[xlreg.NodeID](t)(c.Register(t.Context()))
				after(t, 12*time.Minute, func() { f.addOther("bob"); f.addOther("carol") })
				start := time.Now()
				r, err := c.Wait(t.Context(), clusterC, 3)
				if err != nil || time.Since(start) != 12*time.Minute || len(r.Members) != 3 {
					t.Fatalf("%v after %v", err, time.Since(start))
				}
				checkLongWait(t, f.requests(wire.OpGetCluster))
			})
		})
	}
}

func checkLongWait(t *testing.T, asked []request) {
	t.Helper()
	if n := len(asked); n < 37 || n > 45 {
		t.Errorf("%d requests in 12 minutes", n)
	}
	for i, r := range asked {
		get := r.get()
		last := i > 0 && !get.Wait
		if all := get.Which.Has(0); all != (i == 0 || last) {
			t.Errorf("request %d asks for the member that is known: %v", i, all)
		}
		if most := []uint32{5_000, 20_000}[min(i, 1)]; !last && *get.WaitMillis != most {
			t.Errorf("request %d waits for %d ms", i, *get.WaitMillis)
		}
	}
}

// A member that came back with another address while others were waited for is in the
// roster as it is at the end, and one that left is not.
func TestALongWaitShowsTheClusterAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.tell(wire.OpGetCluster, f.wait)
		f.addOther("alice")
		f.addOther("mallory")
		c := f.dial(nil)
		after(t, time.Minute, func() {
			f.mu.Lock()
			f.roster.Members = nil
			f.mu.Unlock()
			moved := newNodeOf(t, memberKeys()[0], "alice", "127.0.0.1:4999")
			token, _, err := moved.Token(f.protocol, "", time.Now())
			if err != nil {
				t.Error(err)
			}
			f.add(*token, xlreg.NodeID(id("alice")))
			f.addOther("bob")
		})
		after(t, 2*time.Minute, func() { f.addOther("carol") })
		r, err := c.Wait(t.Context(), clusterC, 3)
		if err != nil || len(r.Members) != 3 || r.ByName("mallory") != nil {
			t.Fatalf("%+v, %v", r, err)
		}
		if at := r.ByName("alice").Token.Endpoints[0]; at != "127.0.0.1:4999" {
			t.Errorf("alice is at %s", at)
		}
	})
}

// A registry that is silent is taken for gone, though nothing has closed the connection.
func TestASilentWaitIsGivenUp(t *testing.T) {
	for _, p := range protocols {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, p)
			c := f.dial(newNode(t, "n"))
			must[xlreg.NodeID](t)(c.Register(t.Context()))
			hold := make(chan struct{})
			f.tell(wire.OpGetCluster, func(r request) *wire.Message {
				if len(f.requests(wire.OpGetCluster)) > 1 {
					<-hold
					return nil
				}
				return f.wait(r)
			})
			start := time.Now()
			_, err := c.Wait(t.Context(), clusterC, 3)
			close(hold)
			if took := time.Since(start); !errors.Is(err, client.ErrSessionEnded) || took != 35*time.Second {
				t.Errorf("%v: %v after %v", p, err, took)
			}
		})
	}
}

func TestWaitPollsAServerThatAnswersAtOnce(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, p)
				c := f.dial(newNode(t, "n"))
				must[xlreg.NodeID](t)(c.Register(t.Context()))
				after(t, 10*time.Second, func() { addThree(f) })
				start := time.Now()
				if _, err := c.Wait(t.Context(), clusterC, 3); err != nil {
					t.Fatal(err)
				}
				if late := time.Since(start) - 10*time.Second; late < 0 || late > time.Second {
					t.Fatalf("returned %v late", late)
				}
				asked := f.requests(wire.OpGetCluster)
				if n := len(asked); n < 13 || n > 27 {
					t.Fatalf("%d requests in 10 s", n)
				}
				if last := asked[len(asked)-1]; !last.get().Wait {
					asked = asked[:len(asked)-1] // for all members, when they are there
				}
				checkPauses(t, asked)
			})
		})
	}
}

// checkPauses wants pauses from 25 ms on that double to between half a second
// and one.
func checkPauses(t *testing.T, asked []request) {
	t.Helper()
	longest := 50 * time.Millisecond
	for i := 1; i < len(asked); i++ {
		pause := asked[i].at.Sub(asked[i-1].at)
		if pause < longest/2 || pause > longest {
			t.Fatalf("pause %d is %v, want %v to %v", i, pause, longest/2, longest)
		}
		longest = min(2*longest, time.Second)
	}
}

func TestNewsShortenThePauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol19)
		c := f.dial(newNode(t, "n"))
		must[xlreg.NodeID](t)(c.Register(t.Context()))
		after(t, 10*time.Second, func() { f.addOther("alice") })
		after(t, 20*time.Second, func() { f.addOther("bob") })
		if _, err := c.Wait(t.Context(), clusterC, 2); err != nil {
			t.Fatal(err)
		}
		asked := f.requests(wire.OpGetCluster)
		for i := 1; i+1 < len(asked); i++ {
			news := asked[i-1].at.Sub(asked[0].at) < 10*time.Second && asked[i].at.Sub(asked[0].at) >= 10*time.Second
			if pause := asked[i+1].at.Sub(asked[i].at); news && pause > 50*time.Millisecond {
				t.Fatalf("pause of %v after news", pause)
			}
		}
	})
}

// A server that is told to stop answers those who wait, and may stay a while.
func TestAnEarlyAnswerIsNotTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.tell(wire.OpGetCluster, func(r request) *wire.Message {
			if len(f.requests(wire.OpGetCluster)) <= 3 {
				return f.usual(r)
			}
			return f.wait(r)
		})
		c := f.dial(nil)
		after(t, 4*time.Second, func() { addThree(f) })
		start := time.Now()
		if _, err := c.Wait(t.Context(), clusterC, 3); err != nil || time.Since(start) != 4*time.Second {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		if n := len(f.requests(wire.OpGetCluster)); n != 4 {
			t.Fatalf("%d requests", n)
		}
	})
}

func TestWaitSaysWhoHasJoinedAtTheDeadline(t *testing.T) {
	for _, waits := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, xlreg.Protocol20)
			if waits {
				f.tell(wire.OpGetCluster, f.wait)
			}
			f.addOther("alice")
			joined := f.roster.Members[0].Token.Seat.Joined.UTC().Format(time.RFC3339)
			c := f.dial(nil)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			start := time.Now()
			_, err := c.Wait(ctx, clusterC, 3)
			var incomplete *client.IncompleteError
			if !errors.As(err, &incomplete) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			if incomplete.Missing() != 2 || len(incomplete.Roster.Members) != 1 || incomplete.Cause != nil {
				t.Fatalf("got %+v", incomplete)
			}
			for _, part := range []string{`"c"`, "1 of 3", "2 missing", "alice at 127.0.0.1:4001 since " + joined} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if took := time.Since(start); took > 30*time.Second || took < 29*time.Second {
				t.Errorf("returned after %v", took)
			}
			asked := f.requests(wire.OpGetCluster)
			if waits && len(asked) > 4 {
				t.Errorf("%d requests", len(asked))
			}
			if first := *asked[0].get().WaitMillis; first != 5_000 {
				t.Errorf("first asked to wait for %d ms", first)
			}
			if !waits {
				return // the deadline may come in the middle of a request
			}
			if _, err := c.Members(t.Context(), clusterC); err != nil {
				t.Errorf("the session has ended: %v", err)
			}
		})
	}
}

func TestWaitCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		hold := make(chan struct{})
		f.tell(wire.OpGetCluster, func(request) *wire.Message { <-hold; return nil })
		c := f.dial(nil)
		ctx, cancel := context.WithCancel(t.Context())
		after(t, time.Second, cancel)
		_, err := c.Wait(ctx, clusterC, 3)
		close(hold)
		var incomplete *client.IncompleteError
		if !errors.As(err, &incomplete) || !errors.Is(err, context.Canceled) || incomplete.Roster != nil {
			t.Fatalf("got %v", err)
		}
	})
}

// Original servers tell a cluster's size in answer to Create and Join only.
func TestWaitNeedsASizeThatIsKnown(t *testing.T) {
	f := newFake(t, xlreg.Protocol19)
	f.addOther("alice")
	full := f.roster.Cluster
	f.roster.Cluster = xlreg.Cluster{ID: full.ID}
	c := f.dial(newNode(t, "n"))
	must[xlreg.NodeID](t)(c.Register(t.Context()))
	if _, err := c.Wait(t.Context(), clusterC, 0); err == nil || !strings.Contains(err.Error(), "size") {
		t.Fatalf("got %v", err)
	}
	f.tell(wire.OpJoin, func(r request) *wire.Message {
		f.add(*r.node, r.nodeID())
		f.addOther("bob")
		return wire.NewClusterReply(wire.OpJoinReply, &full, xlreg.ClusterState{}, f.protocol)
	})
	must[xlreg.Cluster](t)(c.Join(t.Context(), clusterC))
	r, err := c.Wait(t.Context(), xlreg.ClusterRef{ID: full.ID}, 0)
	if err != nil || r.Cluster != full {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func TestWaitRefusesASizeThatCannotBe(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	addThree(f)
	if _, err := f.dial(nil).Wait(t.Context(), clusterC, 4); !errors.Is(err, xlreg.ErrClusterSize) {
		t.Fatalf("got %v", err)
	}
}
