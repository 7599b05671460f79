package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/regcred"
)

var protocols = []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}

func TestProtocolIsNeverChosenSilently(t *testing.T) {
	original := must[*regcred.Target](t)(regcred.NewTarget(testCred(xlreg.Version19)))
	url := &regcred.Target{Endpoints: original.Endpoints, Fingerprint: original.Fingerprint}
	node := newNode(t, "n")
	tests := []struct {
		name   string
		target *regcred.Target
		o      client.Options
		want   error
		text   string
	}{
		{"old credentials", original, client.Options{Node: node}, client.ErrOriginalRegistry, "choose protocol 1."},
		{"old credentials, nobody", original, client.Options{}, client.ErrOriginalRegistry, "or 2.0"},
		{"classic by URL", url, client.Options{Node: node, Protocol: xlreg.Protocol19}, nil, "needs the registry's regCred file"},
		{"classic, nobody", original, client.Options{Protocol: xlreg.Protocol18}, client.ErrReadOnly, "1.8"},
		{"no such protocol", original, client.Options{Node: node, Protocol: 9}, nil, "does not exist"},
		{"no endpoint", &regcred.Target{}, client.Options{Node: node}, nil, "no endpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Dialer = noDialer{t}
			_, err := client.Dial(t.Context(), tt.target, tt.o)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

// noDialer is for what has to fail before anything is dialled.
type noDialer struct{ t *testing.T }

func (d noDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	d.t.Error("dialled")
	return nil, errors.New("no")
}

func TestProtocol20CanBeChosenForOldCredentials(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	target := must[*regcred.Target](t)(regcred.NewTarget(testCred(xlreg.Version19)))
	c, err := client.Dial(t.Context(), target, f.options(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Protocol() != xlreg.Protocol20 || c.Fingerprint() != target.Fingerprint {
		t.Fatalf("session of %v with %v", c.Protocol(), c.Fingerprint())
	}
}

// dialerFunc is a function as a ContextDialer.
type dialerFunc func(ctx context.Context, address string) (net.Conn, error)

func (d dialerFunc) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	return d(ctx, address)
}

var errRefused = errors.New("refused")

func TestDialWaitsForARegistryToComeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		start := time.Now()
		o := f.options(nil)
		o.Dialer = dialerFunc(func(ctx context.Context, address string) (net.Conn, error) {
			if time.Since(start) < 10*time.Second {
				return nil, errRefused
			}
			return f.DialContext(ctx, "tcp", address)
		})
		c, err := client.Dial(t.Context(), f.target(), o)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if late := time.Since(start) - 10*time.Second; late > 500*time.Millisecond {
			t.Fatalf("dialled %v after the registry came up", late)
		}
	})
}

func TestDialGivesUp(t *testing.T) {
	refuse := dialerFunc(func(context.Context, string) (net.Conn, error) { return nil, errRefused })
	for name, limit := range map[string]time.Duration{"at the deadline": 3 * time.Second, "without one": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := must[*regcred.Target](t)(regcred.NewTarget(testCred(xlreg.Version20)))
				ctx, start := t.Context(), time.Now()
				if limit < 30*time.Second {
					bounded, cancel := context.WithTimeout(ctx, limit)
					defer cancel()
					ctx = bounded
				}
				_, err := client.Dial(ctx, target, client.Options{Dialer: refuse})
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errRefused) {
					t.Fatalf("got %v", err)
				}
				if took := time.Since(start); took != limit {
					t.Fatalf("gave up after %v, want %v", took, limit)
				}
			})
		})
	}
}

func TestAnUntrustedRegistryIsFinal(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	target := f.target()
	target.Cred.SigKey = testKeys()[1].SigKey
	_, err := client.Dial(t.Context(), target, f.options(newNode(t, "n")))
	if !errors.Is(err, client.ErrUntrusted) {
		t.Fatalf("got %v, want ErrUntrusted", err)
	}
	if f.dialled != 1 {
		t.Fatalf("dialled %d times", f.dialled)
	}
}

func TestAnotherEndpointMayBeTheTrustedOne(t *testing.T) {
	impostor, f := newFake(t, xlreg.Protocol20), newFake(t, xlreg.Protocol20)
	set := testKeys()[1]
	authority := must[*session.Authority](t)(session.NewAuthority(set.Sig, time.Now))
	impostor.server = must[*session.Server](t)(session.NewServer(session.ServerConfig{
		Authority: authority, Protocols: []xlreg.Protocol{xlreg.Protocol20},
	}))
	target := f.target()
	target.Endpoints = []xlreg.Endpoint{"127.0.0.1:1", "127.0.0.1:2"}
	target.Cred = nil // by fingerprint alone
	o := f.options(newNode(t, "n"))
	o.Dialer = dialerFunc(func(ctx context.Context, address string) (net.Conn, error) {
		if address == "127.0.0.1:1" {
			return impostor.DialContext(ctx, "tcp", address)
		}
		return f.DialContext(ctx, "tcp", address)
	})
	c, err := client.Dial(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestProbeTellsTheFingerprintToPin(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	sig, err := client.Probe(t.Context(), "127.0.0.1:9", client.Options{Dialer: f})
	if err != nil || sig != f.target().Fingerprint {
		t.Fatalf("got %q, %v", sig, err)
	}
	target := &regcred.Target{Endpoints: f.target().Endpoints, Fingerprint: sig}
	c, err := client.Dial(t.Context(), target, client.Options{Dialer: f})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cred, err := c.Registry(t.Context())
	if err != nil || cred.Name != "reg" || cred.Version != xlreg.Version20 {
		t.Fatalf("got %+v, %v", cred, err)
	}
}
