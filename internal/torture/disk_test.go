//go:build linux

package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// A full disk costs nobody anything that was answered: clients are told to come
// back later, what they asked for has not happened, and when there is room the same
// process goes on. Then it is killed while there is none.
func TestFullDisk(t *testing.T) {
	alongside(t)
	t.Run("file size limit", func(t *testing.T) {
		dir := t.TempDir()
		tortureDisk(t, dir, limitedDisk{})
	})
	if !long() {
		return
	}
	t.Run("tmpfs", func(t *testing.T) {
		dir := t.TempDir()
		if err := mountSmall(t, dir); err != nil {
			t.Logf("nothing may be mounted here, so the limit on the file has to do: %v", err)
			return
		}
		tortureDisk(t, dir, smallDisk{dir})
	})
}

// disk is one that can be full.
type disk interface {
	fill(p *process, time int) error
	clear(p *process) error // while the registry runs
	clean() error           // while it does not
}

func tortureDisk(t *testing.T, dir string, d disk) {
	t.Helper()
	seed := newSeed(t)
	w := newWorld()
	workers := newWorkers(t, w, either(12, 36), seed)
	p := newProcess(t, dir, nil)
	for i := range either(2, 10) {
		must(t, d.fill(p, i))
		in := starving()
		in.target = p.target(t)
		before := w.refusals(xlreg.ErrTryLater)
		workInBackground(t, in, workers, func() bool { return w.refusals(xlreg.ErrTryLater) > before+20 })
		w.compare(t, p.target(t))
		must(t, d.clear(p))
		workFor(t, p.target(t), workers, time.Duration(either(300, 2000))*time.Millisecond)
		w.compare(t, p.target(t))
	}
	must(t, d.fill(p, 0))
	killDuring(t, p, workers, starving(), 50)
	w.check(t)
	must(t, d.clean())
	p.start(t)
	w.compare(t, p.target(t))
	must(t, p.Stop())
	w.audit(t, p.file())
	t.Log(w)
}

// limitedDisk is full because no file may be written beyond a limit, in the middle of
// what it has or after its first page. The limit ends with the process.
type limitedDisk struct{}

func (limitedDisk) fill(p *process, time int) error {
	info, err := os.Stat(p.file())
	if err != nil {
		return err
	}
	limit := int64(os.Getpagesize())
	if time%2 == 0 {
		limit = info.Size() / 4
	}
	return limitFile(p, strconv.FormatInt(limit, 10))
}

func (limitedDisk) clear(p *process) error { return limitFile(p, "unlimited") }
func (limitedDisk) clean() error           { return nil }

// limitFile says how long files of the registry may become from now on. The hard
// limit stays, since nobody could raise it again.
func limitFile(p *process, size string) error {
	return command("prlimit", "--pid", strconv.Itoa(p.PID()), "--fsize="+size+":")
}

func command(name string, args ...string) error {
	if out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// mountSmall mounts a file system in memory that is soon full, until the test ends.
func mountSmall(t *testing.T, dir string) error {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		return err
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return nil
}

// smallDisk is full because another file has taken all of its room.
type smallDisk struct{ dir string }

func (d smallDisk) ballast() string { return filepath.Join(d.dir, "ballast") }

func (d smallDisk) fill(*process, int) (err error) {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

func (d smallDisk) clear(*process) error { return d.clean() }
func (d smallDisk) clean() error         { return os.Remove(d.ballast()) }

// A registry that starts on a full disk answers what it is asked, and takes writes
// again when there is room: it needs none for what has not changed.
func TestRestartOnFullDisk(t *testing.T) {
	alongside(t)
	t.Run("file size limit", func(t *testing.T) {
		p := fullAtStart(t, t.TempDir(), func(p *process) {
			p.cfg.Wrap = []string{"prlimit", "--fsize=0:unlimited"}
		})
		must(t, limitFile(p, "unlimited"))
	})
	t.Run("tmpfs", func(t *testing.T) {
		dir := t.TempDir()
		if err := mountSmall(t, dir); err != nil {
			t.Logf("nothing may be mounted here, so the limit on files has to do: %v", err)
			return
		}
		d := smallDisk{dir}
		fullAtStart(t, dir, func(p *process) { must(t, d.fill(p, 0)) })
		must(t, d.clean())
	})
}

// fullAtStart fills a registry, starts it again where nothing can be written, and
// reads everything.
func fullAtStart(t *testing.T, dir string, fill func(*process)) *process {
	t.Helper()
	w := newWorld()
	workers := newWorkers(t, w, 9, newSeed(t))
	p := newProcess(t, dir, nil)
	workInBackground(t, &round{target: p.target(t)}, workers, func() bool { return w.answers() > 100 })
	must(t, p.Stop())
	fill(p)
	p.start(t)
	w.compare(t, p.target(t))
	in := starving()
	in.target = p.target(t)
	workInBackground(t, in, workers, func() bool { return w.refusals(xlreg.ErrTryLater) > 5 })
	w.compare(t, p.target(t))
	return p
}
