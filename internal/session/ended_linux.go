package session

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerEnded reports whether the peer says no more, or the connection is broken, even
// if there is something of it left to read. It neither reads nor waits.
func peerEnded(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var found int16
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if _, err := unix.Poll(fds, 0); err == nil {
			found = fds[0].Revents
		}
	})
	return err == nil && found != 0
}
