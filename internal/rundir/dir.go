package rundir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/internal/private"
)

// What is in the directory of a run, beside the directories of its members.
const (
	lockName   = "lock"
	holderName = "holder.json"
	keptName   = "run.json"
	secretName = "secret"
	socketName = "run.sock"
	logsName   = "logs"
	envName    = "env"
)

// ErrInUse says that another run has the directory.
var ErrInUse = errors.New("in use by another run")

// Dir is the directory of a run, held by this process. Its methods may be called at the
// same time.
type Dir struct {
	path   string   // absolute, so that it stays the same wherever this process goes
	file   *os.File // the directory itself, which keeps its identity from being given to another
	lock   *filelock.File
	holder holder

	server *server
	ends   chan struct{}  // closed to end those who watch
	tasks  sync.WaitGroup // those who watch
	close  func() error
}

// Open makes the directory if it is not there, and takes it for this process until Close.
// If another run has it, the error is ErrInUse and says which.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := makeDir(path); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, file: file, ends: make(chan struct{})}
	d.close = sync.OnceValue(d.shut)
	if err := d.take(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func makeDir(path string) error {
	if err := private.Place(path); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("%w; choose with --dir a directory that can be written to", err)
	}
	return private.Dir(path)
}

// take takes the lock, says who has it now, and opens the socket.
func (d *Dir) take() (err error) {
	d.lock, err = filelock.Lock(d.in(lockName))
	if errors.Is(err, filelock.ErrLocked) {
		return inUse(d.path)
	}
	if err != nil {
		return err
	}
	for _, name := range []string{holderName, keptName, secretName} {
		if err := atomicfile.RemoveLeftovers(d.in(name)); err != nil {
			return err
		}
	}
	if d.holder, err = newHolder(d.in(lockName)); err != nil {
		return err
	}
	if err := d.holder.write(d.in(holderName)); err != nil {
		return err
	}
	d.server, err = newServer(d.file, d.path)
	return err
}

// in returns the path of something in the directory.
func (d *Dir) in(name string) string { return filepath.Join(d.path, name) }

// Path returns where the directory is.
func (d *Dir) Path() string { return d.path }

// Started returns when this process took the directory.
func (d *Dir) Started() time.Time { return d.holder.Since }

// Serve answers those who ask about the run, or tell it what to do, until Close. Until it
// is called they wait. It is called once.
func (d *Dir) Serve(c Controlled) { d.server.start(c) }

// Close ends what Serve and Gone have begun, and lets the directory go. The files stay. It
// may be called again.
func (d *Dir) Close() error { return d.close() }

func (d *Dir) shut() error {
	close(d.ends)
	d.tasks.Wait()
	var errs []error
	isHere := d.isHere()
	if d.server != nil {
		errs = append(errs, d.server.shut(isHere))
	}
	if d.server != nil && isHere {
		d.holder.Ended = time.Now()
		errs = append(errs, d.holder.write(d.in(holderName)))
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	if d.server != nil {
		d.server.tellEnd()
	}
	return errors.Join(append(errs, d.file.Close())...)
}

// goneInterval is that of the looks at the directory.
const goneInterval = 500 * time.Millisecond

// Gone returns a channel that is closed when the directory has been removed, renamed or
// replaced. It watches until then, or until ctx ends.
func (d *Dir) Gone(ctx context.Context) <-chan struct{} {
	gone := make(chan struct{})
	d.tasks.Go(func() {
		tick := time.NewTicker(goneInterval)
		defer tick.Stop()
		for d.isHere() {
			select {
			case <-ctx.Done():
				return
			case <-d.ends:
				return
			case <-tick.C:
			}
		}
		close(gone)
	})
	return gone
}

// isHere reports whether the directory is still where it was, with the lock in it: to
// remove all that is in a directory is to remove it, though a member that writes there may
// keep the directory itself from going.
func (d *Dir) isHere() bool {
	mine, err := d.file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(d.path)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	if !os.SameFile(mine, now) {
		return false
	}
	_, err = os.Stat(d.in(lockName))
	return !errors.Is(err, os.ErrNotExist)
}
