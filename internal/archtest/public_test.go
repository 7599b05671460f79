package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Whoever imports a public package cannot import an internal one, so nothing that is
// exported may mention what is in there: its user could not name it.
func TestPublicPackagesShowNothingInternal(t *testing.T) {
	s := readSource(t)
	public := make(map[string]bool)
	for _, f := range s.files {
		if f.test() || !isPublic(f) {
			continue
		}
		public[f.dir()] = true
		for _, found := range checkPublic(f.ast) {
			t.Errorf("%s: %s", f.path, found)
		}
	}
	for _, dir := range []string{".", "client", "identity", "launch", "regcred", "xlregtest"} {
		if !public[dir] {
			t.Errorf("the walk over the source misses %s", dir)
		}
	}
	if public["internal/session"] || public["cmd/xlreg"] {
		t.Error("the walk takes packages for public that nobody can import")
	}
}

func isPublic(f file) bool {
	return f.ast.Name.Name != "main" && !slices.Contains(strings.Split(f.dir(), "/"), "internal")
}

// checkPublic returns what is exported by f and mentions an internal package.
func checkPublic(f *ast.File) []string {
	c := publicCheck{internal: internalNames(f)}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			c.checkFunc(d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				c.checkSpec(spec)
			}
		}
	}
	return c.found
}

// internalNames returns the names by which f calls the internal packages it imports.
func internalNames(f *ast.File) map[string]bool {
	names := make(map[string]bool)
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !strings.HasPrefix(p, module+"/internal/") {
			continue
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = true
	}
	return names
}

type publicCheck struct {
	internal map[string]bool
	found    []string
}

func (c *publicCheck) checkFunc(d *ast.FuncDecl) {
	if !d.Name.IsExported() || d.Recv != nil && !ast.IsExported(receiver(d)) {
		return
	}
	c.check(d.Name.Name, d.Type)
}

// receiver returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	name := ""
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}

func (c *publicCheck) checkSpec(spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			c.check(s.Name.Name, s.TypeParams)
			c.check(s.Name.Name, s.Type)
		}
	case *ast.ValueSpec:
		for i, name := range s.Names {
			if !name.IsExported() {
				continue
			}
			c.check(name.Name, s.Type)
			if s.Type == nil && i < len(s.Values) && !strings.HasPrefix(name.Name, "Err") { // whose type is error
				c.check(name.Name, s.Values[i])
			}
		}
	}
}

// check looks for an internal package in what a declaration shows of itself. Struct
// fields that are not exported do not show.
func (c *publicCheck) check(name string, shown ast.Node) {
	if shown == nil || shown == ast.Node((*ast.FieldList)(nil)) {
		return
	}
	ast.Inspect(shown, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StructType:
			for _, field := range n.Fields.List {
				if len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
					c.check(name, field.Type)
				}
			}
			return false
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && c.internal[pkg.Name] {
				c.found = append(c.found, fmt.Sprintf("%s mentions %s.%s, which is internal", name, pkg.Name, n.Sel.Name))
			}
		}
		return true
	})
}

func TestPublicCheckFails(t *testing.T) {
	for code, want := range map[string]string{
		"func F(session.Conn) {}":                            "F mentions session.Conn",
		"func F() (int, []*session.Conn) { return 0, nil }":  "F mentions session.Conn",
		"func F[T session.Conn](T) {}":                       "F mentions session.Conn",
		"func f(session.Conn) {}":                            "",
		"func F() { session.Connect() }":                     "",
		"type t int; func (t) M(session.Conn) {}":            "",
		"type T int; func (*T) M(session.Conn) {}":           "M mentions session.Conn",
		"type T[P any] int; func (*T[P]) M(session.Conn) {}": "M mentions session.Conn",
		"type T = session.Conn":                              "T mentions session.Conn",
		"type T struct { Limits session.Limits }":            "T mentions session.Limits",
		"type T struct { *session.Conn }":                    "T mentions session.Conn",
		"type T struct { conn session.Conn }":                "",
		"type T interface { M(map[string]session.Conn) }":    "T mentions session.Conn",
		"type T func(w.Message)":                             "T mentions w.Message",
		"type T[P session.Conn] int":                         "T mentions session.Conn",
		"type t struct { Limits session.Limits }":            "",
		"var V session.Conn":                                 "V mentions session.Conn",
		"var V = session.Default":                            "V mentions session.Default",
		"var v = session.Default":                            "",
		"var ErrLost = session.ErrLost":                      "",
		"const C = session.C":                                "C mentions session.C",
		"type T struct { K other.Key }":                      "",
	} {
		t.Run(code, func(t *testing.T) {
			imports := `import ("` + module + `/internal/session"; w "` + module + `/internal/wire"; "` + module + `/other")`
			f, err := parser.ParseFile(token.NewFileSet(), "p.go", "package p\n"+imports+"\n"+code, 0)
			if err != nil {
				t.Fatal(err)
			}
			found := strings.Join(checkPublic(f), "; ")
			if want == "" && found != "" || !strings.Contains(found, want) {
				t.Errorf("found %q, want %q", found, want)
			}
		})
	}
}
