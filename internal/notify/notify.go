// Package notify is how a program talks with the service manager that has started it,
// which is systemd or speaks like it: it takes over sockets (Sockets), says that it is
// ready, reloads or stops, how it is, and, as long as that is so, that it is alive.
//
// The words are those of sd_notify(3), sd_listen_fds(3) and sd_watchdog_enabled(3).
package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Variables by which a service manager says what it wants to be told.
const (
	envSocket       = "NOTIFY_SOCKET"
	envWatchdog     = "WATCHDOG_USEC"
	envWatchdogPID  = "WATCHDOG_PID"
	sendTime        = 5 * time.Second
	statusEvery     = 10 * time.Second // at least
	maxStatus       = 512              // bytes of a status line
	abstract        = '@'
	abstractOnWire  = "\x00"
	separator       = "\n"
	watchdogPerPing = 2 // pings in each time that the manager waits for one
)

// Notifier tells the service manager about this program. The nil Notifier tells nobody.
type Notifier struct {
	socket   *net.UnixAddr
	watchdog time.Duration // 0: no signs of life are wanted
}

// FromEnvironment returns a Notifier to the service manager that the environment names,
// or nil if there is none. The variables are removed, so that programs that this one
// starts do not speak in its name.
func FromEnvironment() (*Notifier, error) {
	path, usec, pid := os.Getenv(envSocket), os.Getenv(envWatchdog), os.Getenv(envWatchdogPID)
	for _, name := range []string{envSocket, envWatchdog, envWatchdogPID} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	if path == "" {
		return nil, nil //nolint:nilnil // nobody wants to be told
	}
	n := &Notifier{socket: &net.UnixAddr{Net: "unixgram"}}
	switch {
	case path[0] == abstract:
		n.socket.Name = abstractOnWire + path[1:]
	case path[0] == '/':
		n.socket.Name = path
	default:
		return nil, fmt.Errorf("%s %q: want a path, or @ and a name", envSocket, path)
	}
	if pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n, nil // the signs of life are wanted of another process
	}
	var err error
	n.watchdog, err = parseWatchdog(usec)
	return n, err
}

func parseWatchdog(usec string) (time.Duration, error) {
	if usec == "" {
		return 0, nil
	}
	const most = int64(365 * 24 * time.Hour / time.Microsecond)
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > most {
		return 0, fmt.Errorf("%s %q: want a number of microseconds", envWatchdog, usec)
	}
	return time.Duration(n) * time.Microsecond, nil
}

// Ready says that the program has started, or has reloaded.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", statusLine(status)) }

// Reloading says that the program reads its configuration anew. Ready has to follow.
func (n *Notifier) Reloading() error {
	// The manager needs the time to tell whether a Ready that it has is from before.
	usec, err := monotonicUsec()
	if err != nil {
		return err
	}
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(usec, 10))
}

// Stopping says that the program has begun to stop.
func (n *Notifier) Stopping(status string) error { return n.send("STOPPING=1", statusLine(status)) }

// Status says in one line what the program does.
func (n *Notifier) Status(status string) error { return n.send(statusLine(status)) }

// Look finds out whether the program is alive and how it is. An error says that it is not
// alive. The context ends when the answer is due.
type Look func(context.Context) (status string, err error)

// Watch tells the manager how the program is until ctx ends, and where signs of life are
// wanted that it is alive, but only after it has looked: a program that hangs gives none,
// and is started again. What goes wrong is told to complain.
func (n *Notifier) Watch(ctx context.Context, look Look, complain func(error)) {
	if n == nil {
		return
	}
	every := statusEvery
	if n.watchdog > 0 {
		every = min(every, n.watchdog/watchdogPerPing)
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for last := ""; ; {
		status, err := n.tell(ctx, every, look, last)
		if err != nil && ctx.Err() == nil {
			complain(err)
		}
		last = status
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// tell looks once, and says what has come of it. It returns the status that the manager
// knows now.
func (n *Notifier) tell(ctx context.Context, due time.Duration, look Look, last string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, due)
	defer cancel()
	status, err := look(ctx)
	if err != nil {
		return "", fmt.Errorf("no sign of life is given: %w", err)
	}
	var lines []string
	if n.watchdog > 0 {
		lines = append(lines, "WATCHDOG=1")
	}
	if status != last {
		lines = append(lines, statusLine(status))
	}
	if err := n.send(lines...); err != nil {
		return last, err
	}
	return status, nil
}

// statusLine makes a status one line of a message, whatever is in it.
func statusLine(status string) string {
	line := "STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, status)
	return line[:min(len(line), maxStatus)]
}

// send sends one message, each with a socket of its own: messages are rare, and a manager
// that has started anew since the last one is found again.
func (n *Notifier) send(lines ...string) (err error) {
	if n == nil || len(lines) == 0 {
		return nil
	}
	nc, err := net.DialUnix(n.socket.Net, nil, n.socket)
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	defer func() { err = errors.Join(err, nc.Close()) }()
	if err := nc.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	if _, err := nc.Write([]byte(strings.Join(lines, separator))); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}
