package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/regcred"
)

// A damaged file gives right answers, a refusal or an error, and nothing else: most
// files are opened in this process, and some by the program.
func TestDamagedFiles(t *testing.T) {
	alongside(t)
	seed := newSeed(t)
	w := newWorld()
	workers := newWorkers(t, w, 12, seed)
	p := newProcess(t, t.TempDir(), nil)
	in := &round{target: p.target(t)}
	workInBackground(t, in, workers, func() bool { return w.answers() > either(500, 3000) })
	w.compare(t, p.target(t))
	must(t, p.Stop())
	sound, err := os.ReadFile(p.file())
	must(t, err)
	node, err := identity.Load(p.cfg.Data)
	must(t, err)

	d := &damaged{world: w, node: node, cfg: p.cfg, rnd: rand.New(rand.NewPCG(seed, 9))}
	if d.try(t, sound, false) || d.try(t, sound, true) {
		t.Fatal("the sound file was refused")
	}
	files, refused := either(100, 1000), 0
	for i := range files {
		file, how := d.damage(sound)
		if d.try(t, file, i%(files/20) == 0) {
			refused++
		}
		if t.Failed() {
			t.Fatalf("file %d of %d, %s", i, files, how)
		}
	}
	t.Logf("%d of %d files were refused; %v", refused, files, w)
	if refused < files/10 {
		t.Errorf("%d of %d files were refused: is anything looked at?", refused, files)
	}
}

// damaged tries files that were damaged.
type damaged struct {
	world *world
	node  *identity.Node
	cfg   child.Config
	rnd   *rand.Rand
}

// damage returns a copy of a file to which something has happened, and what.
func (d *damaged) damage(sound []byte) (file []byte, how string) {
	file = slices.Clone(sound)
	at := d.rnd.IntN(len(file))
	switch d.rnd.IntN(4) {
	case 0:
		file[at] ^= 1 << d.rnd.IntN(8)
		return file, fmt.Sprintf("a bit of byte %d flipped", at)
	case 1:
		n := min(1+d.rnd.IntN(64), len(file)-at)
		for i := range n {
			file[at+i] = byte(d.rnd.Uint32())
		}
		return file, fmt.Sprintf("%d bytes at %d overwritten", n, at)
	case 2:
		at -= at % 4096
		clear(file[at:min(at+4096, len(file))])
		return file, fmt.Sprintf("the page at %d zeroed", at)
	}
	return file[:at], fmt.Sprintf("cut to %d bytes", at)
}

// try opens a file and reads all that there should be in it. It reports whether the
// file was refused.
func (d *damaged) try(t *testing.T, file []byte, asProgram bool) (refused bool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	must(t, copyDir(d.cfg.Data, dir))
	path := filepath.Join(dir, "xlreg.db")
	must(t, os.WriteFile(path, file, 0o600))
	if asProgram {
		return d.tryProgram(t, dir)
	}
	st, err := bolt.Open(path, bolt.Options{MustExist: true})
	if err != nil {
		return true
	}
	r, err := host.Start(host.Config{Node: d.node, Store: st})
	must(t, err)
	target, err := regcred.NewTarget(r.Cred())
	must(t, err)
	d.read(t, target)
	_ = r.Close() // a store with a page that was given up may not close in order
	if n := r.Stats().Panics; n != 0 {
		t.Errorf("%d sessions panicked", n)
	}
	return false
}

func (d *damaged) tryProgram(t *testing.T, dir string) (refused bool) {
	t.Helper()
	cfg := d.cfg
	cfg.Data, cfg.Listen = dir, ""
	r, err := child.Start(cfg)
	if err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || strings.Contains(err.Error(), "goroutine ") {
			t.Errorf("the program ended with %v", err)
		}
		return true
	}
	target, err := regcred.NewTarget(r.Cred())
	must(t, err)
	d.read(t, target)
	_ = r.Stop() // with exit code 1 if it has met the damage
	if strings.Contains(r.LogTail(), "goroutine ") {
		t.Errorf("the program crashed: %s", r.LogTail())
	}
	return false
}

// read compares as the world does, but takes an error of the store for an answer.
func (d *damaged) read(t *testing.T, target *regcred.Target) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, target, client.Options{})
	must(t, err)
	defer c.Close()
	for _, cluster := range d.world.allClusters() {
		roster, err := c.Members(ctx, xlreg.ClusterRef{ID: cluster.ID})
		if err == nil {
			d.world.readQuiet(roster)
		}
		named, nameErr := c.Cluster(ctx, xlreg.ClusterRef{Name: cluster.Name})
		if nameErr == nil && named != cluster {
			t.Errorf("cluster %+v by its name is %+v", cluster, named)
		}
		for _, err := range []error{err, nameErr} {
			if err != nil && !errors.Is(err, xlreg.ErrTryLater) {
				t.Errorf("cluster %q: %v", cluster.Name, err)
			}
		}
	}
	d.world.check(t)
}
