package rundir

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xlattice/xlreg/internal/private"
)

// ErrNoEnvironment says that a run has left no environment of that name.
var ErrNoEnvironment = errors.New("no environment is kept")

// SetEnv keeps what each member is told in its environment, NAME=value by the member's name,
// for others who want to talk to the cluster as that member. What was kept before is gone.
func (d *Dir) SetEnv(env map[string][]string) error {
	var b bytes.Buffer
	for _, member := range slices.Sorted(maps.Keys(env)) {
		if err := checkFileName(member); err != nil {
			return err
		}
		b.WriteString(member)
		b.WriteByte(0) // as in /proc: values may have several lines
		for _, v := range env[member] {
			if strings.ContainsRune(v, 0) || strings.IndexByte(v, '=') < 1 {
				return fmt.Errorf("the environment of %s has a variable that no program can be given", member)
			}
			b.WriteString(v)
			b.WriteByte(0)
		}
		b.WriteByte(0) // an empty variable ends those of a member
	}
	return d.writeFile(d.in(envName), b.Bytes())
}

// Env returns what SetEnv has kept for a member of the run in a directory.
func Env(dir, member string) ([]string, error) {
	all, err := readEnv(dir)
	if err != nil {
		return nil, err
	}
	env, ok := all[member]
	if !ok {
		return nil, fmt.Errorf("%s: %w", member, ErrNoEnvironment)
	}
	return env, nil
}

// Known returns the names of the members whose environment is kept in a directory, sorted.
func Known(dir string) ([]string, error) {
	all, err := readEnv(dir)
	return slices.Sorted(maps.Keys(all)), err
}

// readEnv returns what SetEnv has kept; nothing if there is no such file, or directory.
func readEnv(dir string) (map[string][]string, error) {
	err := private.Dir(dir)
	var data []byte
	if err == nil {
		data, err = os.ReadFile(pathIn(dir, envName))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := make(map[string][]string)
	for block := range strings.SplitSeq(string(data), "\x00\x00") {
		if member, vars, ok := strings.Cut(block, "\x00"); ok {
			all[member] = strings.Split(vars, "\x00")
		} else if block != "" { // a member without variables
			all[block] = nil
		}
	}
	return all, nil
}

// checkFileName refuses what would be a file elsewhere.
func checkFileName(name string) error {
	if name == "" || name == "." || name == ".." || filepath.Base(name) != name {
		return fmt.Errorf("%q is no name of a member", name)
	}
	return nil
}

func pathIn(dir string, names ...string) string {
	return filepath.Join(append([]string{dir}, names...)...)
}
