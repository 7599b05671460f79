package client

import (
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The system has to look after the connection to a registry, whoever has dialled it.
func TestKeepAlive(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := (&net.Dialer{KeepAlive: -1}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, c := range []struct {
		silence                         time.Duration
		idle, interval, count, unheeded int
	}{
		{defaultSilence, 15, 5, 3, 30_000},
		{time.Second, 1, 1, 3, 1000},
	} {
		keepAlive(nc, c.silence)
		for _, o := range []struct{ level, option, want int }{
			{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, c.idle},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, c.interval},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, c.count},
			{syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, c.unheeded},
		} {
			if got := option(t, nc, o.level, o.option); got != o.want {
				t.Errorf("silence of %v: option %d of level %d is %d, want %d", c.silence, o.option, o.level, got, o.want)
			}
		}
	}
}

func option(t *testing.T, nc net.Conn, level, option int) (value int) {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got error
	if err := raw.Control(func(fd uintptr) { value, got = syscall.GetsockoptInt(int(fd), level, option) }); err != nil || got != nil {
		t.Fatal(err, got)
	}
	return value
}
