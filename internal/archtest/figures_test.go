package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// figures are what a first look at code goes by. No single function is judged
// here (TestShape does that), only where the whole is drifting.
type figures struct {
	length, nesting []int    // of each function
	undocumented    []string // exported names without a comment
	variables       int      // of packages, errors and tables among them
	state           []string // those that are neither
}

// Run it with -v to see them.
func TestFigures(t *testing.T) {
	s := readSource(t)
	var all figures
	for _, f := range s.files {
		if !f.test() && !f.generated() {
			all.add(s.fset, f)
		}
	}
	median, p90, deep := quantile(all.length, 50), quantile(all.length, 90), quantile(all.nesting, 90)
	t.Logf("%d functions: median %d lines, p90 %d; nesting p90 %d", len(all.length), median, p90, deep)
	t.Logf("%d exported names without a comment; %d package variables, of which state: %q", len(all.undocumented), all.variables, all.state)

	const mostMedian, mostP90, mostDeep = 12, 25, 3
	if median > mostMedian || p90 > mostP90 || deep > mostDeep {
		t.Errorf("functions have %d lines in the median, %d at p90 and nest %d deep at p90; at most %d, %d, %d",
			median, p90, deep, mostMedian, mostP90, mostDeep)
	}
	for _, name := range all.undocumented {
		t.Errorf("%s is exported and has no comment", name)
	}
	if len(all.length) < 200 {
		t.Errorf("the walk over the source saw %d functions", len(all.length))
	}
}

func (g *figures) add(fset *token.FileSet, f file) {
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			g.length = append(g.length, lines(fset, d))
			g.nesting = append(g.nesting, depth(d.Body))
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
				g.undocumented = append(g.undocumented, f.path+": "+d.Name.Name)
			}
		case *ast.GenDecl:
			g.addNames(f, d)
		}
	}
}

func (g *figures) addNames(f file, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		var names []*ast.Ident
		documented := d.Doc != nil
		switch s := spec.(type) {
		case *ast.TypeSpec:
			names = []*ast.Ident{s.Name}
			documented = documented || s.Doc != nil
		case *ast.ValueSpec:
			names = s.Names
			documented = documented || s.Doc != nil || s.Comment != nil
		}
		for _, name := range names {
			if name.IsExported() && !documented {
				g.undocumented = append(g.undocumented, f.path+": "+name.Name)
			}
			if d.Tok == token.VAR && name.Name != "_" {
				g.variables++
			}
		}
	}
	for _, name := range stateOf(d) {
		g.state = append(g.state, f.dir()+"."+name)
	}
}

// exportedReceiver reports whether users can call d: a function, or a method of
// a type that they can name.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// depth returns how deep statements lie in n: 0 where they follow each other. The
// else of an if, and the case of a switch, lie no deeper than what they belong to.
func depth(n ast.Node) int {
	deepest := 0
	ast.Inspect(n, func(child ast.Node) bool {
		if child == nil || child == n {
			return true
		}
		switch c := child.(type) {
		case *ast.IfStmt:
			deepest = max(deepest, ifDepth(c))
			return false
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt, *ast.FuncLit:
			deepest = max(deepest, 1+depth(child))
			return false
		}
		return true
	})
	return deepest
}

func ifDepth(s *ast.IfStmt) int {
	deepest := 1 + depth(s.Body)
	if s.Init != nil {
		deepest = max(deepest, 1+depth(s.Init))
	}
	switch e := s.Else.(type) {
	case *ast.IfStmt:
		deepest = max(deepest, ifDepth(e))
	case *ast.BlockStmt:
		deepest = max(deepest, 1+depth(e))
	}
	return deepest
}

// quantile returns the value that p percent of the others do not exceed.
func quantile(values []int, p int) int {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)*p/100]
}

// The figures of a file whose figures are plain to see.
func TestFiguresOfOne(t *testing.T) {
	const code = `package p
type T struct{}
// U has a comment.
type U struct{}
const (
	A = 1 // a comment
	B = 2
)
var ErrX = f()
var n int
func Long() {

}
func (t *T) M() {}
func (t hidden) M() {}
func flat() { f(); f() }
func deep() { for { if a { } else if b { switch { case c: go func() { f() }() } } } }
`
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, "p.go", code, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var g figures
	g.add(fset, file{path: "p/p.go", ast: parsed})
	if got, want := strings.Join(g.undocumented, " "), "p/p.go: T p/p.go: B p/p.go: ErrX p/p.go: Long p/p.go: M"; got != want {
		t.Errorf("undocumented: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(g.length, g.nesting, g.variables, g.state), "[3 1 1 1 1] [0 0 0 0 4] 2 [p.n]"; got != want {
		t.Errorf("figures %s, want %s", got, want)
	}
	if got := quantile([]int{5, 1, 4, 2, 3}, 50); got != 3 {
		t.Errorf("median %d", got)
	}
}
