package torture

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/child"
)

// Backups that are made while clients are at work have in them all that was answered
// before, and are consistent in what came meanwhile. Plain copies may have anything in
// them, which check finds.
func TestBackupUnderLoad(t *testing.T) {
	alongside(t)
	seed := newSeed(t)
	dir := t.TempDir()
	p := newProcess(t, dir, nil)
	before := newWorld() // known when the backups are made
	workInBackground(t, &round{target: p.target(t)}, newWorkers(t, before, either(12, 36), seed),
		func() bool { return before.answers() > either(300, 3000) })
	before.compare(t, p.target(t))

	meanwhile := newWorld()
	workers := newWorkers(t, meanwhile, either(12, 36), seed+1)
	for _, k := range workers {
		k.apart = "b"
	}
	in := &round{target: p.target(t)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(t.Context(), in, workers)
	}()
	defer func() { <-done }()
	defer in.stopped.Store(true)

	broken := 0
	for i := range either(3, 60) {
		if !backUpAndRestore(t, p, before, filepath.Join(dir, fmt.Sprint("backup", i))) {
			broken++
		}
	}
	in.stopped.Store(true)
	<-done
	meanwhile.compare(t, p.target(t))
	must(t, p.Stop())
	// Once it is stopped, a backup has all there is.
	last := filepath.Join(dir, "last")
	runProgram(t, p, "backup", p.cfg.Data, last+".tar")
	runProgram(t, p, "restore", last+".tar", last)
	serveCopy(t, p, last, before, meanwhile)
	t.Logf("%d plain copies were broken; before %v, meanwhile %v", broken, before, meanwhile)
}

// backUpAndRestore makes a backup and a plain copy. It reports whether the latter was
// worth anything.
func backUpAndRestore(t *testing.T, p *process, before *world, dir string) (plainIsSound bool) {
	t.Helper()
	made := runProgram(t, p, "backup", p.cfg.Data, dir+".tar", "-o", "json")
	info, err := os.Stat(dir + ".tar")
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has the permissions %v", info.Mode())
	}
	found := runProgram(t, p, "check", dir+".tar", "-o", "json")
	restored := runProgram(t, p, "restore", dir+".tar", dir, "-o", "json")
	checked := runProgram(t, p, "check", dir, "-o", "json")
	for _, other := range []map[string]any{found, restored, checked} {
		for _, key := range []string{"nodes", "clusters", "seats", "bytes"} {
			if made[key] != other[key] {
				t.Errorf("%s: %v in the backup, %v in %v", key, made[key], other[key], other["path"])
			}
		}
	}
	if made["nodes"] == 0.0 || made["seats"] == 0.0 {
		t.Errorf("the backup has %v", made)
	}
	serveCopy(t, p, dir, before)

	plain := dir + ".plain"
	must(t, copyDir(p.cfg.Data, plain))
	out, err := exec.CommandContext(t.Context(), p.cfg.Program, "check", plain).CombinedOutput()
	if err != nil {
		if text := string(out); !strings.Contains(text, "file is damaged") || strings.Contains(text, "goroutine ") {
			t.Errorf("check of a plain copy: %v, %s", err, out)
		}
		return false
	}
	serveCopy(t, p, plain, before)
	return true
}

// serveCopy starts a registry on a copy, and compares what is there.
func serveCopy(t *testing.T, p *process, dir string, worlds ...*world) {
	t.Helper()
	r, err := child.Start(child.Config{Program: p.cfg.Program, Data: dir})
	must(t, err)
	defer func() { must(t, r.Kill()) }()
	copied := &process{Registry: r, cfg: child.Config{Data: dir}}
	for _, w := range worlds {
		w.compare(t, copied.target(t))
	}
	must(t, r.Stop())
	for _, w := range worlds {
		w.audit(t, copied.file())
	}
}

// runProgram runs a command of the program that has to succeed, and returns the JSON that
// it writes, if it does.
func runProgram(t *testing.T, p *process, args ...string) map[string]any {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), p.cfg.Program, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("xlreg %v: %v: %s", args, err, exit.Stderr)
	}
	must(t, err)
	if args[len(args)-1] != "json" {
		return nil
	}
	var v map[string]any
	must(t, json.Unmarshal(out, &v))
	return v
}
