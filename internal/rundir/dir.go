package rundir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
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
	envName    = "environment"
)

// ErrInUse says that another run has the directory.
var ErrInUse = errors.New("in use by another run")

// Owner says how a process has a directory.
type Owner struct {
	// Command is how the process was called, as others may see it; nil: just as it was.
	Command []string
	// Mark is that of the processes which the run starts. If the run is killed the next one
	// is told the mark, to end what is left of them.
	Mark string
	// Clear is called with the mark of the last run, if that was killed, while nobody else can
	// have the directory. It may be nil.
	Clear func(mark string) error
	// Temporary says that the directory was made for this process, and goes with it. The disk
	// is not waited for.
	Temporary bool
}

// Dir is the directory of a run, held by this process. Its methods may be called at the
// same time.
type Dir struct {
	path   string   // absolute, so that it stays the same wherever this process goes
	file   *os.File // the directory itself, which keeps its identity from being given to another
	lock   *filelock.File
	owner  Owner
	holder holder

	server *server
	ends   chan struct{}  // closed to end the goroutines of Gone
	tasks  sync.WaitGroup // these goroutines
	close  func() error

	making sync.Mutex // held while a secret is made, so that all get the same
}

// Open takes a directory for this process until Close. One that is not there is made, unless
// it is temporary. If another run has it, the error is ErrInUse and says which.
func Open(path string, o Owner) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if !o.Temporary {
		if err := makeDir(path); err != nil {
			return nil, err
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, notWritable(err)
	}
	d := &Dir{path: path, file: file, owner: o, ends: make(chan struct{})}
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
		return notWritable(err)
	}
	return private.Dir(path)
}

// notWritable says what to do about a directory in which nothing can be made, unless another
// one would be of no use or the disk is merely full.
func notWritable(err error) error {
	for _, other := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, other) {
			return err
		}
	}
	return fmt.Errorf("%w; choose with --dir a directory that can be written to", err)
}

// take takes the lock, says who has it now, and opens the socket.
func (d *Dir) take() (err error) {
	d.lock, err = d.owner.lock(d.in(lockName))
	if errors.Is(err, filelock.ErrLocked) {
		return inUse(d.path)
	}
	if err != nil {
		return notWritable(err)
	}
	for _, name := range []string{holderName, keptName, secretName, envName} {
		if err := atomicfile.RemoveLeftovers(d.in(name)); err != nil {
			return err
		}
	}
	if mark := Killed(d.path); mark != "" && d.owner.Clear != nil {
		if err := d.owner.Clear(mark); err != nil {
			return err
		}
	}
	h, err := newHolder(d.in(lockName), &d.owner)
	if err != nil {
		return err
	}
	if err := d.write(d.in(holderName), h); err != nil {
		return err
	}
	d.holder = h
	d.server, err = newServer(d.file, d.path)
	return err
}

// lock takes the lock of a directory. A temporary one that is not locked is taken for one that
// was left behind, so it must never be seen like that.
func (o *Owner) lock(path string) (*filelock.File, error) {
	if o.Temporary {
		return filelock.Create(path)
	}
	return filelock.Lock(path)
}

// in returns the path of something in the directory.
func (d *Dir) in(name string) string { return filepath.Join(d.path, name) }

// write writes a file of ours.
func (d *Dir) write(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return d.writeFile(path, append(data, '\n'))
}

func (d *Dir) writeFile(path string, data []byte) error {
	if d.owner.Temporary {
		return atomicfile.WriteUnsynced(path, data, 0o600)
	}
	return atomicfile.Write(path, data, 0o600)
}

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
	if d.holder.PID != 0 && isHere {
		errs = append(errs, d.sayEnded())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	if d.server != nil {
		d.server.tellEnd()
	}
	return errors.Join(append(errs, d.file.Close())...)
}

// sayEnded says that the run was not killed. On a full disk nothing is left of it instead, which
// needs no room.
func (d *Dir) sayEnded() error {
	d.holder.Ended = time.Now()
	err := d.write(d.in(holderName), d.holder)
	if err != nil && os.Remove(d.in(holderName)) == nil {
		return nil
	}
	return err
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

// isHere reports whether the directory is still where it was, with the lock that this run
// holds: to remove all that is in a directory is to remove it, though a member that writes
// there may keep the directory itself from going, and the next run may have it already.
func (d *Dir) isHere() bool {
	mine, err := d.file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(d.path)
	if err != nil {
		return !isMissing(err)
	}
	if !os.SameFile(mine, now) {
		return false
	}
	lock, err := os.Stat(d.in(lockName))
	if err != nil {
		return !isMissing(err)
	}
	return fileID(lock) == d.holder.Lock
}

// isMissing reports whether there is nothing of that name; other errors may pass.
func isMissing(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
