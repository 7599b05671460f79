package session

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// ServerConfig is what a registry needs to accept sessions.
type ServerConfig struct {
	// Comms is the registry's comms key, which decrypts classic Hellos.
	Comms keys.Decrypter
	// FormerComms is the comms key before that, for clients that know no other; nil if
	// there is none. Both have one size.
	FormerComms keys.Decrypter
	// Turn bounds how many handshakes are computed at once: it waits until it is
	// this one's turn, which lasts until release is called, but not past the end of
	// ctx. Nil is no bound.
	Turn func(ctx context.Context, from netip.Addr) (release func(), err error)
	// Wasted is told of a handshake that had its turn and then failed by the
	// peer's doing. It may be nil.
	Wasted func(from netip.Addr)
	// Authority proves the registry's identity over 2.0.
	Authority *Authority
	// Protocols are those served. A connection that speaks another is closed
	// without an answer.
	Protocols []xlreg.Protocol
	Limits    Limits
}

// Server is the registry's end of every carrier.
type Server struct {
	cfg          ServerConfig
	limits       atomic.Pointer[Limits]
	classic, tls bool // what is served
}

// NewServer returns a Server, or an error if cfg lacks what its Protocols need.
func NewServer(cfg ServerConfig) (*Server, error) {
	s := &Server{cfg: cfg}
	s.SetLimits(cfg.Limits)
	s.cfg.Protocols = slices.Clone(cfg.Protocols)
	s.classic = s.serves(xlreg.Protocol18) || s.serves(xlreg.Protocol19)
	s.tls = s.serves(xlreg.Protocol20)
	switch {
	case !s.classic && !s.tls:
		return nil, errors.New("new server: no protocol to serve")
	case s.classic && cfg.Comms == nil:
		return nil, errors.New("new server: no key for the classic carriers")
	case s.classic && cfg.FormerComms != nil && cfg.FormerComms.CiphertextLen() != cfg.Comms.CiphertextLen():
		return nil, errors.New("new server: the comms key and the one before it have two sizes")
	case s.tls && cfg.Authority == nil:
		return nil, errors.New("new server: no authority for 2.0")
	}
	return s, nil
}

// SetLimits has other limits count for the sessions that begin from now on.
func (s *Server) SetLimits(l Limits) { s.limits.Store(&l) }

func (s *Server) serves(p xlreg.Protocol) bool { return slices.Contains(s.cfg.Protocols, p) }

// restTimes is how much longer the rest of a handshake may take than the hello. The server's
// answer to a hello is large: if a whole cluster shares a slow line, the hellos arrive at
// once, but sending the answers takes half a minute.
const restTimes = 3

// AcceptWithin is Accept for a peer that has the given time to say hello, and three
// times as long for the rest of the handshake.
func (s *Server) AcceptWithin(ctx context.Context, nc net.Conn, hello time.Duration) (Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(hello, func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	return s.accept(ctx, nc, &patience{timer: timer, rest: restTimes * hello})
}

// Accept finds out which carrier nc speaks and shakes hands with the peer, until ctx
// ends. If that fails it closes nc, and the error is an ErrHandshake. A peer whose
// handshake fails is sent nothing, except that over TLS it is sent an alert.
func (s *Server) Accept(ctx context.Context, nc net.Conn) (Conn, error) {
	return s.accept(ctx, nc, nil)
}

func (s *Server) accept(ctx context.Context, nc net.Conn, hello *patience) (Conn, error) {
	return shake(ctx, nc, *s.limits.Load(), func(l *link) (*conn, error) {
		l.hello = hello
		c, err := s.handshake(ctx, l)
		if err != nil && l.turned && ctx.Err() == nil && s.cfg.Wasted != nil {
			s.cfg.Wasted(l.addr().Addr())
		}
		return c, err
	})
}

// patience is how long a registry waits for the steps of a handshake.
type patience struct {
	timer *time.Timer // ends the handshake
	rest  time.Duration
}

// greeted gives the peer the time for the rest of the handshake.
func (p *patience) greeted() {
	if p != nil {
		p.timer.Reset(p.rest)
	}
}

func (s *Server) handshake(ctx context.Context, l *link) (*conn, error) {
	in := inbox{src: l, limit: xlreg.MaxClassicMessage}
	modern, err := sniff(&in)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read first bytes: %w", err)
	case modern && s.tls:
		l.early = in.bytes()
		return s.acceptTLS(ctx, l)
	case !modern && s.classic:
		return s.acceptClassic(ctx, l, in)
	}
	return nil, errors.New("carrier not served")
}

// shake runs a handshake over nc until ctx ends, and closes nc unless a session
// came about.
func shake(ctx context.Context, nc net.Conn, limits Limits, handshake func(*link) (*conn, error)) (Conn, error) {
	l := newLink(nc)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	c, err := handshake(l)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err == nil {
		l.begin(limits)
		return c, nil
	}
	l.Close()
	if errors.Is(err, ErrUntrusted) || errors.Is(err, ErrClock) {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
}

// tlsMarks are the bytes that a ClientHello has and a classic Hello, being random,
// has not: protocol.md section 3.1. Where a record has a header, both bytes of
// tlsHeader begin it.
var (
	tlsMarks  = map[int]byte{0: 0x01, 4: 0x03, 5: 0x03}
	tlsHeader = [...]byte{0x16, 0x03}
)

const (
	tlsHeaderLen = 5
	tlsMarked    = 6 // bytes of a ClientHello that are looked at
)

// sniff reads until it can tell TLS from a classic Hello, which is at the first
// byte that differs, and leaves what it read where it was. A ClientHello may come in
// several records, and records may be as short as a byte: the marks are where they
// are in the ClientHello, so the headers in between are passed over.
func sniff(in *inbox) (modern bool, err error) {
	at, left := 0, 0 // the next byte of in; how many of its record are still to come
	for n := range tlsMarked {
		if left == 0 {
			if left, err = sniffHeader(in, at); left == 0 {
				return false, err
			}
			at += tlsHeaderLen
		}
		if err := in.await(at + 1); err != nil {
			return false, err
		}
		if want, marked := tlsMarks[n]; marked && in.bytes()[at] != want {
			return false, nil
		}
		at, left = at+1, left-1
	}
	return true, nil
}

// sniffHeader returns how many bytes follow the header of a record, and 0 if there is
// none. TLS has no empty record here, but that is for TLS to refuse.
func sniffHeader(in *inbox, at int) (int, error) {
	for i, want := range tlsHeader {
		if err := in.await(at + i + 1); err != nil {
			return 0, err
		}
		if in.bytes()[at+i] != want {
			return 0, nil
		}
	}
	if err := in.await(at + tlsHeaderLen); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(in.bytes()[at+tlsHeaderLen-2:]))
	return cmp.Or(n, tlsMarked), nil
}

// await fills until there are n bytes.
func (in *inbox) await(n int) error {
	for in.len() < n {
		err := in.fill()
		if errors.Is(err, io.EOF) && in.len() > 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// acceptClassic is the registry's side of protocol.md section 3; dialClassic is
// the client's.
func (s *Server) acceptClassic(ctx context.Context, l *link, in inbox) (*conn, error) {
	helloLen := s.cfg.Comms.CiphertextLen()
	if err := in.await(helloLen); err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	h, err := s.decrypt(ctx, l, in.bytes()[:helloLen])
	if err != nil {
		return nil, err
	}
	in.drop(helloLen)
	if !s.serves(h.protocol) {
		return nil, fmt.Errorf("protocol %v not served", h.protocol)
	}
	reply := newReply(h.protocol)
	var iv [aes.BlockSize]byte
	rand.Read(iv[:])
	b, err := reply.seal(h, iv)
	if err != nil {
		return nil, err
	}
	if _, err := l.Write(b); err != nil {
		return nil, fmt.Errorf("write hello reply: %w", err)
	}
	return newClassicConn(l, in, reply, *s.limits.Load())
}

// decrypt decrypts a Hello in its turn.
func (s *Server) decrypt(ctx context.Context, l *link, ciphertext []byte) (*hello, error) {
	if err := s.takeTurn(ctx, l); err != nil {
		return nil, err
	}
	defer l.endTurn()
	h, err := decryptHello(s.cfg.Comms, ciphertext)
	if err != nil && s.cfg.FormerComms != nil {
		return decryptHello(s.cfg.FormerComms, ciphertext)
	}
	return h, err
}

func newClassicConn(l *link, in inbox, r *helloReply, limits Limits) (*conn, error) {
	codec, err := newClassic(r.sessionKeys)
	if err != nil {
		return nil, err
	}
	in.limit = codec.limit()
	peer := Peer{Protocol: r.protocol, Addr: l.addr(), Salt: bytes.Clone(r.salt2[:])}
	return &conn{link: l, codec: codec, in: in, out: l, peer: peer, limits: limits}, nil
}
