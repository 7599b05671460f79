package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const goleak = "go.uber.org/goleak"

// unchecked are packages that start goroutines and look for none left behind.
var unchecked = map[string]string{
	"examples/hello":           "its tests run it as a process, whose end ends all",
	"internal/store/storetest": "the drivers' tests run it, and they look",
}

// Whoever starts a goroutine sees to its end, and a package's tests see to that:
// they use goleak.
func TestGoroutinesAreAwaited(t *testing.T) {
	s := readSource(t)
	starts, checks := s.goroutines()
	for _, dir := range slices.Sorted(maps.Keys(starts)) {
		_, excused := unchecked[dir]
		if !checks[dir] && !excused {
			t.Errorf("package %s starts goroutines, and its tests do not use goleak", dir)
		}
	}
	if !starts["internal/server"] || !starts["internal/store/bolt"] || starts["internal/wire"] {
		t.Errorf("the walk over the source saw goroutines in %v", slices.Sorted(maps.Keys(starts)))
	}
}

// goroutines returns the packages that start goroutines, and those that look for
// goroutines left behind.
func (s *source) goroutines() (starts, checks map[string]bool) {
	starts, checks = make(map[string]bool), make(map[string]bool)
	for _, f := range s.files {
		if !f.test() && startsGoroutines(f.ast) {
			starts[f.dir()] = true
		}
		if importsGoleak(f.ast) {
			checks[f.dir()] = true
		}
	}
	return starts, checks
}

// startsGoroutines reports whether there is a go statement in a file, or a call of
// a method Go, as sync.WaitGroup and errgroup.Group have it.
func startsGoroutines(f *ast.File) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = true
		case *ast.CallExpr:
			selector, ok := n.Fun.(*ast.SelectorExpr)
			found = found || ok && selector.Sel.Name == "Go"
		}
		return !found
	})
	return found
}

func importsGoleak(f *ast.File) bool {
	return slices.ContainsFunc(f.Imports, func(spec *ast.ImportSpec) bool {
		p, err := strconv.Unquote(spec.Path.Value)
		return err == nil && p == goleak
	})
}

func TestStartsGoroutines(t *testing.T) {
	for code, want := range map[string]bool{
		"go f()":                true,
		"wg.Go(f)":              true,
		"s.group.Go(func() {})": true,
		"f()":                   false,
		"x.Gone()":              false,
		"if true { go f() }":    true,
	} {
		code := strings.Join([]string{"package p", "func g() {", code, "}"}, "\n")
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", code, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := startsGoroutines(f); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
}
