package archtest

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// The rules are seen to fail on files that break each of them, and only then.
func TestShapeFails(t *testing.T) {
	body := func(lines int) string { return "func f() {" + strings.Repeat("\n", lines-1) + "}\n" }
	for _, c := range []struct {
		name, code, want string
	}{
		{"60 lines", body(60), ""},
		{"61 lines", body(61), "function f has 61 lines"},
		{"method", strings.Replace(body(70), "f()", "(t T) m()", 1), "function m has 70 lines"},
		{"500 lines", strings.Repeat("\n", 499), ""},
		{"501 lines", strings.Repeat("\n", 500), "501 lines"},
		{"no value", "var n int", "variable n holds state"},
		{"map made", "var m = make(map[string]int)", "variable m holds state"},
		{"new", "var p = new(T)", "variable p holds state"},
		{"address", "var p = &T{}", "variable p holds state"},
		{"mutex", "var (\n\ta = 1\n\tmu = sync.Mutex{}\n)", "variable mu holds state"},
		{"pool", "var pool = sync.Pool{New: f}", "variable pool holds state"},
		{"once", "var get = sync.OnceValue(f)", "variable get holds state"},
		{"atomic", "var p = atomic.Pointer[T]{}", "variable p holds state"},
		{"error", `var ErrX = errors.New("x")`, ""},
		{"table", "var table = map[string]int{\"a\": 1}", ""},
		{"assertion", "var _ I = (*T)(nil)", ""},
		{"embedded", "//go:embed a.txt\nvar text string", ""},
		{"embedded in a group", "var (\n\t//go:embed a.txt\n\ttext string\n)", ""},
		{"documented only", "// go:embed a.txt\nvar text string", "variable text holds state"},
		{"constant", "const n = 1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := findShape(t, c.code, "p")
			if c.want == "" && found != "" || !strings.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

// An excuse is for one variable of one package.
func TestShapeExcuses(t *testing.T) {
	const once = " = sync.OnceValue(f)"
	for _, c := range []struct {
		dir, name string
		excused   bool
	}{
		{"xlregtest", "registryKeys", true},
		{"xlregtest", "other", false},
		{"p", "shared", false},
	} {
		if found := findShape(t, "var "+c.name+once, c.dir); (found == "") != c.excused {
			t.Errorf("%s in %s: found %q", c.name, c.dir, found)
		}
	}
}

// findShape returns what is wrong with code in the package in dir.
func findShape(t *testing.T, code, dir string) string {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "f.go", "package p\n"+code, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(checkShape(fset, f, dir), "; ")
}
