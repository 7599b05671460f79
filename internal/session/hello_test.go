package session

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// dripping writes byte by byte.
type dripping struct{ net.Conn }

func (d dripping) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// TestByteByByte shakes hands and talks with a client whose bytes come singly.
func TestByteByByte(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		n := func(t testing.TB) (net.Conn, net.Conn) {
			s, c := pipe(t)
			return s, dripping{c}
		}
		server, client := pair(t, n, p)
		pass(t, client, server, member("m0"))
		pass(t, server, client, wire.NewAck())
	})
}

// TestHelloAndMore sends more than a Hello in one write: the rest belongs to the
// session.
func TestHelloAndMore(t *testing.T) {
	sn, cn := tcp(t)
	accepted := accept(t, serverConfig(t), sn)
	h := newHello(xlreg.Protocol19)
	b, err := h.encrypt(private(commsKey()).Public().(keys.Encrypter))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cn.Write(append(b, "and more"...)); err != nil {
		t.Fatal(err)
	}
	r := <-accepted
	if r.err != nil {
		t.Fatal(r.err)
	}
	if got := string(r.conn.(*conn).in.bytes()); got != "and more" {
		t.Errorf("%q belongs to the session", got)
	}
}

func TestSniff(t *testing.T) {
	tls := []byte{0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3}
	for n, b := range map[int][]byte{
		1:  {0x15},
		2:  {0x16, 2},
		6:  {0x16, 3, 1, 0, 200, 2},
		10: {0x16, 3, 1, 0, 200, 1, 0, 0, 196, 2},
		11: {0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 4},
	} {
		in := inbox{src: newLink(&feed{pieces: bytewise(b)}), limit: chunk}
		modern, err := sniff(&in)
		if modern || err != nil || in.len() != n {
			t.Errorf("%x: TLS %v after %d bytes, %v; want classic after %d", b, modern, in.len(), err, n)
		}
		if !bytes.Equal(in.bytes(), b[:n]) {
			t.Errorf("%x: %x is left", b, in.bytes())
		}
	}
	for n := range len(tls) + 1 {
		in := inbox{src: newLink(&feed{pieces: [][]byte{tls[:n:n]}}), limit: chunk}
		if n == 0 {
			in.src = newLink(&feed{})
		}
		modern, err := sniff(&in)
		if modern != (n == len(tls)) || (err == nil) != modern {
			t.Errorf("%x: TLS %v, %v", tls[:n], modern, err)
		}
	}
}

// encrypted is plain as a Hello's ciphertext.
func encrypted(t *testing.T, plain []byte) []byte {
	t.Helper()
	b, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &commsKey().PublicKey, plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBadHello wants a silent close for each.
func TestBadHello(t *testing.T) {
	tests := map[string][]byte{
		"garbage":         bytes.Repeat([]byte{0x5a}, 256),
		"zeros":           make([]byte, 256),
		"past modulus":    bytes.Repeat([]byte{0xff}, 256),
		"TLS, but broken": append([]byte{0x16, 3, 1, 0, 11, 1, 0, 0, 7, 3, 3}, make([]byte, 5)...),
	}
	other, err := newHello(xlreg.Protocol19).encrypt(private(sigKey()).Public().(keys.Encrypter))
	if err != nil {
		t.Fatal(err)
	}
	tests["other key"] = other
	for _, n := range []int{0, 1, 43, 45, 59, 61, 100} {
		tests[fmt.Sprint("plaintext of ", n)] = encrypted(t, make([]byte, n))
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			sn, cn := tcp(t)
			accepted := accept(t, serverConfig(t), sn)
			if _, err := cn.Write(b); err != nil {
				t.Fatal(err)
			}
			if b[0] != 0x16 {
				nothing(t, cn)
			}
			_, _ = io.Copy(io.Discard, cn) // TLS may answer with an alert
			cn.Close()
			if r := <-accepted; !errors.Is(r.err, ErrHandshake) || r.conn != nil {
				t.Errorf("accept: %v", r.err)
			}
		})
	}
}

func TestShortHello(t *testing.T) {
	for _, n := range []int{0, 1, 5, 255} {
		sn, cn := tcp(t)
		accepted := accept(t, serverConfig(t), sn)
		if _, err := cn.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if err := cn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		nothing(t, cn)
		if r := <-accepted; !errors.Is(r.err, ErrHandshake) || !errors.Is(r.err, io.EOF) && !errors.Is(r.err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", n, r.err)
		}
	}
}

// TestHelloTimeout wants a silent close when ctx ends, however far a Hello got.
func TestHelloTimeout(t *testing.T) {
	cfg := serverConfig(t)
	for name, b := range map[string][]byte{
		"nothing": nil,
		"classic": make([]byte, 255),
		"TLS":     {0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := NewServer(cfg)
				if err != nil {
					t.Fatal(err)
				}
				sn, cn := pipe(t)
				go func() { _, _ = cn.Write(b) }()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				_, err = s.Accept(ctx, sn)
				if !errors.Is(err, ErrHandshake) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("accept: %v", err)
				}
				if got := time.Since(start); got != 10*time.Second {
					t.Errorf("after %v", got)
				}
				nothing(t, cn)
			})
		})
	}
}

// TestNotServed wants each carrier that is not served to be closed in silence.
func TestNotServed(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		cfg := serverConfig(t)
		cfg.Protocols = slices.DeleteFunc(slices.Clone(protocols), func(q xlreg.Protocol) bool { return q == p })
		sn, cn := pipe(t)
		accepted := accept(t, cfg, sn)
		counter := &readCounter{Conn: cn}
		if _, err := Connect(context.Background(), counter, clientConfig(p)); !errors.Is(err, ErrHandshake) {
			t.Errorf("connect: %v", err)
		}
		if r := <-accepted; !errors.Is(r.err, ErrHandshake) {
			t.Errorf("accept: %v", r.err)
		}
		if counter.read != 0 {
			t.Errorf("%d bytes answered", counter.read)
		}
	})
}

// readCounter counts the bytes that were read.
type readCounter struct {
	net.Conn
	read int
}

func (w *readCounter) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.read += n
	return n, err
}

// TestOnlyOne serves one protocol at a time.
func TestOnlyOne(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		cfg := serverConfig(t)
		cfg.Protocols = []xlreg.Protocol{p}
		server, client := pairWith(t, pipe, cfg, clientConfig(p))
		pass(t, client, server, wire.NewBye())
	})
}

func TestServerConfig(t *testing.T) {
	for name, change := range map[string]func(*ServerConfig){
		"no protocol":  func(c *ServerConfig) { c.Protocols = nil },
		"no comms key": func(c *ServerConfig) { c.Comms = nil },
		"no authority": func(c *ServerConfig) { c.Authority = nil },
	} {
		cfg := serverConfig(t)
		change(&cfg)
		if _, err := NewServer(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestDecryptRefuses has a comms key see one whole Hello, and refuse it.
func TestDecryptRefuses(t *testing.T) {
	refusal := errors.New("not now")
	cfg := serverConfig(t)
	helloLen := cfg.Comms.CiphertextLen()
	cfg.Comms = &fakeKey{helloLen, func(b []byte) ([]byte, error) {
		if len(b) != helloLen {
			t.Errorf("%d bytes", len(b))
		}
		return nil, refusal
	}}
	sn, cn := tcp(t)
	accepted := accept(t, cfg, sn)
	if _, err := Connect(context.Background(), cn, clientConfig(xlreg.Protocol19)); !errors.Is(err, ErrHandshake) {
		t.Errorf("connect: %v", err)
	}
	if r := <-accepted; !errors.Is(r.err, ErrHandshake) || !errors.Is(r.err, refusal) {
		t.Errorf("accept: %v", r.err)
	}
}

// TestBadReply lets a client meet replies that are not to its Hello: it closes
// without a word.
func TestBadReply(t *testing.T) {
	type forger func(h *hello, r *helloReply, iv [aes.BlockSize]byte) []byte
	seal := func(h *hello, r *helloReply, iv [aes.BlockSize]byte) []byte {
		b, err := r.seal(h, iv)
		if err != nil {
			panic(err)
		}
		return b
	}
	tests := []struct {
		name     string
		protocol xlreg.Protocol
		forge    forger
	}{
		{"garbage", xlreg.Protocol18, func(*hello, *helloReply, [16]byte) []byte { return make([]byte, replyLen18) }},
		{"garbage", xlreg.Protocol19, func(*hello, *helloReply, [16]byte) []byte { return make([]byte, replyLen19) }},
		{"short", xlreg.Protocol18, func(*hello, *helloReply, [16]byte) []byte { return make([]byte, replyLen18-1) }},
		{"none", xlreg.Protocol19, func(*hello, *helloReply, [16]byte) []byte { return nil }},
		{"another salt", xlreg.Protocol18, func(h *hello, r *helloReply, iv [16]byte) []byte {
			h.salt1[0]++
			return seal(h, r, iv)
		}},
		{"another key", xlreg.Protocol19, func(h *hello, r *helloReply, iv [16]byte) []byte {
			h.key1[0]++
			return seal(h, r, iv)
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name+" "+tc.protocol.String(), func(t *testing.T) {
			sn, cn := tcp(t)
			connected := make(chan error, 1)
			go func() {
				_, err := Connect(context.Background(), cn, clientConfig(tc.protocol))
				cn.Close() // whether it should have been believed or not
				connected <- err
			}()
			h := readHello(t, sn)
			var iv [aes.BlockSize]byte
			if _, err := sn.Write(tc.forge(h, newReply(tc.protocol), iv)); err != nil {
				t.Fatal(err)
			}
			if err := sn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			nothing(t, sn)
			if err := <-connected; !errors.Is(err, ErrHandshake) {
				t.Errorf("connect: %v", err)
			}
		})
	}
}

func readHello(t *testing.T, nc net.Conn) *hello {
	t.Helper()
	b := make([]byte, commsKey().Size())
	if _, err := io.ReadFull(nc, b); err != nil {
		t.Fatal(err)
	}
	plain, err := private(commsKey()).(keys.Decrypter).Decrypt(b)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHello(plain)
	if err != nil {
		t.Fatal(err)
	}
	if h.version != 0 {
		t.Errorf("client proposes version %v", h.version)
	}
	return h
}

// TestReplyVersion looks at the version in the server's reply.
func TestReplyVersion(t *testing.T) {
	for p, want := range map[xlreg.Protocol]xlreg.Version{
		xlreg.Protocol18: xlreg.Version18,
		xlreg.Protocol19: xlreg.Version19,
	} {
		sn, cn := pipe(t)
		accepted := accept(t, serverConfig(t), sn)
		h := newHello(p)
		b, err := h.encrypt(private(commsKey()).Public().(keys.Encrypter))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cn.Write(b); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, h.replyLen())
		if _, err := io.ReadFull(cn, answer); err != nil {
			t.Fatal(err)
		}
		reply, err := h.open(answer)
		if err != nil || reply.version != want {
			t.Errorf("%v: reply %+v, %v", p, reply, err)
		}
		r := <-accepted
		if r.err != nil || !bytes.Equal(r.conn.Peer().Salt, reply.salt2[:]) {
			t.Errorf("%v: salt %x, reply %x, %v", p, r.conn.Peer().Salt, reply.salt2, r.err)
		}
	}
}

func TestConnectConfig(t *testing.T) {
	for name, cfg := range map[string]ClientConfig{
		"no protocol":  {},
		"no comms key": {Protocol: xlreg.Protocol19},
		"no pin":       {Protocol: xlreg.Protocol20},
	} {
		_, cn := pipe(t)
		if _, err := Connect(context.Background(), cn, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := cn.Write([]byte{0}); err == nil {
			t.Errorf("%s: connection left open", name)
		}
	}
}
