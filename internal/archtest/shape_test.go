package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

const (
	maxFunctionLines = 60
	maxFileLines     = 500
)

// Files past 500 lines are probably two ideas, functions past 60 certainly. A
// package keeps no state: what lives longer than a call is owned by somebody.
func TestShape(t *testing.T) {
	s := readSource(t)
	files, functions := 0, 0
	for _, f := range s.files {
		if f.test() || f.generated() {
			continue
		}
		files++
		functions += len(f.ast.Decls)
		for _, found := range checkShape(s.fset, f.ast, f.dir()) {
			t.Errorf("%s: %s", f.path, found)
		}
	}
	if files < 20 || functions < 200 {
		t.Errorf("the walk over the source saw %d files with %d declarations", files, functions)
	}
}

// checkShape returns what is wrong with one file of the package in dir.
func checkShape(fset *token.FileSet, f *ast.File, dir string) []string {
	var found []string
	if n := fset.Position(f.FileEnd).Line; n > maxFileLines {
		found = append(found, fmt.Sprintf("%d lines, at most %d", n, maxFileLines))
	}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if n := lines(fset, d); n > maxFunctionLines {
				found = append(found, fmt.Sprintf("function %s has %d lines, at most %d", d.Name.Name, n, maxFunctionLines))
			}
		case *ast.GenDecl:
			found = append(found, checkVars(d, dir)...)
		}
	}
	return found
}

func lines(fset *token.FileSet, n ast.Node) int {
	return fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1
}

// checkVars finds package variables that can only be there to be changed.
// Errors, tables and what else has its value from the start may stay, and those
// few that the table stateful excuses.
func checkVars(d *ast.GenDecl, dir string) []string {
	var found []string
	for _, name := range stateOf(d) {
		if _, ok := stateful[dir+"."+name]; !ok {
			found = append(found, fmt.Sprintf("package variable %s holds state: let a value own it", name))
		}
	}
	return found
}

// stateIn returns the package variables of a file that hold state.
func stateIn(f *ast.File) []string {
	var names []string
	for _, decl := range f.Decls {
		if d, ok := decl.(*ast.GenDecl); ok {
			names = append(names, stateOf(d)...)
		}
	}
	return names
}

func stateOf(d *ast.GenDecl) []string {
	if d.Tok != token.VAR {
		return nil
	}
	var names []string
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		if v.Names[0].Name == "_" || embeds(d.Doc) || embeds(v.Doc) {
			continue
		}
		if len(v.Values) == 0 || slices.ContainsFunc(v.Values, isState) {
			names = append(names, v.Names[0].Name)
		}
	}
	return names
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

// isState reports whether a variable with this first value is made to change:
// memory just allocated, an address, or something of sync.
func isState(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.UnaryExpr:
		return v.Op == token.AND
	case *ast.CompositeLit:
		return fromSync(v.Type)
	case *ast.CallExpr:
		name, ok := v.Fun.(*ast.Ident)
		return ok && (name.Name == "make" || name.Name == "new") || fromSync(v.Fun)
	}
	return false
}

func fromSync(e ast.Expr) bool {
	if index, ok := e.(*ast.IndexExpr); ok {
		e = index.X
	}
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := selector.X.(*ast.Ident)
	return ok && (pkg.Name == "sync" || pkg.Name == "atomic")
}
