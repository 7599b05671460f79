package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/xlattice/xlreg"

// source is the module's code, each file parsed for itself, so that files for
// another system count too.
type source struct {
	fset  *token.FileSet
	files []file
}

type file struct {
	path string // from the module's root
	ast  *ast.File
}

func (f file) dir() string     { return path.Dir(f.path) }
func (f file) test() bool      { return strings.HasSuffix(f.path, "_test.go") }
func (f file) generated() bool { return ast.IsGenerated(f.ast) }

// readSource reads all the module's Go files: not test data, and not the modules
// of their own below it.
func readSource(t *testing.T) source {
	t.Helper()
	const root = "../.."
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	s := source{fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != root && skipDir(name) {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		return s.add(root, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func skipDir(name string) bool {
	base := filepath.Base(name)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func (s *source) add(root, name string) error {
	parsed, err := parser.ParseFile(s.fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return err
	}
	s.files = append(s.files, file{path: filepath.ToSlash(rel), ast: parsed})
	return nil
}

// imported is one import of a package, by its code or by its tests.
type imported struct {
	by   string // the importing package, from the module's root; "." is the root
	path string // as it is written; ours from the module's root
	ours bool
	test bool
}

// imports returns every import there is. Each package's name alone comes too, as
// an import of nothing, so that one without imports is seen.
func (s *source) imports() []imported {
	var all []imported
	for _, f := range s.files {
		all = append(all, imported{by: f.dir(), test: f.test()})
		for _, spec := range f.ast.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser has seen to it
			}
			all = append(all, newImport(f.dir(), p, f.test()))
		}
	}
	return all
}

func newImport(by, p string, test bool) imported {
	i := imported{by: by, path: p, test: test}
	if p == module {
		i.path, i.ours = ".", true
	}
	if rest, ok := strings.CutPrefix(p, module+"/"); ok {
		i.path, i.ours = rest, true
	}
	return i
}
