package recipe

import (
	"embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

//go:embed builtin/*.yaml
var files embed.FS

// builtin reads the recipes that are in the program, when they are first asked for.
var builtin = sync.OnceValue(func() []*Recipe {
	entries, err := files.ReadDir("builtin") // sorted
	if err != nil {
		return nil // the directory is there, or it would not compile
	}
	var all []*Recipe
	for _, e := range entries {
		if r, err := readBuiltin(e.Name()); err == nil { // a test holds that there is no error
			all = append(all, r)
		}
	}
	return all
})

func readBuiltin(name string) (*Recipe, error) {
	data, err := files.ReadFile("builtin/" + name)
	if err != nil {
		return nil, err
	}
	return Parse(name, data)
}

// Builtin returns the recipes that are in the program, sorted by name. They are shared:
// nobody may change them.
func Builtin() []*Recipe { return slices.Clone(builtin()) }

// Names returns the names of Builtin.
func Names() []string {
	var names []string
	for _, r := range builtin() {
		names = append(names, r.Name)
	}
	return names
}

// Find returns the builtin recipe of that name.
func Find(name string) (*Recipe, error) {
	for _, r := range builtin() {
		if r.Name == name {
			return r, nil
		}
	}
	return nil, fmt.Errorf("no recipe %q: there are %s, and --recipe FILE is for one of your own", name, strings.Join(Names(), ", "))
}

// Source returns the file of the builtin recipe of that name, as it was written.
func Source(name string) ([]byte, error) {
	r, err := Find(name)
	if err != nil {
		return nil, err
	}
	return files.ReadFile("builtin/" + r.File)
}

// ForProgram returns the builtin recipe of the system that a program belongs to, which
// may be given as a path.
func ForProgram(program string) (*Recipe, bool) {
	i := slices.IndexFunc(builtin(), func(r *Recipe) bool { return r.Program == filepath.Base(program) })
	if i < 0 {
		return nil, false
	}
	return builtin()[i], true
}
