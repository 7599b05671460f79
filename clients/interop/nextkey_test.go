//go:build linux

package interop_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/freeport"
)

// rotating is a registry that gets its next keys.
type rotating struct {
	t       *testing.T
	program string
	addr    string
	dir     string // of the registry that gets them
	before  string // a copy from before, as another server would have it still
	old     string // file with the credentials from before
	durable bool   // its clusters are there when it starts again
	running *child.Registry
}

func (r *rotating) start(dir string, args ...string) {
	r.t.Helper()
	if !r.durable {
		args = append(args, "--ephemeral")
	}
	var err error
	r.running, err = child.Start(child.Config{Program: r.program, Data: dir, Listen: r.addr, Args: args})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = r.running.Kill() })
}

func (r *rotating) stop() {
	r.t.Helper()
	if err := r.running.Stop(); err != nil {
		r.t.Fatal(err)
	}
}

// copy copies what is needed of the directory from before.
func (r *rotating) copy() {
	r.t.Helper()
	for _, to := range []string{r.before, filepath.Dir(r.old)} {
		if err := os.CopyFS(to, os.DirFS(r.dir)); err != nil {
			r.t.Fatal(err)
		}
		private(r.t, to)
	}
}

// TestNextKeys has programs in all languages use a registry while it changes its keys: who
// knows the old one goes on, a node learns the next one and yet finds a server that has the
// old one still, and when the old one has ended those who know no other are told what to do.
func TestNextKeys(t *testing.T) {
	t.Parallel()
	languages := languages(t)
	program, err := goProgram()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	r := &rotating{
		t: t, program: program, addr: freeport.Addresses(t, 1)[0],
		dir: filepath.Join(tmp, "data"), before: filepath.Join(tmp, "before"), old: filepath.Join(tmp, "old", "regCred.dat"),
	}
	who := comers(t, languages, 1, "2.0")
	r.start(r.dir)
	r.stop()
	r.copy()
	if out, err := run(t.Context(), []string{program}, "registry", "next-key", r.dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	steps := []rotation{
		{"with the old keys", r.before, nil, false},
		{"with the next keys", r.dir, nil, false},
		{"at a server that has the old keys still", r.before, nil, false},
		{"with the next keys again", r.dir, nil, false},
		{"when the old ones have ended", r.dir, []string{"--former-key-until", "2020-01-31"}, true},
	}
	for _, s := range steps {
		r.start(s.dir, s.args...)
		var all sync.WaitGroup
		for _, c := range who {
			all.Go(func() { c.visit(t, r, s) })
		}
		all.Wait()
		r.stop()
	}
}

// rotation is one step of it.
type rotation struct {
	when, dir string
	args      []string
	ended     bool // who knows only the old key is refused
}

// visit has the member join, and others read.
func (c *comer) visit(t *testing.T, r *rotating, s rotation) {
	ask := func(cred string, args ...string) error {
		_, err := run(t.Context(), c.l.command, append([]string{"--registry", cred}, args...)...)
		return err
	}
	if err := ask(r.old, "join", "web", "--create", "--size", "8", "--node", c.dir, "--endpoint", c.endpoint); err != nil {
		t.Errorf("%s joins %s: %v", c.l.name, s.when, err)
	}
	err := ask(r.old, "get", "web")
	if s.ended != (err != nil && strings.Contains(err.Error(), "get its credentials anew")) || !s.ended && err != nil {
		t.Errorf("%s reads %s: %v", c.l.name, s.when, err)
	}
	if err := ask(filepath.Join(s.dir, "regCred.dat"), "get", "web"); err != nil {
		t.Errorf("%s reads with the new credentials, %s: %v", c.l.name, s.when, err)
	}
}
