package client_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/regcred"
)

// servers are fakes that are one registry, each at an endpoint of its own.
type servers struct {
	t     *testing.T
	fakes []*fake

	mu    sync.Mutex
	spoil map[int]func(context.Context) (net.Conn, error) // guarded by mu; what dialling one of them does instead
	tried []int                                           // guarded by mu
}

func newServers(t *testing.T, n int) *servers {
	s := &servers{t: t, spoil: make(map[int]func(context.Context) (net.Conn, error))}
	for range n {
		s.fakes = append(s.fakes, newFake(t, xlreg.Protocol20))
	}
	s.fakes[0].addOther("alice")
	s.fakes[0].addOther("bob")
	s.agree()
	return s
}

// agree has all servers show what the first one does.
func (s *servers) agree() {
	first := s.fakes[0]
	first.mu.Lock()
	defer first.mu.Unlock()
	for _, f := range s.fakes[1:] {
		f.mu.Lock()
		f.roster = first.roster
		f.mu.Unlock()
	}
}

func (s *servers) target() *regcred.Target {
	target := s.fakes[0].target()
	target.Endpoints = endpoints(len(s.fakes))
	return target
}

// DialContext implements client.ContextDialer.
func (s *servers) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	i := slices.Index(endpoints(len(s.fakes)), xlreg.Endpoint(address))
	s.mu.Lock()
	s.tried = append(s.tried, i)
	spoilt := s.spoil[i]
	s.mu.Unlock()
	if spoilt != nil {
		return spoilt(ctx)
	}
	return s.fakes[i].DialContext(ctx, network, address)
}

// dialled returns which servers were, and forgets it.
func (s *servers) dialled() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	tried := s.tried
	s.tried = nil
	return tried
}

func (s *servers) options() client.FormOptions {
	o := s.fakes[0].formOptions(newNode(s.t, "n"))
	o.Dialer, o.Shuffle = s, asWritten
	return o
}

// form returns how long a Form took, which has to succeed.
func (s *servers) form() time.Duration {
	s.t.Helper()
	return took(func() { must[*client.Membership](s.t)(client.Form(s.t.Context(), s.target(), s.options())) })
}

// refuse has a server answer requests of a kind so, until the time is up.
func (s *servers) refuse(i int, op wire.Op, e *xlreg.Error, d time.Duration) {
	until := time.Now().Add(d)
	f := s.fakes[i]
	f.tell(op, func(r request) *wire.Message {
		if time.Now().Before(until) {
			return wire.NewError(e)
		}
		return f.usual(r)
	})
}

func tryLater(retry time.Duration) *xlreg.Error {
	return &xlreg.Error{Kind: xlreg.ErrTryLater, Detail: "the registry is stopping", Retry: retry}
}

// A server that says "try again later" to any request is left for another one at once.
func TestTryLaterLeadsToAnotherServer(t *testing.T) {
	for _, op := range []wire.Op{wire.OpMember, wire.OpCreate, wire.OpJoin, wire.OpGetCluster} {
		synctest.Test(t, func(t *testing.T) {
			s := newServers(t, 3)
			s.refuse(0, op, tryLater(time.Second), yours)
			s.refuse(1, op, tryLater(time.Second), yours)
			if took := s.form(); took > 0 {
				t.Errorf("%v: took %v", op, took)
			}
			if tried := s.dialled(); !slices.Equal(tried, []int{0, 1, 2}) {
				t.Errorf("%v: tried %v", op, tried)
			}
		})
	}
}

// So is one that breaks a session off.
func TestALostSessionLeadsToAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 2)
		s.fakes[0].tell(wire.OpJoin, func(request) *wire.Message { return nil })
		if took := s.form(); took > 0 {
			t.Errorf("took %v", took)
		}
	})
}

// Only when all servers have said so is there a pause, as long as the one that said the
// shortest time, and each is asked once before the pause.
func TestAllServersSayTryLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 3)
		for i, retry := range []time.Duration{20 * time.Second, 3 * time.Second, 30 * time.Second} {
			s.refuse(i, wire.OpJoin, tryLater(retry), time.Second)
		}
		if took := s.form(); took < 3*time.Second || took > 3100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if tried := s.dialled(); !slices.Equal(tried, []int{0, 1, 2, 0}) {
			t.Errorf("tried %v", tried)
		}
	})
}

// One server says so and the others are not there: what is tried again and again is tried
// with pauses.
func TestTheOnlyServerLeftSaysTryLater(t *testing.T) {
	for name, other := range map[string]func(context.Context) (net.Conn, error){
		"refused": func(context.Context) (net.Conn, error) { return nil, errRefused },
		"dead":    deaf,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServers(t, 3)
				s.spoil[0], s.spoil[1] = other, other
				s.refuse(2, wire.OpJoin, tryLater(0), 20*time.Second)
				s.form()
				if n := len(s.fakes[2].requests(wire.OpJoin)); n > 40 {
					t.Errorf("asked to join %d times in 20 s", n)
				}
			})
		})
	}
}

// A limit of the registry is no reason to try it elsewhere.
func TestALimitIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 2)
		s.refuse(0, wire.OpJoin, &xlreg.Error{Kind: xlreg.ErrTooManyRequests, Retry: 5 * time.Second}, time.Second)
		if took := s.form(); took < 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A server that hangs costs half a second, wherever it hangs, and the next session does not
// begin with it.
func TestAHungServerCostsHalfASecond(t *testing.T) {
	for name, hang := range map[string]func(*servers, context.Context) (net.Conn, error){
		"before TCP":       func(_ *servers, ctx context.Context) (net.Conn, error) { return deaf(ctx) },
		"in the handshake": func(s *servers, ctx context.Context) (net.Conn, error) { return s.silent(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServers(t, 3)
				s.spoil[0] = func(ctx context.Context) (net.Conn, error) { return hang(s, ctx) }
				var m *client.Membership
				if took := took(func() { m = must[*client.Membership](t)(client.Form(t.Context(), s.target(), s.options())) }); took != 500*time.Millisecond {
					t.Errorf("took %v", took)
				}
				s.dialled()
				if took := took(func() { must[*client.Roster](t)(m.Refresh(t.Context())) }); took > 0 {
					t.Errorf("the next session took %v", took)
				}
				if tried := s.dialled(); tried[0] == 0 {
					t.Errorf("the next session tried %v", tried)
				}
			})
		})
	}
}

// silent is a connection on which nothing comes.
func (s *servers) silent(ctx context.Context) (net.Conn, error) {
	return (&trouble{fake: s.fakes[0]}).silent(ctx)
}

// Refresh asks each server once, and says what the last one said.
func TestRefreshAsksEachServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 3)
		m := must[*client.Membership](t)(client.Form(t.Context(), s.target(), s.options()))
		s.dialled()
		for i := range s.fakes {
			s.refuse(i, wire.OpGetCluster, tryLater(0), time.Second)
		}
		if _, err := m.Refresh(t.Context()); !errors.Is(err, xlreg.ErrTryLater) {
			t.Errorf("got %v", err)
		}
		if tried := s.dialled(); !slices.Equal(tried, []int{0, 1, 2}) {
			t.Errorf("tried %v", tried)
		}
		s.refuse(0, wire.OpGetCluster, tryLater(0), yours)
		elapse(time.Minute)
		s.agree()
		must[*client.Roster](t)(m.Refresh(t.Context()))
	})
}

// Sixty-four clients spread over three servers, without knowing of one another.
func TestClientsSpread(t *testing.T) {
	seeded := rand.New(rand.NewPCG(1, 2)).Shuffle
	for name, shuffle := range map[string]func(int, func(i, j int)){"by default": nil, "seeded": seeded} {
		t.Run(name, func(t *testing.T) {
			s := newServers(t, 3)
			const clients = 64
			for range clients {
				o := client.Options{Dialer: s, Shuffle: shuffle}
				must[*client.Client](t)(client.Dial(t.Context(), s.target(), o)).Close()
			}
			for i, f := range s.fakes {
				if f.dialled == 0 || f.dialled > 2*clients/len(s.fakes) {
					t.Errorf("server %d has %d of %d sessions", i, f.dialled, clients)
				}
			}
		})
	}
}

// A watch that comes to a server which is behind the last one never sees the cluster go back:
// it asks another one, and tells each change once.
func TestWatchNeverGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 2)
		s.fakes[0].tell(wire.OpGetCluster, func(r request) *wire.Message {
			if r.get().Since != nil {
				return nil // the server dies
			}
			return s.fakes[0].usual(r)
		})
		behind := s.fakes[1]
		s.fakes[0].addOther("carol")
		ahead := s.fakes[0].roster.State.Revision
		behind.tell(wire.OpGetCluster, behind.wait)
		after(t, 2*time.Second, func() {
			s.agree() // it has caught up, and goes on
			behind.change(func(r *xlreg.Roster) { r.Members = r.Members[:2] })
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		o := client.WatchOptions{Options: client.Options{Dialer: s, Shuffle: asWritten}, Cluster: clusterC}
		watch := watching(t, client.Watch(ctx, s.target(), o))
		if c := watch.want("+alice +bob +carol"); c.Roster.State.Revision != ahead {
			t.Errorf("begins with %v", c.Roster.State)
		}
		start := time.Now()
		if c := watch.want("-carol"); c.Roster.State.Revision <= ahead {
			t.Errorf("after %v comes %v", ahead, c.Roster.State)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("caught up after %v", took)
		}
	})
}
