package original

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// testKey serves all servers and clients of these tests.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		panic(err)
	}
	return key
})

func start(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Comms == nil {
		o.Comms = testKey()
	}
	o.Sig = testKey()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// peer is a client: a carrier whose directions have changed places.
type peer struct{ carrier }

// newPeer takes key, and over 1.8 IV, from the front of a hello or its reply.
func newPeer(t *testing.T, g Generation, text []byte) peer {
	t.Helper()
	var p peer
	if g == V18 {
		p.in, p.out, text = text[:ivLen], text[:ivLen], text[ivLen:]
	}
	block, err := aes.NewCipher(text[:keyLen])
	if err != nil {
		t.Fatal(err)
	}
	p.block = block
	return p
}

func dial(t *testing.T, s *Server) *peer {
	t.Helper()
	hello := random(keyLen + saltLen + versionLen)
	if s.generation == V18 {
		hello = random(ivLen + keyLen + saltLen + versionLen)
	}
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &s.comms.PublicKey, hello, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dialWith(t, s, sealed, hello)
}

// dialWith opens a session with a hello, and checks the reply.
func dialWith(t *testing.T, s *Server, sealed, hello []byte) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	once := newPeer(t, s.generation, hello)
	once.nc = nc
	if err := once.write(sealed); err != nil {
		t.Fatal(err)
	}
	reply, err := once.receive()
	if err != nil {
		t.Fatal(err)
	}
	version := s.generation.version()
	want := version[:]
	if s.generation == V18 {
		want = append(bytes.Clone(hello[ivLen+keyLen:len(hello)-versionLen]), want...) // salt1
	}
	if !bytes.HasSuffix(reply, want) {
		t.Fatalf("hello reply %x, want one that ends in %x", reply, want)
	}
	p := newPeer(t, s.generation, reply)
	p.nc = nc
	return &p
}

// ask returns the reply to a request, of whatever length.
func (p *peer) ask(t *testing.T, text []byte) []byte {
	t.Helper()
	if err := p.send(text); err != nil {
		t.Fatal(err)
	}
	var b []byte
	for {
		part, err := p.read()
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(b), err)
		}
		b = append(b, part...)
		if text, err := p.open(b); err == nil {
			return text
		}
	}
}

// open reads a reply that may be whole, as parse sees it.
func (p *peer) open(b []byte) ([]byte, error) {
	sealed := b
	if p.in != nil {
		sealed = append(bytes.Clone(p.in), b...)
	}
	text, err := decrypt(p.block, sealed)
	if err != nil {
		return nil, err
	}
	if _, err := parse(text); err != nil {
		return nil, err
	}
	if p.in != nil {
		p.in = b[len(b)-aes.BlockSize:]
	}
	return text, nil
}

func (p *peer) do(t *testing.T, o op, fields ...[]byte) message {
	t.Helper()
	reply, err := parse(p.ask(t, append(newMessage(o), bytes.Join(fields, nil)...)))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// must is do for a request that is answered with its reply.
func (p *peer) must(t *testing.T, o op, fields ...[]byte) message {
	t.Helper()
	m := p.do(t, o, fields...)
	if m.op() != o+1 {
		t.Fatalf("op %d is answered by %d: %s", o, m.op(), m.text(fieldErrDesc))
	}
	return m
}

// refused checks that a request is answered by an Error, and that nothing follows.
func (p *peer) refused(t *testing.T, want string, o op, fields ...[]byte) {
	t.Helper()
	m := p.do(t, o, fields...)
	if m.op() != opError || string(m.text(fieldErrDesc)) != want {
		t.Fatalf("op %d is answered by %d: %q, want %q", o, m.op(), m.text(fieldErrDesc), want)
	}
	if _, err := p.read(); !errors.Is(err, io.EOF) {
		t.Fatalf("after an Error: %v", err)
	}
}

func text(n int, v string) []byte     { return appendText(nil, protowire.Number(n), []byte(v)) }
func number(n int, v uint64) []byte   { return appendNumber(nil, protowire.Number(n), v) }
func ref(m message) []byte            { return text(13, string(m.text(fieldClusterID))) }
func size(n, endPoints uint64) []byte { return append(number(15, n), number(17, endPoints)...) }

// specs is the Member of a node of a name, signed.
func specs(t *testing.T, name string) []byte {
	t.Helper()
	key, err := x509.MarshalPKIXPublicKey(&testKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	const end = "127.0.0.1:4001"
	digest := sha1.Sum(bytes.Join([][]byte{[]byte(name), make([]byte, 8), key, key, []byte(end)}, nil))
	sig, err := rsa.SignPKCS1v15(nil, testKey(), crypto.SHA1, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return appendText(nil, fieldMemberSpecs, bytes.Join([][]byte{
		text(1, name), number(2, 0), text(3, string(newID())), text(4, string(key)), text(5, string(key)), text(6, end), text(7, string(sig)),
	}, nil))
}

// dialMember opens a session of a node that has said Member.
func dialMember(t *testing.T, s *Server, name string) *peer {
	t.Helper()
	p := dial(t, s)
	p.must(t, opMember, specs(t, name))
	return p
}

// Every request in every state: what is not in the protocol's order is an Error
// and the end. RegCredRequest and what came after the originals never are.
func TestOrder(t *testing.T) {
	to := map[state]func(*testing.T, *Server) *peer{
		greeted: dial,
		known:   func(t *testing.T, s *Server) *peer { return dialMember(t, s, "m") },
		created: func(t *testing.T, s *Server) *peer {
			p := dialMember(t, s, "m")
			p.must(t, opCreate, text(14, "c"), size(2, 1))
			return p
		},
		joined: func(t *testing.T, s *Server) *peer {
			p := dialMember(t, s, "m")
			p.must(t, opCreate, text(14, "c"), size(2, 1))
			p.must(t, opJoin)
			return p
		},
	}
	ok := map[state][]op{
		greeted: {opMember, opBye},
		known:   {opCreate, opJoin, opBye},
		created: {opJoin, opBye},
		joined:  {opGetCluster, opBye},
	}
	for g, release := range releases {
		t.Run(release, func(t *testing.T) {
			s := start(t, Options{Generation: g})
			there := dialMember(t, s, "first").must(t, opCreate, text(14, "c"), size(2, 1))
			fields := map[op][]byte{opMember: specs(t, "m"), opCreate: append(text(14, "c"), size(2, 1)...), opJoin: ref(there), opGetCluster: ref(there)}
			for state, reach := range to {
				for o := op(0); o <= 16; o++ {
					p := reach(t, s)
					if !slices.Contains(ok[state], o) {
						p.refused(t, "invalid msg type for current state", o, fields[o])
						continue
					}
					p.must(t, o, fields[o])
				}
			}
		})
	}
}

// Which absent is 0 and asks for nobody, and only an ID finds a cluster.
func TestGetCluster(t *testing.T) {
	s := start(t, Options{Generation: V19})
	dialMember(t, s, "m0").must(t, opCreate, text(14, "c"), size(2, 1))
	p := dialMember(t, s, "m1")
	c := p.must(t, opJoin, text(14, "c"))
	if m := p.must(t, opGetCluster, ref(c)); m.numbers[fieldWhich] != 0 || len(m.texts[fieldTokens]) > 0 {
		t.Errorf("without Which: %v", m)
	}
	if m := p.must(t, opGetCluster, ref(c), number(20, 1<<40|1)); m.numbers[fieldWhich] != 1 || len(m.texts[fieldTokens]) != 1 {
		t.Errorf("with Which: %v", m)
	}
	p.refused(t, "can't find cluster with ID ", opGetCluster, text(14, "c"), number(20, 1))
	dialMember(t, s, "m2").refused(t, "cannot find cluster with this name", opJoin, text(14, "other"))
	dialMember(t, s, "m2").refused(t, "can't find cluster with ID 616263", opJoin, text(13, "abc"))
	dialMember(t, s, "m2").refused(t, "missing cluster name or ID", opJoin)
}

// All tokens come in one message, past what an original client reads at once.
func TestOneMessage(t *testing.T) {
	for g, release := range releases {
		t.Run(release, func(t *testing.T) {
			s := start(t, Options{Generation: g})
			var last *peer
			var c message
			for i := range 24 {
				last = dialMember(t, s, fmt.Sprintf("m%d", i))
				last.must(t, opCreate, text(14, "c"), size(24, 1))
				c = last.must(t, opJoin)
			}
			if m := last.must(t, opGetCluster, ref(c), number(20, 1<<24-1)); len(m.texts[fieldTokens]) != 24 || m.numbers[fieldWhich] != 1<<24-1 {
				t.Errorf("%d tokens, which %x", len(m.texts[fieldTokens]), m.numbers[fieldWhich])
			}
			for range 3 { // the chain of the next messages is right
				last.must(t, opGetCluster, ref(c), number(20, 1))
			}
		})
	}
}

// A cluster without a name is one of a name, so there is one only; a name that was
// lost in a race is there the next time.
func TestNames(t *testing.T) {
	s := start(t, Options{Generation: V18})
	c := dialMember(t, s, "m0").must(t, opCreate, size(2, 1))
	if again := dialMember(t, s, "m1").must(t, opJoin, text(14, "xlCluster")); !bytes.Equal(ref(again), ref(c)) {
		t.Error("the cluster without a name has another name")
	}
	dialMember(t, s, "m1").refused(t, "name already in use", opCreate, size(2, 1))
	dialMember(t, s, "m1").refused(t, "cluster members must have at least one endPoint", opCreate, text(14, "c"))
	if c := dialMember(t, s, "m1").must(t, opCreate, text(14, "large"), size(99, 1)); c.numbers[fieldClusterMaxSize] != 64 {
		t.Errorf("size %d", c.numbers[fieldClusterMaxSize])
	}

	s = start(t, Options{Generation: V18, LoseRaces: true})
	dialMember(t, s, "m0").refused(t, "name already in use", opCreate, text(14, "c"), size(3, 1))
	if c := dialMember(t, s, "m0").must(t, opCreate, text(14, "c"), size(5, 1)); c.numbers[fieldClusterMaxSize] != 3 {
		t.Errorf("size %d", c.numbers[fieldClusterMaxSize])
	}
}

// A token that somebody changed is refused.
func TestSignature(t *testing.T) {
	for _, changed := range []string{"name", "end"} {
		p, m := dial(t, start(t, Options{Generation: V19})), specs(t, "member")
		switch changed {
		case "name":
			m = bytes.Replace(m, []byte("member"), []byte("nember"), 1)
		case "end":
			m = bytes.Replace(m, []byte("127.0.0.1"), []byte("127.0.0.2"), 1)
		}
		p.refused(t, rsa.ErrVerification.Error(), opMember, m)
	}
}

// A Hello of the other generation, or none, is closed without a word.
func TestGarbage(t *testing.T) {
	s := start(t, Options{Generation: V19})
	other := random(ivLen + keyLen + saltLen + versionLen)
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &s.comms.PublicKey, other, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{sealed, random(256), []byte("GET / HTTP/1.1\r\n\r\n")} {
		nc, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := nc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n, _ := nc.Read(make([]byte, 1)); n > 0 {
			t.Errorf("%x is answered", b[:8])
		}
		nc.Close()
	}
}

// Close ends sessions that are under way, twice.
func TestClose(t *testing.T) {
	s := start(t, Options{Generation: V18})
	p := dial(t, s)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.read(); err == nil {
		t.Error("the session goes on")
	}
	if _, err := Start(Options{}); err == nil {
		t.Error("a server of no generation")
	}
}
