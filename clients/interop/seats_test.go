//go:build linux

package interop_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/freeport"
	"github.com/xlattice/xlreg/xlregtest"
)

// sitter is a node that is a member of three clusters of one name: an open and a keyed one at
// a registry, and an open one at another.
type sitter struct {
	*comer
	t    *testing.T
	runs []string // as its own language has kept them, sorted
}

// joinBy has a language join the cluster that the flags lead to.
func (s *sitter) joinBy(l language, flags []string) {
	s.t.Helper()
	args := append([]string{"join", "--node", s.dir, "--endpoint", s.endpoint}, flags...)
	if _, err := run(s.t.Context(), l.command, args...); err != nil {
		s.t.Errorf("%s joins by %s: %v", s.name, l.name, err)
	}
}

// kept returns the runs that the node keeps, sorted.
func (s *sitter) kept() (runs []string) {
	s.t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.dir, "seats", "*"))
	if err != nil {
		s.t.Error(err)
	}
	for _, path := range paths {
		var seat struct{ Run string }
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &seat)
		}
		if err != nil {
			s.t.Error(err)
		}
		runs = append(runs, seat.Run)
	}
	slices.Sort(runs)
	return runs
}

// look has all languages join again, which only looks: each asks for what was kept.
func (s *sitter) look(all []language, when string, flags []string) {
	s.t.Helper()
	for _, l := range all {
		s.joinBy(l, flags)
		if got := s.kept(); !slices.Equal(got, s.runs) {
			s.t.Errorf("%s looks by %s %s: it keeps the runs %q, want %q", s.name, l.name, when, got, s.runs)
		}
	}
}

// leave has a language give up the seat in the cluster that the flags lead to.
func (s *sitter) leave(l language, flags []string, left int) {
	s.t.Helper()
	args := append([]string{"leave", "--node", s.dir}, flags...)
	if _, err := run(s.t.Context(), l.command, args...); err != nil {
		s.t.Errorf("%s leaves by %s: %v", s.name, l.name, err)
	}
	if got := s.kept(); len(got) != left {
		s.t.Errorf("%s has left by %s: it keeps %d runs, want %d", s.name, l.name, len(got), left)
	}
}

// TestKeptSeats has each language keep how a node joined three clusters of one name, and all
// of them read that, also when one of the registries has got its next keys.
func TestKeptSeats(t *testing.T) {
	t.Parallel()
	all := languages(t)
	tmp := t.TempDir()
	r := &rotating{
		t: t, program: all[0].command[0], addr: freeport.Addresses(t, 1)[0], durable: true,
		dir: filepath.Join(tmp, "data"), before: filepath.Join(tmp, "before"), old: filepath.Join(tmp, "old", "regCred.dat"),
	}
	r.start(r.dir)
	r.stop()
	r.copy()
	r.start(r.dir)
	owner := filepath.Join(tmp, "owner.ticket")
	must(t, all[0], "ticket", "new", "web", "--size", "8", "--registry", r.old, "--out", owner)
	open, keyed := []string{"web", "--registry", r.old}, []string{"--ticket-file", owner}
	elsewhere := []string{"web", "--registry", xlregtest.Start(t).CredFile(t)}
	var sitters []*sitter
	for _, c := range comers(t, all, 1, "2.0") {
		sitters = append(sitters, &sitter{comer: &c, t: t})
	}
	each := func(f func(i int, s *sitter)) {
		var wg sync.WaitGroup
		for i, s := range sitters {
			wg.Go(func() { f(i, s) })
		}
		wg.Wait()
	}
	each(func(_ int, s *sitter) {
		for _, flags := range [][]string{open, elsewhere} {
			s.joinBy(s.l, append(slices.Clone(flags), "--create", "--size", "8"))
		}
		s.joinBy(s.l, keyed)
		if s.runs = s.kept(); len(slices.Compact(slices.Clone(s.runs))) != 3 {
			t.Errorf("%s keeps the runs %q, want 3", s.name, s.runs)
		}
		s.look(all, "in the open cluster", open)
		s.look(all, "in the keyed cluster", keyed)
		s.look(all, "at the other registry", elsewhere)
	})
	r.stop()
	must(t, all[0], "registry", "next-key", r.dir)
	r.start(r.dir)
	renewed := []string{"web", "--registry", filepath.Join(r.dir, "regCred.dat")}
	each(func(i int, s *sitter) {
		one, two := all[(i+1)%len(all)], all[(i+2)%len(all)]
		s.look([]language{s.l}, "after next-key", open)
		s.look([]language{one, two}, "with the new credentials", renewed)
		s.look([]language{one}, "after next-key, in the keyed cluster", keyed)
		s.leave(two, renewed, 2)
		s.leave(one, elsewhere, 1)
		s.leave(two, keyed, 0)
	})
}

// must runs a command that has to succeed.
func must(t *testing.T, l language, args ...string) {
	t.Helper()
	if out, err := run(t.Context(), l.command, args...); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
