package torture

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/store/bolt/boltfile"
)

// goneData is a way in which a running registry's data file is taken from it.
type goneData struct {
	take    func(t *testing.T, p *process, aside string) // puts the open file at aside, if it can be kept
	says    string                                       // the registry, at its end
	restart string                                       // says the next start; empty: it cannot know
	restore func(t *testing.T, p *process, aside string) // nil: nothing can be
}

var waysToGo = map[string]goneData{
	"file deleted": {
		take: func(t *testing.T, p *process, aside string) {
			must(t, os.Link(p.file(), aside))
			must(t, os.Remove(p.file()))
		},
		says: "xlreg.db is gone: put the file back, or restore it", restart: "is missing, and the registry has had data",
		restore: func(t *testing.T, p *process, aside string) { must(t, os.Rename(aside, p.file())) },
	},
	"directory deleted": {
		take: func(t *testing.T, p *process, aside string) {
			must(t, copyDir(p.cfg.Data, aside+".dir"))
			must(t, os.Link(p.file(), aside))
			must(t, os.RemoveAll(p.cfg.Data))
		},
		says: "xlreg.db is gone: put the file back, or restore it",
		restore: func(t *testing.T, p *process, aside string) {
			must(t, os.Rename(aside+".dir", p.cfg.Data))
			must(t, os.Rename(aside, p.file()))
		},
	},
	"file replaced": {
		take: func(t *testing.T, p *process, aside string) {
			must(t, os.Link(p.file(), aside)) // so at no moment is there no file, which has words of its own
			other := aside + ".copy"
			must(t, copyFile(aside, other))
			must(t, os.Rename(other, p.file()))
		},
		says:    "xlreg.db is another file: put the file back, or restore it",
		restore: func(t *testing.T, p *process, aside string) { must(t, os.Rename(aside, p.file())) },
	},
	"file cut short": {
		take: func(t *testing.T, p *process, _ string) { must(t, os.Truncate(p.file(), 3*4096)) },
		says: "file is damaged: ", restart: "file is damaged: it was cut short",
	},
}

// A registry whose data file is taken away or cut short says so and ends, and what it
// has answered until then is in the file that it had.
func TestDataGoesAway(t *testing.T) {
	alongside(t)
	for name, way := range waysToGo {
		t.Run(name, func(t *testing.T) {
			alongside(t)
			dataGoesAway(t, way)
		})
	}
}

func dataGoesAway(t *testing.T, way goneData) {
	t.Helper()
	dir := t.TempDir()
	aside := filepath.Join(dir, "aside")
	w := newWorld()
	workers := newWorkers(t, w, either(12, 36), newSeed(t))
	p := newProcess(t, dir, nil)
	in := starving()
	in.target, in.unsure = p.target(t), true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx, in, workers)
	}()
	until(t, "enough is answered", func() bool { return w.answers() > either(200, 2000) || w.failed() })
	in.killed.Store(true)
	way.take(t, p, aside)
	before := transaction(t, aside)

	hanging := time.AfterFunc(patience, func() { _ = p.Kill() }) // which is no exit code 1
	defer hanging.Stop()
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the registry ended with %v, want exit code 1", err)
	}
	lines := strings.Split(p.LogTail(), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "xlreg: ") || !strings.Contains(last, way.says) {
		t.Errorf("the registry said at last %q, want %q", last, way.says)
	}
	if strings.Contains(p.LogTail(), "goroutine ") {
		t.Errorf("the registry crashed: %s", p.LogTail())
	}
	cancel()
	<-done
	w.check(t)
	if way.restart != "" {
		refuses(t, p.cfg, way.restart)
	}
	if way.restore == nil {
		return
	}
	// The commit that was being written may still have come to its end.
	if after := transaction(t, aside); after > before+1 {
		t.Errorf("%d commits went into a file that was not there", after-before)
	}
	way.restore(t, p, aside)
	p.start(t)
	w.compare(t, p.target(t))
	must(t, p.Stop())
	w.audit(t, p.file())
	t.Log(w)
}

// transaction returns the number of the last commit in a file; 0 if it is not there.
func transaction(t *testing.T, path string) uint64 {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	var head *boltfile.Head
	until(t, "no meta page is being written", func() bool {
		head, err = boltfile.ReadHead(f, info.Size())
		return err == nil
	})
	return head.Tx()
}

// refuses wants a start to end with exit code 1 and one line that says why.
func refuses(t *testing.T, cfg child.Config, says string) {
	t.Helper()
	r, err := child.Start(cfg)
	if err == nil {
		t.Errorf("the registry started, want %q", says)
		must(t, r.Kill())
		return
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(err.Error(), says) ||
		!strings.Contains(err.Error(), "--new-data") || strings.Contains(err.Error(), "goroutine ") {
		t.Errorf("the registry said %v, want %q", err, says)
	}
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// copyDir copies the regular files of a directory, as they are found.
func copyDir(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
