package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/wire"
)

// formOptions are those of a node n that wants to be one of three in c.
func (f *fake) formOptions(n *identity.Node) client.FormOptions {
	return client.FormOptions{Options: f.options(n), Cluster: clusterC, Size: 3}
}

func TestForm(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, p)
				f.tell(wire.OpGetCluster, f.wait)
				node := newNode(t, "n")
				after(t, 4*time.Second, func() { f.addOther("alice"); f.addOther("bob") })
				m, err := client.Form(t.Context(), f.target(), f.formOptions(node))
				if err != nil {
					t.Fatal(err)
				}
				if len(m.Roster().Members) != 3 || m.Cluster() != f.roster.Cluster || m.Node() != node {
					t.Fatalf("got %+v", m.Roster())
				}
				self := m.Self()
				if self == nil || self.Token.Name != "n" || self.Verified == p.Classic() {
					t.Fatalf("self is %+v", self)
				}
				f.sessions.Wait()
				if f.dialled != 1 || len(f.requests(wire.OpGetCluster)) != 1 || len(f.requests(wire.OpBye)) != 1 {
					t.Fatalf("%d sessions, %d reads", f.dialled, len(f.requests(wire.OpGetCluster)))
				}
			})
		})
	}
}

func TestFormSavesTheIDBeforeItJoins(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.roster.Cluster.MaxSize = 2
	f.addOther("alice")
	node := newNode(t, "n")
	f.tell(wire.OpJoin, func(r request) *wire.Message {
		if _, ok := node.Registry(f.target().Fingerprint); !ok {
			t.Error("joins with an ID that is not saved")
		}
		return f.usual(r)
	})
	o := f.formOptions(node)
	o.Size = 2
	must[*client.Membership](t)(client.Form(t.Context(), f.target(), o))
}

func TestFormTellsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.tell(wire.OpGetCluster, f.wait)
		after(t, time.Minute, func() { f.addOther("alice") })
		after(t, 2*time.Minute, func() { f.addOther("bob") })
		start := time.Now()
		var told []string
		o := f.formOptions(newNode(t, "n"))
		o.Progress = func(p client.Progress) {
			told = append(told, fmt.Sprintf("%v: %d of %d in %s", time.Since(start), len(p.Roster.Members), p.Size, p.Cluster.Name))
		}
		must[*client.Membership](t)(client.Form(t.Context(), f.target(), o))
		want := "0s: 1 of 3 in c; 1m0s: 2 of 3 in c; 2m0s: 3 of 3 in c"
		if got := strings.Join(told, "; "); got != want {
			t.Fatalf("told %s\nwant %s", got, want)
		}
	})
}

// A registry that goes away at any point of a formation is asked again, by the
// same node under the same ID.
func TestFormCarriesOnAfterALostConnection(t *testing.T) {
	for _, p := range protocols {
		for _, op := range []wire.Op{wire.OpMember, wire.OpCreate, wire.OpJoin, wire.OpGetCluster} {
			t.Run(p.String()+" "+op.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(t, p)
					f.addOther("alice")
					f.addOther("bob")
					f.tell(op, func(r request) *wire.Message {
						if r.session <= 2 {
							return nil
						}
						return f.usual(r)
					})
					var again []error
					o := f.formOptions(newNode(t, "n"))
					o.Progress = func(p client.Progress) {
						if p.Err != nil {
							again = append(again, p.Err)
						}
					}
					start := time.Now()
					m, err := client.Form(t.Context(), f.target(), o)
					if err != nil {
						t.Fatal(err)
					}
					if f.dialled != 3 || len(again) != 2 || !errors.Is(again[0], client.ErrSessionEnded) {
						t.Fatalf("%d sessions, told of %v", f.dialled, again)
					}
					if took := time.Since(start); took > 200*time.Millisecond {
						t.Errorf("took %v", took)
					}
					registered := f.requests(wire.OpMember)
					last := registered[len(registered)-1].node.ID
					if op != wire.OpMember && last != m.Self().Token.ID {
						t.Errorf("registered again as %v", last)
					}
				})
			})
		}
	}
}

// Over a classic carrier an error may be the answer to a request that changed on the way,
// so it is believed when it comes again.
func TestFormEndsWithAnErrorOfTheRegistry(t *testing.T) {
	for op, kind := range map[wire.Op]xlreg.Kind{
		wire.OpMember:     xlreg.ErrIDInUse,
		wire.OpCreate:     xlreg.ErrIllFormedName,
		wire.OpJoin:       xlreg.ErrClusterFull,
		wire.OpGetCluster: xlreg.ErrNoSuchClusterID,
	} {
		for _, p := range protocols {
			f := newFake(t, p)
			f.tell(op, func(request) *wire.Message { return wire.NewError(kind) })
			o, sessions := f.formOptions(newNode(t, "n")), 2
			if p == xlreg.Protocol20 {
				o.Protocol, sessions = 0, 1 // it is the default
			}
			_, err := client.Form(t.Context(), f.target(), o)
			if !errors.Is(err, kind) || f.dialled != sessions {
				t.Errorf("%v %v: got %v after %d sessions", p, op, err, f.dialled)
			}
		}
	}
}

// A registry whose answers make no sense is asked for as long as there is time over a
// classic carrier, where they may have changed on the way, and once over 2.0, where they
// cannot.
func TestFormAndNonsense(t *testing.T) {
	for _, p := range protocols {
		for kind, reply := range map[xlreg.Kind]*wire.Message{
			xlreg.ErrProtocol:       wire.NewAck(), // to a Member
			xlreg.ErrIllFormedToken: wire.NewError(xlreg.ErrIllFormedToken),
			xlreg.ErrBadSignature:   wire.NewError(xlreg.ErrBadSignature),
		} {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, p)
				f.tell(wire.OpMember, func(request) *wire.Message { return reply })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := client.Form(ctx, f.target(), f.formOptions(newNode(t, "n")))
				if !errors.Is(err, kind) || errors.Is(err, context.DeadlineExceeded) != p.Classic() || (f.dialled > 10) != p.Classic() {
					t.Errorf("%v: got %v after %d sessions", p, err, f.dialled)
				}
			})
		}
	}
}

func TestFormComesBackWhenTold(t *testing.T) {
	for _, kind := range []xlreg.Kind{xlreg.ErrTryLater, xlreg.ErrTooManyRequests} {
		for _, p := range protocols {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, p)
				f.addOther("alice")
				f.addOther("bob")
				f.tell(wire.OpCreate, func(r request) *wire.Message {
					if len(f.requests(wire.OpCreate)) == 1 {
						return wire.NewError(&xlreg.Error{Kind: kind, Retry: 7 * time.Second})
					}
					return f.usual(r)
				})
				start := time.Now()
				_, err := client.Form(t.Context(), f.target(), f.formOptions(newNode(t, "n")))
				if took := time.Since(start); err != nil || took < 7*time.Second || took > 8*time.Second {
					t.Errorf("%v %v: %v after %v", p, kind, err, took)
				}
			})
		}
	}
}

func TestFormRunsOutOfTime(t *testing.T) {
	tests := map[string]struct {
		on    wire.Op
		do    func(f *fake, r request) *wire.Message
		parts []string
		cause error
	}{
		"waiting":      {wire.OpGetCluster, (*fake).wait, []string{"1 of 3", "2 missing", "this node has joined with index 0", "free seats: 1, 2", "last heard at ", "n at 127.0.0.1:4001 since"}, nil},
		"try later":    {wire.OpJoin, func(*fake, request) *wire.Message { return wire.NewError(xlreg.ErrTryLater) }, []string{"not joined, 3 members wanted", "try again later"}, xlreg.ErrTryLater},
		"no answer":    {wire.OpMember, func(*fake, request) *wire.Message { return nil }, []string{"not joined", "session with the registry ended"}, client.ErrSessionEnded},
		"no roster":    {wire.OpGetCluster, func(*fake, request) *wire.Message { return nil }, []string{": joined (index not heard yet), 3 members wanted", "last heard at "}, client.ErrSessionEnded},
		"lost at last": {wire.OpGetCluster, (*fake).waitOnce, []string{"this node has joined with index 0", "1 of 3", "n at 127.0.0.1:4001"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, xlreg.Protocol20)
				f.tell(tt.on, func(r request) *wire.Message { return tt.do(f, r) })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				o := f.formOptions(newNode(t, "n"))
				o.Progress = func(client.Progress) {}
				_, err := client.Form(ctx, f.target(), o)
				var incomplete *client.IncompleteError
				if !errors.As(err, &incomplete) || !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got %v", err)
				}
				if tt.cause != nil && !errors.Is(err, tt.cause) {
					t.Errorf("%v does not wrap %v", err, tt.cause)
				}
				for _, part := range tt.parts {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not say %q", err, part)
					}
				}
				if took := time.Since(start); took > time.Minute || took < 59*time.Second {
					t.Errorf("after %v", took)
				}
			})
		})
	}
}

// waitOnce answers the first read, and then the connection is lost each time.
func (f *fake) waitOnce(r request) *wire.Message {
	if len(f.requests(wire.OpGetCluster)) == 1 {
		return f.members(r.get().Which)
	}
	return nil
}

func TestFormRefusesAnotherSizeBeforeItJoins(t *testing.T) {
	for _, joinOnly := range []bool{false, true} {
		f := newFake(t, xlreg.Protocol20)
		o := f.formOptions(newNode(t, "n"))
		o.Size, o.JoinOnly = 4, joinOnly
		_, err := client.Form(t.Context(), f.target(), o)
		if !errors.Is(err, xlreg.ErrClusterSize) || len(f.requests(wire.OpJoin)) != 0 {
			t.Errorf("got %v after %d Joins", err, len(f.requests(wire.OpJoin)))
		}
	}
}

func TestJoinOnlyDoesNotCreate(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.addOther("alice")
	f.addOther("bob")
	o := f.formOptions(newNode(t, "n"))
	o.Size, o.JoinOnly = 0, true
	m, err := client.Form(t.Context(), f.target(), o)
	if err != nil || len(m.Roster().Members) != 3 || len(f.requests(wire.OpCreate)) != 0 {
		t.Fatalf("got %v, %v", m, err)
	}
	f.tell(wire.OpGetCluster, func(request) *wire.Message { return wire.NewError(xlreg.ErrNoSuchClusterName) })
	if _, err := client.Form(t.Context(), f.target(), o); !errors.Is(err, xlreg.ErrNoSuchClusterName) {
		t.Fatalf("got %v", err)
	}
}

// A name that the registry made up stays the cluster's when it is asked again.
func TestAUniqueNameIsMadeUpOnce(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.roster.Cluster.Name = "c-abcdefghijklmnop"
	f.addOther("alice")
	f.addOther("bob")
	f.tell(wire.OpJoin, func(r request) *wire.Message {
		if r.session == 1 {
			return nil
		}
		return f.usual(r)
	})
	o := f.formOptions(newNode(t, "n"))
	o.Attrs = xlreg.ClusterUnique
	m, err := client.Form(t.Context(), f.target(), o)
	if err != nil {
		t.Fatal(err)
	}
	first := must[xlreg.ClusterSpec](t)(f.requests(wire.OpCreate)[0].Create(f.protocol))
	second := must[xlreg.ClusterSpec](t)(f.requests(wire.OpCreate)[1].Create(f.protocol))
	if first.Name != "c" || first.Attrs != xlreg.ClusterUnique || second.Name != "c-abcdefghijklmnop" || second.Attrs != 0 {
		t.Fatalf("created %+v, then %+v", first, second)
	}
	if m.Cluster().Name != "c-abcdefghijklmnop" {
		t.Fatalf("cluster %q", m.Cluster().Name)
	}
}

func TestFormLooksForItself(t *testing.T) {
	tests := map[string]struct {
		join func(f *fake, r request)
		want xlreg.Kind
	}{
		"not there": {func(f *fake, r request) { f.addOther("carol") }, xlreg.ErrNotMember},
		"with another key": {func(f *fake, r request) {
			other := newNodeWith(t, 2, "n", []xlreg.Endpoint{"127.0.0.1:1"})
			token, _, err := other.Token(xlreg.Protocol20, "", time.Now())
			if err == nil {
				f.add(*token, r.nodeID())
			}
		}, xlreg.ErrBadSignature},
	}
	for name, tt := range tests {
		f := newFake(t, xlreg.Protocol20)
		f.addOther("alice")
		f.addOther("bob")
		f.tell(wire.OpJoin, func(r request) *wire.Message {
			tt.join(f, r)
			return f.reply(wire.OpJoinReply)
		})
		if _, err := client.Form(t.Context(), f.target(), f.formOptions(newNode(t, "n"))); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestFormNeverReturnsAForgedRoster(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.addOther("alice")
	f.addOther("bob")
	f.spoil(0, func(m *xlreg.Member) { m.Token.Endpoints = []xlreg.Endpoint{"127.0.0.1:666"} })
	_, err := client.Form(t.Context(), f.target(), f.formOptions(newNode(t, "n")))
	if !errors.Is(err, xlreg.ErrBadSignature) || !strings.Contains(err.Error(), `"alice"`) || f.dialled != 1 {
		t.Fatalf("got %v after %d sessions", err, f.dialled)
	}
}

func TestFormDoesNotTrustAnotherRegistry(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	target := f.target()
	target.Cred.SigKey = testKeys()[1].SigKey
	if _, err := client.Form(t.Context(), target, f.formOptions(newNode(t, "n"))); !errors.Is(err, client.ErrUntrusted) {
		t.Fatalf("got %v", err)
	}
}

func TestMembershipRefreshesAndLeaves(t *testing.T) {
	for _, p := range protocols {
		f := newFake(t, p)
		f.addOther("alice")
		f.addOther("bob")
		m := must[*client.Membership](t)(client.Form(t.Context(), f.target(), f.formOptions(newNode(t, "n"))))
		f.spoil(0, func(member *xlreg.Member) { member.Index = 0; member.Token.Seat.Joined = time.Unix(1, 0).UTC() })
		r, err := m.Refresh(t.Context())
		if err != nil || len(r.Members) != 3 || m.Roster() != r {
			t.Fatalf("%v: got %v, %v", p, r, err)
		}
		err = m.Leave(t.Context())
		if p.Classic() != errors.Is(err, client.ErrNeeds20) || !p.Classic() && err != nil {
			t.Fatalf("%v: leave: %v", p, err)
		}
		f.mu.Lock()
		f.roster.Members = f.roster.Members[:2]
		f.mu.Unlock()
		if _, err := m.Refresh(t.Context()); !errors.Is(err, xlreg.ErrNotMember) || m.Roster() != r {
			t.Fatalf("%v: refresh after leaving: %v", p, err)
		}
	}
}

// A registry that was never reached is what the error is about.
func TestFormWithoutARegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		o := f.formOptions(newNode(t, "n"))
		o.Dialer = dialerFunc(func(context.Context, string) (net.Conn, error) { return nil, errRefused })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client.Form(ctx, f.target(), o)
		var incomplete *client.IncompleteError
		if !errors.As(err, &incomplete) || incomplete.Roster != nil || incomplete.Missing() != 3 {
			t.Fatalf("got %v", err)
		}
		if !errors.Is(err, errRefused) || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("got %v", err)
		}
		t.Log(err)
	})
}

// Without a deadline a registry that is not there is waited for like members that are
// not there: without end. Whoever waits is told.
func TestFormWaitsForARegistryWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.addOther("alice")
		f.addOther("bob")
		start := time.Now()
		var told []error
		o := f.formOptions(newNode(t, "n"))
		o.Progress = func(p client.Progress) {
			if p.Err != nil {
				told = append(told, p.Err)
			}
		}
		o.Dialer = dialerFunc(func(ctx context.Context, address string) (net.Conn, error) {
			if time.Since(start) < time.Hour {
				return nil, errRefused
			}
			return f.DialContext(ctx, "tcp", address)
		})
		if _, err := client.Form(t.Context(), f.target(), o); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Hour+2*time.Second {
			t.Errorf("formed %v after the registry was there", took-time.Hour)
		}
		if len(told) < 300 || len(told) > 400 || !errors.Is(told[0], errRefused) {
			t.Errorf("told %d times in an hour", len(told))
		}
	})
}

// A registry that does not take the node's certificate will not take it later.
func TestFormEndsWhenTheRegistryRefusesTheCertificate(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"xlreg/2"}, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{registryCertificate(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(),
	}
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	dialled := 0
	o := f.formOptions(newNode(t, "n"))
	o.Dialer = dialerFunc(func(ctx context.Context, _ string) (net.Conn, error) {
		dialled++
		f.sessions.Go(func() { refuseTLS(t, l, config) })
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	})
	if _, err := client.Form(t.Context(), f.target(), o); !errors.Is(err, client.ErrHandshake) || dialled != 1 {
		t.Fatalf("got %v after %d sessions", err, dialled)
	}
}

// refuseTLS reads on after its alert until the client closes: otherwise what the
// client sends meanwhile would make the system forget the alert.
func refuseTLS(t *testing.T, l net.Listener, config *tls.Config) {
	nc, err := l.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer nc.Close()
	if err := tls.Server(nc, config).Handshake(); err == nil {
		t.Error("the certificate is taken")
	}
	_, _ = io.Copy(io.Discard, nc)
}

// A session that is open already is the one in which the node joins, and Form ends it.
func TestFormBeginsWithASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.tell(wire.OpGetCluster, f.wait)
		after(t, time.Second, func() { f.addOther("alice"); f.addOther("bob") })
		node := newNode(t, "n")
		o := f.formOptions(node)
		o.Session = f.dial(node)
		if m := must[*client.Membership](t)(client.Form(t.Context(), f.target(), o)); len(m.Roster().Members) != 3 {
			t.Errorf("got %+v", m.Roster())
		}
		f.sessions.Wait() // it is closed
		if f.dialled != 1 {
			t.Errorf("%d sessions", f.dialled)
		}
	})
}

// When the session has ended meanwhile, Form opens another.
func TestFormGoesOnWithoutItsSession(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.addOther("alice")
	f.addOther("bob")
	node := newNode(t, "n")
	o := f.formOptions(node)
	o.Session = f.dial(node)
	o.Session.Close()
	must[*client.Membership](t)(client.Form(t.Context(), f.target(), o))
	if f.dialled != 2 {
		t.Errorf("%d sessions", f.dialled)
	}
}

// A session that Form cannot begin with is closed all the same.
func TestFormClosesASessionThatItDoesNotUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		o := f.formOptions(newNode(t, "n"))
		o.Session = f.dial(newNode(t, "other"))
		if _, err := client.Form(t.Context(), f.target(), o); err == nil || !strings.Contains(err.Error(), "another node's") {
			t.Errorf("got %v", err)
		}
		f.sessions.Wait()
	})
}
