package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
)

// LookPath finds the program that is to run. One that is not there, or cannot be
// run, is an *ExitError.
func LookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if errors.Is(err, exec.ErrDot) {
		err = nil // whoever named a program in the current directory means it
	}
	if err == nil {
		return path, nil
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return "", &ExitError{Name: program, Code: codeNotFound, Err: errors.New("no such program: install it, or give its path")}
	}
	if e := (*exec.Error)(nil); errors.As(err, &e) {
		err = e.Err // ExitError has the name already
	}
	return "", &ExitError{Name: program, Code: codeCannotRun, Err: fmt.Errorf("cannot be run: %w: see that it is an executable file", err)}
}
