//go:build unix

package notify

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// checkListens refuses a socket that is one connection, as of a socket unit with
// Accept=yes.
func checkListens(f *os.File) error {
	listens, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if listens == 0 {
		return errors.New("it does not listen; the socket unit must have Accept=no and ListenStream=")
	}
	return nil
}
