package notify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Variables by which a service manager says which sockets it passes.
const (
	envListenPID   = "LISTEN_PID"
	envListenFDs   = "LISTEN_FDS"
	envListenNames = "LISTEN_FDNAMES"

	firstFD    = 3
	maxSockets = 1024
)

// Socket is a listening socket that the service manager has opened, and goes on holding
// open when this program has closed it.
type Socket struct {
	Name     string // as the manager has it; empty if it says none
	Listener net.Listener
}

// Sockets takes over the listening sockets that the service manager has passed to this
// process, in its order; none if it has passed none. The variables are removed, so that
// they do not mislead programs that this one starts.
func Sockets() ([]Socket, error) {
	pid, fds, names := os.Getenv(envListenPID), os.Getenv(envListenFDs), os.Getenv(envListenNames)
	for _, name := range []string{envListenPID, envListenFDs, envListenNames} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	if pid != strconv.Itoa(os.Getpid()) { // they are another's, or there are none
		return nil, nil
	}
	n, err := strconv.Atoi(fds)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("%s %q: want a number of sockets", envListenFDs, fds)
	}
	return takeOver(n, namesOf(names, n))
}

// namesOf returns the names of n sockets.
func namesOf(list string, n int) []string {
	names := strings.Split(list, ":")
	for len(names) < n {
		names = append(names, "")
	}
	return names
}

func takeOver(n int, names []string) ([]Socket, error) {
	var all []Socket
	for i := range n {
		l, err := listener(uintptr(firstFD+i), names[i])
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, Socket{Name: names[i], Listener: l})
	}
	return all, nil
}

// listener takes over one file descriptor.
func listener(fd uintptr, name string) (net.Listener, error) {
	f := os.NewFile(fd, fmt.Sprintf("socket %d %q", fd, name))
	if f == nil {
		return nil, fmt.Errorf("socket %d %q: no file descriptor", fd, name)
	}
	defer f.Close() // what is returned has a descriptor of its own, which programs started from here do not inherit
	if err := checkListens(f); err != nil {
		return nil, fmt.Errorf("%s from the service manager: %w", f.Name(), err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("%s from the service manager: %w", f.Name(), err)
	}
	return keepFile(l), nil
}

// keepFile has a Unix socket leave its file, which is the manager's.
func keepFile(l net.Listener) net.Listener {
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return l
}

func closeAll(all []Socket) error {
	var errs []error
	for _, s := range all {
		errs = append(errs, s.Listener.Close())
	}
	return errors.Join(errs...)
}
