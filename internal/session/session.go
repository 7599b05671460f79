// Package session carries messages between a registry and its clients: both
// ends of the two classic carriers and of the TLS 1.3 carrier of protocol 2.0,
// over any net.Conn, and the decision which of them a new connection speaks.
//
// The classic carriers exist because deployed clients do. They encrypt with
// AES-256-CBC under keys that travel under the registry's RSA key, and that is
// all: nothing detects a message that was changed, replayed or dropped on the
// way, whoever later learns the registry's comms key can read every session ever
// recorded, and a message's end is guessed from its content. Nothing secret and
// nothing that must be believed should travel over them. This package never
// chooses one on its own: a client gets the carrier it asks for or an error.
package session

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

var (
	// ErrClosed says that the connection has ended: the peer closed it, or the system
	// found that the peer is gone.
	ErrClosed = errors.New("session closed by peer")
	// ErrPartial says that a message began, and that its rest did not come in time.
	ErrPartial = errors.New("message not complete in time")
	// ErrIdle says that the peer sent nothing for the idle timeout.
	ErrIdle = errors.New("session idle for too long")
	// ErrHandshake says that no session came about.
	ErrHandshake = errors.New("handshake failed")
	// ErrNotARegistry is an ErrHandshake, and says that a server of something else answers:
	// not in TLS, or in TLS without protocol 2.0. Over a classic carrier nobody can tell.
	ErrNotARegistry = errors.New("no registry that speaks this protocol")
	// ErrUntrusted says that a registry could not prove to be the one wanted.
	ErrUntrusted = errors.New("registry could not prove its identity")
	// ErrClock says that a registry's certificate is signed by the right key, but is
	// not valid at the time that this machine has.
	ErrClock = errors.New("clock of this machine, or of the registry, is wrong")
)

// Conn is one session. One goroutine may use it at a time, but Close may be
// called from any, and ends whatever is under way. After an error from Send or
// Receive only Send of a last Error and Close make sense. A context that ends
// makes the call return its error.
type Conn interface {
	// Send writes m whole, at the pace that the write timeout asks for. Over a classic carrier a
	// message past xlreg.MaxClassicMessage is an error and nothing is sent.
	Send(ctx context.Context, m *wire.Message) error

	// Receive returns the next message, which has an Op. It waits up to the idle
	// timeout for its first byte (ErrIdle), and for the rest at the pace that the
	// message timeout asks for (ErrPartial). Bytes that are no message are an error of
	// kind xlreg.ErrProtocol over 2.0, at once. Over a classic carrier they are waited
	// on as if they were part of a message that does not come to its end, and so they
	// end in ErrPartial: when, depends on when bytes came and how many, never on what
	// they decrypt to, so that nothing can be learned about the padding. Whatever ends,
	// breaks or corrupts the connection is an error without a kind.
	Receive(ctx context.Context) (*wire.Message, error)

	// ReceiveWithin is Receive with another time for the first byte; zero is no bound.
	ReceiveWithin(ctx context.Context, first time.Duration) (*wire.Message, error)

	// Hold waits until ctx ends, and then returns nil, or until the peer closes
	// the connection, which is ErrClosed. What the peer sends meanwhile is kept,
	// up to 4 KiB, and Receive returns it; the rest is left for the peer to keep.
	Hold(ctx context.Context) error

	// Peer says who is on the other end. It is known from the start.
	Peer() Peer

	// Close ends the session without a word. It may be called again.
	Close() error
}

// Peer is what the handshake showed of the other end.
type Peer struct {
	Protocol xlreg.Protocol
	Addr     netip.AddrPort // zero where the connection has no IP address

	// Salt is the salt2 of the HelloReply, which a classic log-in signs.
	Salt []byte
	// Certificate is, at a server's end of 2.0, what the client showed, in DER;
	// nil if it showed none.
	Certificate []byte
	// SigKey is the key of Certificate, or at a client's end of 2.0 the registry's: the
	// one that the client knew, or whose fingerprint it knew.
	SigKey xlreg.SigKey
	// Next is, at a client's end of 2.0, the key by which the registry proved its
	// identity if that is the one that follows SigKey; nil if it is SigKey.
	Next *NextKey
}

// NextKey is a registry's sig key for which the one before it has vouched.
type NextKey struct {
	SigKey xlreg.SigKey
	Until  time.Time // until then it does; who knows the old key alone believes it no longer
}

// Limits bound how long each step of a session may take. Zero is no bound. A message
// that comes or goes has besides to reach a rate of 64 bytes a second on the whole, so
// it takes at most its limit and a second for every 64 bytes.
type Limits struct {
	Message time.Duration // without a byte of a message that has begun
	Idle    time.Duration // between two messages
	Write   time.Duration // without a byte taken of a message that is sent
}
