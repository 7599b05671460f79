package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNotFound says that there is no such program.
var ErrNotFound = errors.New("no such program")

// LookPath finds the program that is to run. One that is not there, or cannot be
// run, is an *ExitError. Servers are often where only the administrator's PATH leads:
// those directories come after PATH.
func LookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if errors.Is(err, exec.ErrNotFound) && filepath.Base(program) == program {
		path, err = lookSbin(program, err)
	}
	if errors.Is(err, exec.ErrDot) {
		err = nil // whoever named a program in the current directory means it
	}
	if err == nil {
		return path, nil
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return "", &ExitError{Name: program, Code: CodeNotFound, Err: fmt.Errorf("%w: install it, or give its path", ErrNotFound)}
	}
	if e := (*exec.Error)(nil); errors.As(err, &e) {
		err = e.Err // ExitError has the name already
	}
	return "", &ExitError{Name: program, Code: codeCannotRun, Err: fmt.Errorf("cannot be run: %w: see that it is an executable file", err)}
}

// sbin are the directories of servers.
func sbin() []string { return []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} }

// SearchPath returns PATH with the directories of servers at its end: a command finds
// there what LookPath does.
func SearchPath() string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, dir := range sbin() {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, string(os.PathListSeparator))
}

// WithSearchPath returns env with a PATH for commands: SearchPath, unless env has one, and before it
// the directories in env's variable of that name, if there are any.
func WithSearchPath(env []string, variable string) []string {
	path, found := valueOf(env, "PATH")
	if !found {
		path = SearchPath()
	}
	if first, _ := valueOf(env, variable); first != "" {
		path = first + string(os.PathListSeparator) + path
	}
	return append(slices.Clone(env), "PATH="+path)
}

// valueOf returns the value of a variable: the last one counts.
func valueOf(env []string, name string) (value string, found bool) {
	for _, v := range env {
		if text, is := strings.CutPrefix(v, name+"="); is {
			value, found = text, true
		}
	}
	return value, found
}

// lookSbin looks for a program in the directories of Debian's servers. If it is in none of
// them, its error is notFound.
func lookSbin(program string, notFound error) (string, error) {
	for _, dir := range sbin() {
		path, err := exec.LookPath(filepath.Join(dir, program))
		if !errors.Is(err, fs.ErrNotExist) {
			return path, err
		}
	}
	return "", notFound
}
