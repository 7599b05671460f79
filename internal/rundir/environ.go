package rundir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/private"
)

// ErrNoEnvironment says that a run has left no environment of that name.
var ErrNoEnvironment = errors.New("no environment is kept")

// SetEnv keeps what a member is told in its environment, each NAME=value, for others who
// want to talk to the cluster as that member.
func (d *Dir) SetEnv(member string, env []string) error {
	if err := checkFileName(member); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(d.in(envName), 0o700); err != nil {
		return err
	}
	var b bytes.Buffer
	for _, v := range env {
		if strings.ContainsRune(v, 0) || strings.IndexByte(v, '=') < 1 {
			return fmt.Errorf("the environment of %s has a variable that no program can be given", member)
		}
		b.WriteString(v)
		b.WriteByte(0) // as in /proc: values may have several lines
	}
	return atomicfile.Write(filepath.Join(d.in(envName), member), b.Bytes(), 0o600)
}

// Env returns what SetEnv has kept for a member of the run in a directory.
func Env(dir, member string) ([]string, error) {
	if err := checkFileName(member); err != nil {
		return nil, err
	}
	if err := private.Dir(dir); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(pathIn(dir, envName, member))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s in %s: %w", member, dir, ErrNoEnvironment)
	}
	if err != nil {
		return nil, err
	}
	var env []string
	for v := range bytes.SplitSeq(data, []byte{0}) {
		if len(v) > 0 {
			env = append(env, string(v))
		}
	}
	return env, nil
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
