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
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

var clusterC = xlreg.ClusterRef{Name: "c"}

// steps are all that a client does, in an order that is allowed.
var steps = []struct {
	op wire.Op
	do func(context.Context, *client.Client) error
}{
	{wire.OpRegCredRequest, func(ctx context.Context, c *client.Client) error { _, err := c.Registry(ctx); return err }},
	{wire.OpMember, func(ctx context.Context, c *client.Client) error { _, err := c.Register(ctx); return err }},
	{wire.OpMember, func(ctx context.Context, c *client.Client) error { _, err := c.Login(ctx); return err }},
	{wire.OpCreate, func(ctx context.Context, c *client.Client) error {
		_, err := c.Create(ctx, client.CreateOptions{Name: "c", Size: 3})
		return err
	}},
	{wire.OpGetCluster, func(ctx context.Context, c *client.Client) error { _, err := c.Cluster(ctx, clusterC); return err }},
	{wire.OpJoin, func(ctx context.Context, c *client.Client) error { _, err := c.Join(ctx, clusterC); return err }},
	{wire.OpGetCluster, func(ctx context.Context, c *client.Client) error { _, err := c.Members(ctx, clusterC); return err }},
	{wire.OpGetCluster, func(ctx context.Context, c *client.Client) error { _, err := c.Wait(ctx, clusterC, 1); return err }},
	{wire.OpLeave, func(ctx context.Context, c *client.Client) error { return c.Leave(ctx, clusterC) }},
}

// stepsOver are the steps that a protocol has.
func stepsOver(p xlreg.Protocol) int {
	if p.Classic() {
		return len(steps) - 1
	}
	return len(steps)
}

func doSteps(t *testing.T, c *client.Client, n int) {
	t.Helper()
	for i := range n {
		if err := steps[i].do(t.Context(), c); err != nil {
			t.Fatalf("step %d (%v): %v", i, steps[i].op, err)
		}
	}
}

func TestEveryStep(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			f := newFake(t, p)
			c := f.dial(newNode(t, "n"))
			doSteps(t, c, stepsOver(p))
			c.Close()
			f.sessions.Wait()
			if byes := f.requests(wire.OpBye); len(byes) != 1 {
				t.Fatalf("%d Byes", len(byes))
			}
		})
	}
}

// An error keeps its kind and detail; what it does to the session depends on the
// carrier.
func TestErrorAtEachStep(t *testing.T) {
	for _, p := range protocols {
		for i := range stepsOver(p) {
			t.Run(p.String()+" "+steps[i].op.String(), func(t *testing.T) {
				f := newFake(t, p)
				c := f.dial(newNode(t, "n"))
				doSteps(t, c, i)
				f.tell(steps[i].op, func(request) *wire.Message {
					return wire.NewError(xlreg.Errorf(xlreg.ErrClusterFull, "no room in c"))
				})
				err := steps[i].do(t.Context(), c)
				if !errors.Is(err, xlreg.ErrClusterFull) || !strings.Contains(err.Error(), "no room in c") {
					t.Fatalf("got %v", err)
				}
				if errors.Is(err, client.ErrSessionEnded) {
					t.Fatalf("%v: the error itself is no ended session", err)
				}
				f.tell(steps[i].op, f.usual)
				_, err = c.Registry(t.Context())
				if got := errors.Is(err, client.ErrSessionEnded); got != p.Classic() || !got && err != nil {
					t.Fatalf("afterwards: %v", err)
				}
				if errors.Is(err, xlreg.ErrClusterFull) {
					t.Fatalf("%v: has the kind of another call's error", err)
				}
			})
		}
	}
}

func TestConnectionLostAtEachStep(t *testing.T) {
	for _, p := range protocols {
		for i := range stepsOver(p) {
			t.Run(p.String()+" "+steps[i].op.String(), func(t *testing.T) {
				f := newFake(t, p)
				c := f.dial(newNode(t, "n"))
				doSteps(t, c, i)
				f.tell(steps[i].op, func(request) *wire.Message { return nil })
				if err := steps[i].do(t.Context(), c); !errors.Is(err, client.ErrSessionEnded) {
					t.Fatalf("got %v", err)
				}
				if _, err := c.Members(t.Context(), clusterC); !errors.Is(err, client.ErrSessionEnded) {
					t.Fatalf("afterwards: %v", err)
				}
			})
		}
	}
}

func TestWrongReplyAtEachStep(t *testing.T) {
	for i := range steps {
		t.Run(steps[i].op.String(), func(t *testing.T) {
			f := newFake(t, xlreg.Protocol20)
			c := f.dial(newNode(t, "n"))
			doSteps(t, c, i)
			f.tell(steps[i].op, func(request) *wire.Message { return wire.NewAck() })
			if err := steps[i].do(t.Context(), c); !errors.Is(err, xlreg.ErrProtocol) {
				t.Fatalf("got %v", err)
			}
			if _, err := c.Members(t.Context(), clusterC); !errors.Is(err, client.ErrSessionEnded) {
				t.Fatalf("afterwards: %v", err)
			}
		})
	}
}

func TestRegisterProposesAndSavesTheID(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			f := newFake(t, p)
			node := newNode(t, "n")
			first := must[xlreg.NodeID](t)(f.dial(node).Register(t.Context()))
			known, ok := node.Registry(f.target().Fingerprint)
			if !ok || known.ID != first || known.Name != "reg" || len(known.Endpoints) != 1 {
				t.Fatalf("saved %+v, %v; want ID %v", known, ok, first)
			}
			again := must[xlreg.NodeID](t)(f.dial(node).Register(t.Context()))
			if again != first {
				t.Fatalf("ID %v, then %v", first, again)
			}
			proposed := f.requests(wire.OpMember)
			if got := len(proposed[0].node.ID); got != map[bool]int{true: xlreg.ShortIDLen}[p.Classic()] {
				t.Fatalf("first proposal has %d bytes", got)
			}
			if proposed[1].node.ID != first {
				t.Fatalf("second proposal is %v", proposed[1].node.ID)
			}
		})
	}
}

// A registry known by its URL alone is asked for its name, once.
func TestRegisterByURLSavesTheName(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	node := newNode(t, "n")
	target := f.target()
	target.Cred = nil
	for range 2 {
		c, err := client.Dial(t.Context(), target, f.options(node))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	known, _ := node.Registry(target.Fingerprint)
	if known.Name != "reg" || len(f.requests(wire.OpRegCredRequest)) != 1 {
		t.Fatalf("name %q after %d questions", known.Name, len(f.requests(wire.OpRegCredRequest)))
	}
}

func TestLoginProvesTheKey(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			f := newFake(t, p)
			node := newNode(t, "n")
			c := f.dial(node)
			if _, err := c.Login(t.Context()); !errors.Is(err, client.ErrNotRegistered) {
				t.Fatalf("got %v", err)
			}
			registered := must[xlreg.NodeID](t)(c.Register(t.Context()))
			f.tell(wire.OpMember, func(r request) *wire.Message {
				m, err := r.Member(p)
				if err == nil && p.Classic() {
					err = keys.VerifyLogin(node.Keys().SigKey, r.peer.Salt, xlreg.NodeID(m.ID), m.DigSig)
				}
				if err != nil || m.Token != nil {
					return wire.NewError(xlreg.ErrBadSignature)
				}
				return wire.NewMemberOK(&xlreg.Token{Name: "n", ID: xlreg.NodeID(m.ID)})
			})
			if got, err := c.Login(t.Context()); err != nil || got != registered {
				t.Fatalf("got %v, %v", got, err)
			}
			f.tell(wire.OpMember, func(request) *wire.Message {
				return wire.NewMemberOK(&xlreg.Token{Name: "n", ID: xlreg.NodeID(id("another"))})
			})
			if _, err := c.Login(t.Context()); !errors.Is(err, xlreg.ErrProtocol) {
				t.Fatalf("logged in as another: %v", err)
			}
		})
	}
}

func TestWhatAReaderCannotDo(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	c := f.dial(nil)
	if _, err := c.Register(t.Context()); !errors.Is(err, client.ErrReadOnly) {
		t.Fatalf("register: %v", err)
	}
	if _, err := c.Login(t.Context()); !errors.Is(err, client.ErrReadOnly) {
		t.Fatalf("log in: %v", err)
	}
	if _, err := c.Members(t.Context(), clusterC); err != nil {
		t.Fatalf("read: %v", err)
	}
}

func TestWhatClassicCarriersCannotDo(t *testing.T) {
	f := newFake(t, xlreg.Protocol19)
	c := f.dial(newNode(t, "n"))
	if err := c.Leave(t.Context(), clusterC); !errors.Is(err, client.ErrNeeds20) {
		t.Fatalf("leave: %v", err)
	}
	_, err := c.Create(t.Context(), client.CreateOptions{Name: "c", Size: 3, Attrs: xlreg.ClusterUnique})
	if !errors.Is(err, client.ErrNeeds20) {
		t.Fatalf("create: %v", err)
	}
}

func TestCreateLooksBeforeItAsks(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	c := f.dial(newNode(t, "n"))
	for name, o := range map[string]client.CreateOptions{
		"size 1":       {Name: "c", Size: 1},
		"size 1025":    {Name: "c", Size: 1025},
		"owner":        {Size: 3, Owner: keys.NewOwner()},
		"17 endpoints": {Name: "c", Size: 3, EndpointCount: 17},
		"name":         {Name: "-c", Size: 3},
	} {
		if _, err := c.Create(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := len(f.requests(wire.OpCreate)); got != 0 {
		t.Fatalf("%d requests", got)
	}
}

func TestCreateOfAnotherSize(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	c := f.dial(newNode(t, "n"))
	if _, err := c.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	cluster, err := c.Create(t.Context(), client.CreateOptions{Name: "c", Size: 4})
	if !errors.Is(err, xlreg.ErrClusterSize) || cluster.MaxSize != 3 {
		t.Fatalf("got %+v, %v", cluster, err)
	}
}

func TestAnswersAboutAnotherCluster(t *testing.T) {
	for name, ref := range map[string]xlreg.ClusterRef{
		"ID":   {ID: xlreg.ClusterID(id("another"))},
		"name": {Name: "another"},
	} {
		f := newFake(t, xlreg.Protocol20)
		c := f.dial(newNode(t, "n"))
		if _, err := c.Members(t.Context(), ref); !errors.Is(err, xlreg.ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A request that is given up in the middle leaves a reply on its way, so the
// session cannot go on.
func TestGivingUpEndsTheSession(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	c := f.dial(newNode(t, "n"))
	ctx, cancel := context.WithCancel(t.Context())
	hold := make(chan struct{})
	f.tell(wire.OpGetCluster, func(r request) *wire.Message {
		cancel()
		<-hold
		return nil
	})
	_, err := c.Members(ctx, clusterC)
	close(hold)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, client.ErrSessionEnded) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.Members(t.Context(), clusterC); !errors.Is(err, client.ErrSessionEnded) || errors.Is(err, context.Canceled) {
		t.Fatalf("afterwards: %v", err)
	}
}

func TestASilentRegistryIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		c := f.dial(newNode(t, "n"))
		hold := make(chan struct{})
		f.tell(wire.OpGetCluster, func(request) *wire.Message { <-hold; return nil })
		start := time.Now()
		_, err := c.Members(t.Context(), clusterC)
		close(hold)
		if !errors.Is(err, client.ErrSessionEnded) || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Fatalf("after %v", took)
		}
	})
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	c := f.dial(newNode(t, "n"))
	asked, hold := make(chan struct{}), make(chan struct{})
	f.tell(wire.OpGetCluster, func(request) *wire.Message { close(asked); <-hold; return nil })
	result := make(chan error)
	go func() { _, err := c.Members(t.Context(), clusterC); result <- err }()
	<-asked
	c.Close()
	c.Close()
	if err := <-result; !errors.Is(err, client.ErrSessionEnded) {
		t.Fatalf("got %v", err)
	}
	close(hold)
	if _, err := c.Registry(t.Context()); !errors.Is(err, client.ErrSessionEnded) {
		t.Fatalf("afterwards: %v", err)
	}
}

func TestCloseDoesNotWaitForASilentRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		c := f.dial(newNode(t, "n"))
		hold := make(chan struct{})
		f.tell(wire.OpBye, func(request) *wire.Message { <-hold; return nil })
		start := time.Now()
		c.Close()
		close(hold)
		if took := time.Since(start); took > time.Second {
			t.Fatalf("took %v", took)
		}
	})
}

func TestACallWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		c := f.dial(newNode(t, "n"))
		hold := make(chan struct{})
		f.tell(wire.OpGetCluster, func(r request) *wire.Message { <-hold; return f.usual(r) })
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := c.Members(t.Context(), clusterC); first <- err }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, err := c.Registry(ctx); second <- err }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		select {
		case err := <-second:
			if !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrSessionEnded) {
				t.Errorf("got %v", err)
			}
		default:
			t.Error("still waits for the call before it")
		}
		close(hold)
		if err := <-first; err != nil {
			t.Errorf("the call before it: %v", err)
		}
	})
}

// A wait whose time is up before it has its turn says when the registry was last heard, while
// another call hears of it. The race detector tells if the two get in each other's way.
func TestAWaitWithoutATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.addOther("alice")
		f.tell(wire.OpGetCluster, func(r request) *wire.Message { elapse(time.Second); return f.usual(r) })
		c := f.dial(newNode(t, "n"))
		dialled := time.Now()
		first := make(chan error, 1)
		go func() { _, err := c.Members(t.Context(), clusterC); first <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Wait(ctx, clusterC, 3)
		var late *client.IncompleteError
		if !errors.As(err, &late) || late.Heard.Before(dialled) || late.Heard.After(time.Now()) {
			t.Errorf("got %v", err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// The signature of a token covers the certificate of the handshake.
func TestARenewedCertificateEndsTheSession(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	node := newNode(t, "n")
	c := f.dial(node)
	if err := node.SetEndpoints([]xlreg.Endpoint{"127.0.0.2:4001"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Register(t.Context()); !errors.Is(err, client.ErrSessionEnded) {
		t.Fatalf("got %v", err)
	}
}

func TestAShortKeyIsRefusedBeforeDialling(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	o := f.options(nil)
	key := must[*keys.Set](t)(keys.NewSet(shortKey(), shortKey()))
	o.Node = must[*identity.Node](t)(identity.NewNode(identity.Options{Name: "n", Keys: key}))
	if _, err := client.Dial(t.Context(), f.target(), o); err == nil || errors.Is(err, client.ErrHandshake) {
		t.Fatalf("got %v, want an error before anything is dialled", err)
	}
	if f.dialled != 0 {
		t.Fatal("dialled")
	}
}

func TestCredentialsWithAnotherKey(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.tell(wire.OpRegCredRequest, func(request) *wire.Message {
		cred := testCred(xlreg.Version20)
		cred.SigKey = testKeys()[1].SigKey
		return wire.NewRegCredReply(cred)
	})
	if _, err := f.dial(nil).Registry(t.Context()); !errors.Is(err, xlreg.ErrProtocol) {
		t.Fatalf("got %v", err)
	}
}
