package run

import (
	"net"
	"testing"
)

// A port that is held is not taken for a program that serves.
func TestCheckServed(t *testing.T) {
	p, err := Reserve("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Refuse()
	addr := p.Addrs()[0]
	check := CheckServed(addr)
	if err := check(t.Context()); err == nil {
		t.Error("a port that is held passed")
	}
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	if err := check(t.Context()); err == nil {
		t.Error("a port that nobody has passed")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := check(t.Context()); err != nil {
		t.Errorf("of a program that waits to be asked: %v", err)
	}
}
