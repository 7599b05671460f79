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

// LogsPath returns where the logs are, unless another place was chosen for them.
func (d *Dir) LogsPath() string { return LogsIn(d.path) }

// LogsIn returns where the logs of a run in a directory are, unless another place was
// chosen for them.
func LogsIn(dir string) string { return pathIn(dir, logsName) }

// Log is the file with the output of one program. Its methods may be called at the same
// time.
type Log struct {
	file *os.File

	mu     sync.Mutex
	lost   int   // bytes that could not be written; guarded by mu, as is all below
	failed error // why
	closed bool
}

// PrepareLogs makes a directory for logs if it is not there, and tries whether there can be any
// in it.
func PrepareLogs(dir string) error {
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a directory for logs: %w", err)
	}
	trial, err := os.CreateTemp(dir, ".trial.*")
	if err != nil {
		return fmt.Errorf("write logs: %w", err)
	}
	return errors.Join(trial.Close(), os.Remove(trial.Name()))
}

// OpenLog begins the log of a member, or of the run itself, in dir, which is made if it is
// not there. What the previous start has left is kept as NAME.log.1.
func OpenLog(dir, name string) (*Log, error) {
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for logs: %w", err)
	}
	path := LogPath(dir, name)
	if err := keepLast(path); err != nil {
		return nil, err
	}
	// A log is always a new file: others who may write to dir could otherwise put a link there
	// that leads to another file of this user, or a pipe that nobody reads.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin a log: %w", err)
	}
	if err := file.Chmod(0o600); err != nil { // whatever the umask is
		return nil, errors.Join(err, file.Close())
	}
	return &Log{file: file}, nil
}

// keepLast renames the log of the last start, if there is one.
func keepLast(path string) error {
	err := checkLog(path)
	if err == nil {
		err = os.Rename(path, path+".1")
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("keep the log of the last start: %w", err)
	}
	return nil
}

// checkLog refuses what is no plain file. Who has put it there, and what for, is not known.
func checkLog(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a plain file: remove it, or choose another place with --log-dir", path)
	}
	return nil
}

// ReadLog opens the log of a member, or of the run itself, to read it.
func ReadLog(dir, name string) (*os.File, error) {
	path := LogPath(dir, name)
	if err := checkLog(path); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// RunLog is the name of the log of a run in the background itself: what others see on their
// terminal.
const RunLog = "run"

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
