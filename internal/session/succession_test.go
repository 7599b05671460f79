package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

const crossLife = 180 * 24 * time.Hour

func succession(t testing.TB, now time.Time) *Succession {
	t.Helper()
	s, err := NewSuccession(private(sigKey()), private(clientKey()).Public(), now, crossLife)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = ParseSuccession(s.Cross(), s.Root()); err != nil {
		t.Fatal(err)
	}
	return s
}

// A registry whose key is new is believed by those who know the old one, too, by itself
// or by its fingerprint, and tells them which key is the new one.
func TestSuccession(t *testing.T) {
	s := succession(t, time.Now())
	a, err := NewSuccessor(private(clientKey()), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	sc := serverConfig(t)
	sc.Authority = a
	before, after := xlreg.SigKey(publicDER(sigKey())), xlreg.SigKey(publicDER(clientKey()))
	for name, tc := range map[string]struct {
		key  xlreg.SigKey
		next *NextKey
	}{
		"before": {before, &NextKey{SigKey: after, Until: s.Until()}},
		"after":  {after, nil},
	} {
		byKey := clientConfig(xlreg.Protocol20)
		byKey.SigKey = tc.key
		byPrint := byKey
		byPrint.SigKey, byPrint.Fingerprint = "", fingerprint(t, tc.key)
		for _, cc := range []ClientConfig{byKey, byPrint} {
			_, client := pairWith(t, tcp, sc, cc)
			peer := client.Peer()
			if peer.SigKey != tc.key {
				t.Errorf("%s: not the key that the client knows", name)
			}
			if (peer.Next == nil) != (tc.next == nil) || peer.Next != nil && *peer.Next != *tc.next {
				t.Errorf("%s: the next key is %+v", name, peer.Next)
			}
		}
	}
}

// TestSuccessionsJudged has a client that knows the old key meet servers that show it
// various things for it.
func TestSuccessionsJudged(t *testing.T) {
	old, next, third := sigKey(), clientKey(), newKey(2048)
	now := time.Now()
	cross := func(signer, subject keys.Private, at time.Time, life time.Duration) [][]byte {
		s, err := NewSuccession(signer, subject.Public(), at, life)
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{s.Cross(), s.Root()}
	}
	notCA := certificate(t, old, next.Public(), old, nil).Certificate
	for name, tc := range map[string]struct {
		crosses [][]byte
		want    error
	}{
		"right":                        {cross(private(old), private(next), now, crossLife), nil},
		"no cross certificate":         {nil, ErrUntrusted},
		"for another key":              {cross(private(old), private(third), now, crossLife), ErrUntrusted},
		"by another key":               {cross(private(third), private(next), now, crossLife), ErrUntrusted},
		"over":                         {cross(private(old), private(next), now.Add(-3*time.Hour), time.Hour), ErrUntrusted},
		"just over":                    {cross(private(old), private(next), now.Add(-3*time.Hour), 3*time.Hour-time.Minute), nil},
		"to come":                      {cross(private(old), private(next), now.Add(leafBackdate+2*time.Hour), crossLife), ErrUntrusted},
		"not a CA's":                   {notCA, ErrUntrusted},
		"two steps":                    {append(cross(private(old), private(third), now, crossLife), cross(private(third), private(next), now, crossLife)...), ErrUntrusted},
		"the right one behind a wrong": {append(cross(private(third), private(next), now, crossLife), cross(private(old), private(next), now, crossLife)...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			shown := leaf(t, next, nil)
			shown.Certificate = append(shown.Certificate, tc.crosses...)
			judge(t, shown, clientConfig(xlreg.Protocol20), tc.want)
		})
	}
	late := leaf(t, next, func(c *x509.Certificate) { c.NotAfter = now.Add(-59 * time.Minute) })
	late.Certificate = append(late.Certificate, cross(private(old), private(next), now, crossLife)...)
	judge(t, late, clientConfig(xlreg.Protocol20), nil)
	late.Certificate = append(late.Certificate[:2], cross(private(old), private(next), now.Add(-3*time.Hour), time.Hour)...)
	judge(t, late, clientConfig(xlreg.Protocol20), ErrUntrusted)
}

// A clock that is wrong is said to be so, whatever else is not valid at its time.
func TestSuccessionAndClock(t *testing.T) {
	shown := leaf(t, clientKey(), nil)
	s := succession(t, time.Now())
	shown.Certificate = append(shown.Certificate, s.Cross(), s.Root())
	for _, at := range []time.Time{time.Unix(0, 0), time.Now().Add(10 * crossLife)} {
		cfg := clientConfig(xlreg.Protocol20)
		cfg.Now = func() time.Time { return at }
		judge(t, shown, cfg, ErrClock)
	}
}

// What the old key vouched for is no longer shown when that is over.
func TestSuccessionEnds(t *testing.T) {
	now := time.Now()
	a, err := NewSuccessor(private(clientKey()), succession(t, now), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{4, 4, 2} {
		chain, err := a.Chain()
		if err != nil || len(chain) != want {
			t.Errorf("%d certificates, want %d: %v", len(chain), want, err)
		}
		now = now.Add(crossLife * 2 / 3)
	}
}

func TestSuccessionRefuses(t *testing.T) {
	now := time.Now()
	s := succession(t, now)
	ec, err := keys.NewPrivate(ecKey(t))
	if err != nil {
		t.Fatal(err)
	}
	small := private(newKey(1024))
	for name, f := range map[string]func() (any, error){
		"the key of another":  func() (any, error) { return NewSuccessor(private(sigKey()), s, nil) },
		"P-256 for authority": func() (any, error) { return NewAuthority(ec, nil) },
		"P-256 next":          func() (any, error) { return NewSuccession(private(sigKey()), ec.Public(), now, crossLife) },
		"P-256 before":        func() (any, error) { return NewSuccession(ec, private(sigKey()).Public(), now, crossLife) },
		"1024 bits":           func() (any, error) { return NewSuccession(small, private(sigKey()).Public(), now, crossLife) },
		"two roots":           func() (any, error) { return ParseSuccession(s.Cross(), leaf(t, clientKey(), nil).Certificate[1]) },
		"not certificates":    func() (any, error) { return ParseSuccession(nil, nil) },
		"a leaf for the cross": func() (any, error) {
			chain := leaf(t, sigKey(), nil).Certificate
			return ParseSuccession(chain[0], chain[1])
		},
		"a cross that is no CA's": func() (any, error) {
			template := &x509.Certificate{BasicConstraintsValid: true}
			der, err := x509.CreateCertificate(rand.Reader, template, s.root, clientKey().Public(), sigKey())
			if err != nil {
				t.Fatal(err)
			}
			return ParseSuccession(der, s.Root())
		},
	} {
		if got, err := f(); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A signed roster is verified, without its registry, by whoever knows a key.
func TestSignRoster(t *testing.T) {
	a, err := NewSuccessor(private(clientKey()), succession(t, time.Now()), nil)
	if err != nil {
		t.Fatal(err)
	}
	now, sum := time.Now(), keys.Sum{1, 2, 3}
	signed, err := a.SignRoster(sum, uint64(now.UnixMilli()))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []xlreg.SigKey{xlreg.SigKey(publicDER(sigKey())), xlreg.SigKey(publicDER(clientKey()))} {
		chain, err := keys.VerifyChain(signed.Chain, keys.Pin{SigKey: key}, now)
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.VerifyRoster(chain.Leaf.PublicKey.(*ecdsa.PublicKey), sum, signed.Millis, signed.Sig); err != nil {
			t.Error(err)
		}
		if err := keys.VerifyRoster(chain.Leaf.PublicKey.(*ecdsa.PublicKey), sum, signed.Millis+1, signed.Sig); err == nil {
			t.Error("signed for every time")
		}
	}
	shown, err := a.certificate(new(tls.ClientHelloInfo))
	if err != nil || string(shown.Certificate[0]) != string(signed.Chain[0]) {
		t.Errorf("not the chain of a handshake: %v", err)
	}
}

// A client that knows the comms key before the present one gets its classic session.
func TestFormerCommsKey(t *testing.T) {
	sc := serverConfig(t)
	sc.Comms = private(clientKey()).(keys.Decrypter)
	sc.FormerComms = private(commsKey()).(keys.Decrypter)
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
		for _, key := range [][]byte{publicDER(commsKey()), publicDER(clientKey())} {
			cc := clientConfig(p)
			cc.CommsKey = xlreg.CommsKey(key)
			server, client := pairWith(t, tcp, sc, cc)
			pass(t, client, server, wire.NewBye())
		}
	}
	stranger := clientConfig(xlreg.Protocol19)
	stranger.CommsKey = xlreg.CommsKey(publicDER(sigKey()))
	sn, cn := tcp(t)
	accepted := accept(t, sc, sn)
	if _, err := Connect(context.Background(), cn, stranger); !errors.Is(err, ErrHandshake) {
		t.Errorf("connect: %v", err)
	}
	if r := <-accepted; !errors.Is(r.err, ErrHandshake) {
		t.Errorf("accept: %v", r.err)
	}
	sc.FormerComms = private(newKey(3072)).(keys.Decrypter)
	if _, err := NewServer(sc); err == nil {
		t.Error("two sizes of comms key were taken")
	}
}
