package rundir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/xlattice/xlreg/internal/atomicfile"
)

// LogsPath returns where the logs of a run in this directory are, unless another place was
// chosen for them.
func (d *Dir) LogsPath() string { return d.in(logsName) }

// Log is the file with the output of one program. Its methods may be called at the same
// time.
type Log struct {
	file *os.File

	mu     sync.Mutex
	lost   int   // bytes that could not be written; guarded by mu, as is all below
	failed error // why
	closed bool
}

// OpenLog begins the log of a member, or of the run itself, in dir, which is made if it is
// not there. What the previous start has left is kept as NAME.log.1.
func OpenLog(dir, name string) (*Log, error) {
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for logs: %w", err)
	}
	path := LogPath(dir, name)
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("keep the log of the last start: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &Log{file: file}, nil
}

// LogPath returns the path of a log.
func LogPath(dir, name string) string { return filepath.Join(dir, name+".log") }

// Path returns where the log is.
func (l *Log) Path() string { return l.file.Name() }

// File returns the file itself, which is the log's to close.
func (l *Log) File() *os.File { return l.file }

// Write implements io.Writer. It never fails: a disk that is full is no reason for a
// program to lose its standard output. What is lost, Close tells.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(p), nil
	}
	if n, err := l.file.Write(p); err != nil {
		l.lost, l.failed = l.lost+len(p)-n, err
	}
	return len(p), nil
}

// Tee returns a writer whose bytes go to the log and to w. Closing it closes w, if that is
// an io.Closer, and not the log.
func (l *Log) Tee(w io.Writer) io.WriteCloser { return &tee{l, w} }

// Close closes the log. Its error says how much of it is missing. It may be called again.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.file.Close()
	if l.lost > 0 {
		err = fmt.Errorf("%d bytes are missing in the log: %w", l.lost, l.failed)
	}
	return err
}

// tee is one stream of a program.
type tee struct {
	log *Log
	w   io.Writer
}

// Write implements io.Writer.
func (t *tee) Write(p []byte) (int, error) {
	_, _ = t.log.Write(p) // does not fail
	return t.w.Write(p)
}

// Close implements io.Closer.
func (t *tee) Close() error {
	if c, ok := t.w.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
