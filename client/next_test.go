package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/keys"
)

// prove makes a fake prove its identity by the key of the given number, for which the first
// one vouches until some time, if it does.
func (f *fake) prove(set int, vouched time.Duration) {
	f.t.Helper()
	old, next := testKeys()[0].Sig, testKeys()[set].Sig
	var succession *session.Succession
	if vouched > 0 {
		succession = must[*session.Succession](f.t)(session.NewSuccession(old, next.Public(), time.Now(), vouched))
	}
	authority := must[*session.Authority](f.t)(session.NewSuccessor(next, succession, time.Now))
	server, err := session.NewServer(session.ServerConfig{
		Comms: testKeys()[0].Comms.(keys.Decrypter), Authority: authority, Protocols: []xlreg.Protocol{f.protocol},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server = server
}

// A client that knows the old key of a registry believes the next one while the old one
// vouches for it, and says so; a node keeps it, and is not lost when the old one's word ends.
func TestTheNextKeyOfARegistry(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	n := newNode(t, "n")
	next := must[string](t)(keys.Fingerprint(testKeys()[3].SigKey))
	var log bytes.Buffer
	o := f.options(n)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	register := func(now func() time.Time) (*client.Client, error) {
		o.Now = now
		c, err := client.Dial(t.Context(), f.target(), o)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { c.Close() })
		_, err = c.Register(t.Context())
		return c, err
	}
	if c, err := register(time.Now); err != nil {
		t.Fatal(err)
	} else if _, _, ok := c.NextFingerprint(); ok {
		t.Error("a key that follows, before there is one")
	}
	f.prove(3, time.Hour)
	c, err := register(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got, until, ok := c.NextFingerprint(); !ok || got != next || time.Until(until) > time.Hour {
		t.Errorf("next is %q until %v, %v", got, until, ok)
	}
	if !strings.Contains(log.String(), next) {
		t.Errorf("the log does not say %s: %s", next, &log)
	}
	known, ok := n.Registry(c.Fingerprint())
	if beside, both := n.Registry(next); !ok || !both || known.Next != next || known.NextUntil.IsZero() || beside.ID != known.ID {
		t.Errorf("the node keeps %+v and %+v", known, beside)
	}
	f.prove(3, 0) // nobody vouches for the key any more
	if _, err := register(time.Now); err != nil {
		t.Errorf("a node that knows the key: %v", err)
	}
	if _, err := client.Dial(t.Context(), f.target(), client.Options{Dialer: f}); !errors.Is(err, client.ErrUntrusted) {
		t.Errorf("who does not know it: %v", err)
	}
	f.prove(0, 0) // the change was taken back
	if _, err := register(time.Now); err != nil {
		t.Errorf("the old key while it counts: %v", err)
	}
	later := func() time.Time { return time.Now().Add(3 * time.Hour) }
	if _, err := register(later); !errors.Is(err, client.ErrUntrusted) {
		t.Errorf("the old key when its word is over: %v", err)
	}
	f.prove(3, 0)
	if _, err := register(later); err != nil {
		t.Errorf("the next key then: %v", err)
	}
}

// What a node knows of a next key outlives the program.
func TestANextKeyIsKeptOnDisk(t *testing.T) {
	dir := t.TempDir()
	n, err := identity.Init(dir, identity.Options{Name: "n", Keys: testKeys()[1]})
	if err != nil {
		t.Fatal(err)
	}
	known := identity.KnownRegistry{
		Sig: must[string](t)(keys.Fingerprint(testKeys()[0].SigKey)), Name: "reg", ID: xlreg.NodeID(id("n")),
		Next: must[string](t)(keys.Fingerprint(testKeys()[3].SigKey)), NextUntil: time.Now().Add(time.Hour).UTC().Truncate(time.Second),
	}
	if err := errors.Join(n.SetRegistry(known), n.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := again.Registry(known.Sig)
	if !ok || fmt.Sprint(got) != fmt.Sprint(known) {
		t.Errorf("got %+v, want %+v", got, known)
	}
}
