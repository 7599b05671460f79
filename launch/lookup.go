package launch

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
		err = nil // it was named, by the one who has it there
	}
	if err == nil {
		return path, nil
	}
	e := &ExitError{Name: program, Code: codeNotFound}
	e.Err = errors.New("no such program: install it, or give its path")
	if errors.Is(err, fs.ErrPermission) {
		e.Code, e.Err = codeCannotRun, fmt.Errorf("cannot be run: %w: see that it is an executable file", fs.ErrPermission)
	}
	return "", e
}
