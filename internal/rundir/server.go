package rundir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	askTime   = 5 * time.Second // for a question to come whole, and for an answer to be taken
	maxAskers = 64              // at the same time
)

// server answers on a run's socket. One goroutine takes connections, and each has one of
// its own; shut and tellEnd wait for them.
type server struct {
	listener *net.UnixListener
	path     string // of the socket

	ended chan struct{} // closed when the run has let go of its directory

	askers  sync.WaitGroup // the goroutines of those with a question, and the one of accept
	waiters sync.WaitGroup // the goroutines of those that wait for the end
	room    chan struct{}  // has one entry for each connection

	mu    sync.Mutex
	conns map[net.Conn]bool  // those with a question; guarded by mu, as is all below
	stop  context.CancelFunc // ends the answering; nil until it has begun
	shuts bool
}

// newServer opens the socket of a directory, in place of one that a killed run has left.
// The caller holds the lock.
func newServer(dir *os.File, path string) (*server, error) {
	s := &server{
		path: filepath.Join(path, socketName), room: make(chan struct{}, maxAskers), ended: make(chan struct{}),
		conns: make(map[net.Conn]bool),
	}
	if err := removeSocket(s.path); err != nil {
		return nil, err
	}
	short, done, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := listen(short)
	if err != nil {
		return nil, fmt.Errorf("open the socket of the run in %s: %w", path, err)
	}
	s.listener = l.(*net.UnixListener) // what Listen returns for unix
	s.listener.SetUnlinkOnClose(false) // the directory may be another's by then
	if err := os.Chmod(s.path, 0o600); err != nil {
		return nil, errors.Join(err, s.listener.Close())
	}
	return s, nil
}

// listen opens a socket to which nobody else can connect, from its first moment on where the
// system allows that.
func listen(path string) (net.Listener, error) {
	config := net.ListenConfig{Control: closeToOthers}
	return config.Listen(context.Background(), "unix", path)
}

// removeSocket removes a socket, and nothing else.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is in the way of the run's socket: remove it", path)
	}
	return os.Remove(path)
}

// start lets the server answer.
func (s *server) start(c Controlled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shuts {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.askers.Go(func() { s.accept(ctx, c) })
}

// acceptPause is how long nobody is let in when that has failed, most likely because too
// many files are open.
const acceptPause = 10 * time.Millisecond

func (s *server) accept(ctx context.Context, c Controlled) {
	for {
		conn, err := s.listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			<-time.After(acceptPause)
			continue
		}
		select {
		case s.room <- struct{}{}:
			s.begin(ctx, conn, c)
		default:
			conn.Close()
		}
	}
}

// begin starts the goroutine of a connection.
func (s *server) begin(ctx context.Context, conn net.Conn, c Controlled) {
	s.mu.Lock()
	s.conns[conn] = true
	s.mu.Unlock()
	s.askers.Go(func() {
		waits := s.answerAll(ctx, conn, c)
		s.forget(conn)
		if waits {
			s.waiters.Go(func() { s.tell(conn) })
			return
		}
		conn.Close()
		<-s.room
	})
}

func (s *server) forget(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// answerAll answers questions until there are no more, and reports whether the connection
// stays for the end of the run. All that are open then stay, to be told.
func (s *server) answerAll(ctx context.Context, conn net.Conn, c Controlled) (waits bool) {
	in := bufio.NewReader(conn)
	for ctx.Err() == nil {
		var q request
		s.bound(conn)
		if err := readLine(in, maxRequest, &q); err != nil {
			refuse(conn, err)
			return ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded)
		}
		if q.Ask == askEnd {
			return true
		}
		a := answer(ctx, &q, c)
		_ = conn.SetDeadline(time.Now().Add(askTime)) // also when the server shuts: what was done is told
		if writeLine(conn, a) != nil {
			return false
		}
	}
	return true
}

// bound gives a connection the time for a question. When the server shuts there is none.
func (s *server) bound(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := time.Now().Add(askTime)
	if s.shuts {
		end = time.Now()
	}
	_ = conn.SetDeadline(end)
}

// refuse answers what was no question. A client that is merely gone, or sent nothing in time,
// gets no answer.
func refuse(conn net.Conn, err error) {
	var op net.Error
	if errors.As(err, &op) || errors.Is(err, net.ErrClosed) {
		return
	}
	_ = writeLine(conn, reply{Error: err.Error()}) // it may be gone
}

func answer(ctx context.Context, q *request, c Controlled) reply {
	switch {
	case q.Ask == askStatus:
		status := c.Status()
		return reply{Status: &status}
	case q.Ask == askOrder && q.Order != nil:
		if err := c.Obey(ctx, *q.Order); err != nil {
			return reply{Error: err.Error()}
		}
		return reply{Done: true}
	}
	return reply{Error: fmt.Sprintf("the run does not know %q: another version of xlreg started it", q.Ask)}
}

// tell keeps a connection until the run has ended, and says so then, or until it is gone.
func (s *server) tell(conn net.Conn) {
	defer func() { <-s.room }()
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{})
	left := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(left)
		_, _ = io.Copy(io.Discard, conn) // until it is gone
	})
	defer reading.Wait()
	select {
	case <-left:
	case <-s.ended:
		_ = conn.SetDeadline(time.Now().Add(askTime))
		_ = writeLine(conn, reply{Ended: true}) // it may be gone
		_ = conn.SetReadDeadline(time.Now())
	}
}

// shut ends the answering of questions, and removes the socket if the directory is still
// the run's.
func (s *server) shut(isHere bool) error {
	s.mu.Lock()
	s.shuts = true
	if s.stop != nil {
		s.stop()
	}
	for conn := range s.conns {
		_ = conn.SetReadDeadline(time.Now())
	}
	s.mu.Unlock()
	err := s.listener.Close()
	if isHere {
		err = errors.Join(err, removeSocket(s.path))
	}
	s.askers.Wait()
	return err
}

// tellEnd tells those who wait that the run has ended. It comes after shut.
func (s *server) tellEnd() {
	close(s.ended)
	s.waiters.Wait()
}
