package guard

import (
	"net"
	"net/netip"
	"testing"
)

func src(s string) Source { return SourceOf(netip.MustParseAddr(s)) }

func TestSources(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"127.0.0.1", "127.0.0.2", false},
	} {
		if got := src(tc.a) == src(tc.b); got != tc.same {
			t.Errorf("%s and %s the same source: %v, want %v", tc.a, tc.b, got, tc.same)
		}
	}
	if !src("127.0.0.2").loopback || !src("::1").loopback || src("192.0.2.1").loopback {
		t.Error("loopback not told from others")
	}
}

func TestSourceOfConn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if got := SourceOfConn(nc); got != src("127.0.0.1") {
		t.Errorf("a connection from 127.0.0.1 is from %v", got)
	}
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	if got := SourceOfConn(one); got != (Source{}) {
		t.Errorf("a pipe is from %v", got)
	}
}
