// Package freeport finds ports for programs that are started later, and that cannot be
// told to choose a port themselves and say which.
//
// A port that the system has chosen for a listener on port 0 is not free for long: it
// comes from the range that outgoing connections take theirs from. Ports from here
// lie below that range, and a port is in the hands of one owner at a time, whichever
// processes ask: each is held by a listener on a second port, which the system closes when
// its process ends in whatever way.
package freeport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports that are handed out, and where the listeners that hold them are. Both lie below
// 32768, where Linux begins to choose ports for connections; other systems begin later.
const (
	first  = 12_000
	count  = 10_000
	holder = first + count // holds first, the next one the next
)

var errNone = errors.New("no port is free")

// Port is a port in the hands of its owner.
type Port struct {
	number int
	held   net.Listener
}

// Take returns a port on which nobody listens, at any address of this machine.
func Take() (*Port, error) {
	start := rand.IntN(count) //nolint:gosec // only spreads those who ask
	for i := range count {
		if p := try((start + i) % count); p != nil {
			return p, nil
		}
	}
	return nil, errNone
}

// Hold takes the port of that number, whether or not somebody listens on it. It returns nil
// if another process has it in hand; a port that is none of those handed out here can be
// in nobody's hands, and is not held.
func Hold(number int) *Port {
	if number < first || number >= first+count {
		return &Port{number: number}
	}
	held, err := listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(holder+number-first)))
	if err != nil {
		return nil
	}
	return &Port{number: number, held: held}
}

// try returns the port with an index, or nil if somebody has it.
func try(i int) *Port {
	held, err := listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(holder+i)))
	if err != nil {
		return nil
	}
	l, err := listen(":" + strconv.Itoa(first+i))
	if err != nil {
		_ = held.Close()
		return nil
	}
	_ = l.Close()
	return &Port{number: first + i, held: held}
}

func listen(addr string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
}

// Number returns the port's number.
func (p *Port) Number() int { return p.number }

// Address returns the port on loopback.
func (p *Port) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number)) }

// Close gives the port back. It may be called again.
func (p *Port) Close() error {
	if p.held == nil {
		return nil
	}
	if err := p.held.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// TB is what is used of a testing.TB.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(f func())
}

// For returns the number of a port that is t's until it ends.
func For(t TB) int {
	t.Helper()
	p, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p.Number()
}

// Addresses returns n addresses on loopback that are t's until it ends.
func Addresses(t TB, n int) []string {
	t.Helper()
	all := make([]string, n)
	for i := range all {
		all[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(For(t)))
	}
	return all
}
