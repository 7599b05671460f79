package proc

import (
	"fmt"
	"slices"
	"strings"
)

// markName is the variable by which the processes of a run are found if their shim, which
// is named too, was killed: RUN.PID.
const markName = "RUN_SHIM"

// MarkOf returns the variable for programs of one shim.
func MarkOf(mark string, shim int) string { return fmt.Sprintf("%s=%s.%d", markName, mark, shim) }

// WithoutMark returns env without the mark of another run, inside of which this one is.
func WithoutMark(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, markName+"=") })
}

// MergeEnv returns env with more added; a variable in more replaces one of the same
// name.
func MergeEnv(env []string, more ...string) []string {
	merged := slices.Clone(env)
	for _, v := range more {
		name, _, _ := strings.Cut(v, "=")
		merged = slices.DeleteFunc(merged, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		merged = append(merged, v)
	}
	return merged
}
