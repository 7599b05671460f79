package host

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketBuffer is what the system may keep of a connection in either direction,
// which it doubles. It would let that grow to megabytes for a peer that asks and
// never reads. A roster of 64 takes no longer for it: at first a connection may
// not send more at a time anyhow.
const socketBuffer = 32 << 10

// listenTCP opens a port. Its connections inherit its options; setting them for
// each would be system calls for each.
func listenTCP(addr string) (net.Listener, error) {
	cfg := net.ListenConfig{Control: setOptions, KeepAlive: -1} // keep-alive is one of the options
	return cfg.Listen(context.Background(), "tcp", addr)
}

// adopt gives a listening socket that somebody else has opened the options of ours. One
// for multipath TCP does not have all of them, and does without.
func adopt(l *net.TCPListener) error {
	c, err := l.SyscallConn()
	if err != nil {
		return err
	}
	if err := setOptions("", "", c); !errors.Is(err, syscall.ENOPROTOOPT) {
		return err
	}
	return nil
}

// setOptions is for net.ListenConfig.Control.
func setOptions(_, _ string, c syscall.RawConn) error {
	var err error
	outer := c.Control(func(fd uintptr) {
		err = errors.Join(
			set(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, socketBuffer),
			set(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, socketBuffer),
			set(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1),
			set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, seconds(keepIdle)),
			set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, seconds(keepInterval)),
			set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepCount),
			// Without it, what was sent to a peer that is gone is sent again for a quarter of an hour.
			set(fd, syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeer.Milliseconds())),
		)
	})
	return errors.Join(outer, err)
}

func set(fd uintptr, level, option, value int) error {
	return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), level, option, value))
}

func seconds(d time.Duration) int { return int(d / time.Second) }
