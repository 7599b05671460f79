package recipe

import (
	"fmt"
	"strings"
)

// Fault is what is wrong at one place of a recipe, and what to do about it.
type Fault struct {
	File string
	Line int // from 1
	Text string
}

// Error is the fault as compilers write one.
func (f *Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// Faults are all that is wrong with a recipe, in the order of its lines.
type Faults []*Fault

// Error has a line for each fault.
func (f Faults) Error() string {
	var lines []string
	for _, fault := range f {
		lines = append(lines, fault.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the first of the faults.
func (f Faults) Unwrap() []error {
	var all []error
	for _, fault := range f {
		all = append(all, fault)
	}
	return all
}
