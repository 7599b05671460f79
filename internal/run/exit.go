package run

import (
	"fmt"
	"syscall"
)

// ExitError says how a program failed.
type ExitError struct {
	Name   string         // the program's
	Code   int            // its exit code, if Signal is 0
	Signal syscall.Signal // what it was killed by
	Err    error          // why it did not start, or is lost; nil if it ran to its end
}

// Exit codes of programs that could not be started, as shells and env have them.
const (
	codeCannotRun = 126
	// CodeNotFound is that of what is not installed.
	CodeNotFound = 127
)

// Error says it in one line.
func (e *ExitError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	case e.Signal != 0:
		return fmt.Sprintf("%s was ended by a signal: %v", e.Name, e.Signal)
	default:
		return fmt.Sprintf("%s ended with exit status %d", e.Name, e.Code)
	}
}

// Unwrap returns why the program did not start.
func (e *ExitError) Unwrap() error { return e.Err }

// Status returns the exit code that shells give for such an end.
func (e *ExitError) Status() int {
	if e.Signal != 0 {
		return 128 + int(e.Signal)
	}
	return e.Code
}
