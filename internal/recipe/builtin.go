package recipe

import (
	"bytes"
	"embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/xlattice/xlreg/internal/spelling"
)

//go:embed builtin/*.yaml
var files embed.FS

// builtin reads the recipes that are in the program, when one of them is first wanted. Every
// start of the program lists their names, and few starts want more.
var builtin = sync.OnceValue(func() []*Recipe {
	var all []*Recipe
	for _, name := range Names() {
		if r, err := readBuiltin(name + extension); err == nil { // a test holds that there is no error
			all = append(all, r)
		}
	}
	return all
})

const extension = ".yaml"

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
	entries, err := files.ReadDir("builtin") // sorted
	if err != nil {
		return nil // the directory is there, or it would not compile
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), extension))
	}
	return names
}

// WithFormat returns the names of those of Builtin that have a format.
func WithFormat() []string {
	return slices.DeleteFunc(Names(), func(name string) bool {
		data, err := files.ReadFile("builtin/" + name + extension)
		return err != nil || !bytes.Contains(data, []byte("\nformat:")) // what is in a block is indented
	})
}

// Find returns the builtin recipe of that name.
func Find(name string) (*Recipe, error) {
	for _, r := range builtin() {
		if r.Name == name {
			return r, nil
		}
	}
	if meant := nearest(name); meant != "" {
		return nil, fmt.Errorf("no recipe %q: if you mean %s, write that; 'xlreg recipes' lists all, and --recipe FILE starts one of your own", name, meant)
	}
	return nil, fmt.Errorf("no recipe %q: there are %s; --recipe FILE starts one of your own", name, strings.Join(Names(), ", "))
}

// nearest returns the recipe that somebody meant who wrote this name; empty if that could be
// anything.
func nearest(name string) string {
	name = strings.ToLower(name)
	best, least := "", 3
	for _, known := range Names() {
		if strings.HasPrefix(name, known) || len(name) > 2 && strings.HasPrefix(known, name) {
			return known
		}
		d := spelling.Distance(name, known)
		if d < least && (d == 1 || d <= len(known)/2 && name != "" && name[0] == known[0]) { // two letters make another word of a short one
			best, least = known, d
		}
	}
	return best
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
// may be given as a path. It is for programs that were started without the recipe, so it
// is one of those that have a format: the others' programs, such as python3, have been told
// something of which the recipe knows nothing.
func ForProgram(program string) (*Recipe, bool) {
	i := slices.IndexFunc(builtin(), func(r *Recipe) bool {
		return r.Program == filepath.Base(program) && r.Format.Text != ""
	})
	if i < 0 {
		return nil, false
	}
	return builtin()[i], true
}
