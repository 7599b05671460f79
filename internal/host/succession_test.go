package host_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// A registry that has been given its next keys is the same one: those who know the old key
// find it for as long as that vouches for the next, those who know the next one too, and
// classic clients of either.
func TestNextKeys(t *testing.T) {
	dir, old, next := t.TempDir(), testKeys()[0], testKeys()[1]
	open := func() (*running, *identity.Node) {
		t.Helper()
		node, err := identity.OpenRegistry(dir)
		if errors.Is(err, identity.ErrNoNode) {
			node, err = identity.Init(dir, identity.Options{Name: "xlReg", Keys: old, Registry: true})
		}
		if err != nil {
			t.Fatal(err)
		}
		data := memory.New()
		r := start(t, node, data, "127.0.0.1:0", nil)
		t.Cleanup(func() { node.Close(); data.Close() })
		return r, node
	}
	before, node := open()
	id := before.Cred().ID
	if err := host.NextKeys(dir, next, time.Now(), host.CrossLife); !errors.Is(err, identity.ErrInUse) {
		t.Errorf("while it runs: %v", err)
	}
	if err := errors.Join(before.stop(), before.Close(), node.Close()); err != nil {
		t.Fatal(err)
	}
	if err := host.NextKeys(dir, next, time.Now(), host.CrossLife); err != nil {
		t.Fatal(err)
	}
	after, _ := open()
	if after.Cred().ID != id || after.Cred().SigKey != next.SigKey || after.Cred().CommsKey != next.CommsKey {
		t.Errorf("afterwards it is %+v, before it was %v", after.Cred(), id)
	}
	for name, set := range map[string]*keys.Set{"old": old, "next": next} {
		for _, p := range protocols {
			chain, err := after.chain(t, p, set)
			if err != nil {
				t.Errorf("with the %s keys over %v: %v", name, p, err)
			}
			if p.Classic() {
				continue
			}
			got, err := keys.VerifyChain(chain, keys.Pin{SigKey: set.SigKey}, time.Now())
			if err != nil || got.Pinned != set.SigKey || got.Signer != next.SigKey || got.Until.IsZero() != (name == "next") {
				t.Errorf("who knows the %s key takes %+v, %v", name, got, err)
			}
		}
	}
}

// From the day that the operator says the keys before count for nothing, over any carrier;
// and again, if it is put off.
func TestEndOfFormerKeys(t *testing.T) {
	dir, old, next := t.TempDir(), testKeys()[0], testKeys()[1]
	node, err := identity.Init(dir, identity.Options{Name: "xlReg", Keys: old, Registry: true})
	if err == nil {
		err = node.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := host.NextKeys(dir, next, time.Now(), host.CrossLife); err != nil {
		t.Fatal(err)
	}
	if node, err = identity.OpenRegistry(dir); err != nil {
		t.Fatal(err)
	}
	data := memory.New()
	t.Cleanup(func() { node.Close(); data.Close() })
	r := start(t, node, data, "127.0.0.1:0", func(cfg *host.Config) { cfg.EndFormer = time.Now().Add(time.Hour) })
	word := r.FormerUntil()
	if left := time.Until(word); left < 50*time.Minute || left > time.Hour {
		t.Errorf("the end is in %v, want an hour", left)
	}
	for _, c := range []struct {
		end    time.Time
		counts bool
	}{{word, true}, {time.Now().Add(-time.Second), false}, {time.Time{}, true}, {time.Now(), false}} {
		r.EndFormer(c.end)
		for _, p := range protocols {
			if got := r.knownBy(t, p, old); got != c.counts {
				t.Errorf("with an end in %v, over %v: old keys count %v", time.Until(c.end), p, got)
			}
			if !r.knownBy(t, p, next) {
				t.Errorf("with an end in %v, over %v: the present keys do not count", time.Until(c.end), p)
			}
		}
	}
	r.EndFormer(time.Now().Add(10 * host.CrossLife))
	if left := time.Until(r.FormerUntil()); left > host.CrossLife {
		t.Errorf("the old key counts for %v, and its own word is %v", left, host.CrossLife)
	}
}

// knownBy reports whether the registry is the one wanted to a client that knows these keys.
func (r *running) knownBy(t *testing.T, p xlreg.Protocol, set *keys.Set) bool {
	t.Helper()
	chain, err := r.chain(t, p, set)
	if err == nil && !p.Classic() {
		_, err = keys.VerifyChain(chain, keys.Pin{SigKey: set.SigKey}, time.Now())
	}
	return err == nil
}

// chain connects with what a client knows, and returns the certificates that the registry
// shows over 2.0.
func (r *running) chain(t *testing.T, p xlreg.Protocol, set *keys.Set) ([][]byte, error) {
	t.Helper()
	nc, err := net.Dial("tcp", r.Bound()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if !p.Classic() {
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"xlreg/2"}}) // verified by the caller
		if err := c.HandshakeContext(t.Context()); err != nil {
			return nil, err
		}
		var shown [][]byte
		for _, cert := range c.ConnectionState().PeerCertificates {
			shown = append(shown, cert.Raw)
		}
		return shown, nil
	}
	c, err := session.Connect(t.Context(), nc, session.ClientConfig{Protocol: p, CommsKey: set.CommsKey, SigKey: set.SigKey})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Send(t.Context(), wire.NewRegCredRequest()); err != nil {
		return nil, err
	}
	_, err = c.Receive(t.Context())
	return nil, err
}
