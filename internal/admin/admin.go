// Package admin is HTTP for those who run a registry, on a Unix socket in its data
// directory. Access to the socket is all that is checked.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// Keeper keeps a registry's data.
type Keeper interface {
	// Backup writes one state of the data, while others go on, to what to returns for
	// its length.
	Backup(ctx context.Context, to func(size int64) io.Writer) error
}

// Config is what a Server is made of.
type Config struct {
	Keeper Keeper
	Logger *slog.Logger
}

// Server answers those who run a registry.
type Server struct {
	cfg  Config
	http *http.Server
	busy sync.Mutex // held by the one backup that may be under way
}

// What a request may take. A backup may take long, but not stand still.
const (
	headerTime   = 5 * time.Second
	requestTime  = 10 * time.Second
	idleTime     = 30 * time.Second
	writeTime    = 30 * time.Second // for each piece of an answer
	shutdownTime = 3 * time.Second
	maxHeader    = 8 << 10
	maxBody      = 64 << 10
)

// New returns a Server.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+backupPath, s.backup)
	s.http = newHTTP(mux, cfg.Logger)
	return s
}

func newHTTP(mux *http.ServeMux, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           http.MaxBytesHandler(mux, maxBody),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// maxPath is how long the name of a socket may be on every system.
const maxPath = 103

// ErrPathTooLong says that no socket can have this name.
var ErrPathTooLong = errors.New("the path is too long for a socket")

// Listen opens the socket at path, for this user alone, in place of one that a dead
// process has left. The caller has to hold the lock on the directory.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("%s: %w, it has %d bytes of at most %d", path, ErrPathTooLong, len(path), maxPath)
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSocket != 0 {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Serve answers until ctx ends; what is under way then is given a few seconds. It
// closes the listener, and may be called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	requests, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	s.http.BaseContext = func(net.Listener) context.Context { return requests }
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { ended <- s.shutDown(ctx) })
	err := s.http.Serve(l)
	if !stop() {
		return <-ended
	}
	return fmt.Errorf("serve %v: %w", l.Addr(), err)
}

func (s *Server) shutDown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return s.http.Close()
	}
	return err
}

// backup sends one state of the data. The length stands before it, and a copy that
// cannot be finished ends the connection, so that nobody takes a part for the whole.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	if !s.busy.TryLock() {
		http.Error(w, "another backup is under way: try again when it is done", http.StatusServiceUnavailable)
		return
	}
	defer s.busy.Unlock()
	began := time.Now()
	var size int64
	err := s.cfg.Keeper.Backup(r.Context(), func(n int64) io.Writer {
		size = n
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		return &progressWriter{w, http.NewResponseController(w)}
	})
	if err != nil {
		s.cfg.Logger.Error("backup failed", "err", err)
		if size > 0 {
			panic(http.ErrAbortHandler)
		}
		http.Error(w, "the data cannot be copied now: see the registry's log", http.StatusInternalServerError)
		return
	}
	s.cfg.Logger.Info("backup made", "bytes", size, "ms", time.Since(began).Milliseconds())
}

// progressWriter gives each piece of an answer its own time.
type progressWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (w *progressWriter) Write(p []byte) (int, error) {
	if err := w.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}
