package host

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInheritedOptions wants accepted connections to have what the port has.
func TestInheritedOptions(t *testing.T) {
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	raw, err := in.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct{ level, option, want int }{
		{syscall.SOL_SOCKET, syscall.SO_SNDBUF, 2 * socketBuffer},
		{syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2 * socketBuffer},
		{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
		{syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000},
		{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
	} {
		var got int
		outer := raw.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), o.level, o.option) })
		if outer != nil || err != nil || got != o.want {
			t.Errorf("option %d of level %d is %d, want %d: %v, %v", o.option, o.level, got, o.want, outer, err)
		}
	}
}
