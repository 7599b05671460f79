package run

import (
	"slices"
	"strings"
)

// mergeEnv returns env with more added; a variable in more replaces one of the same
// name.
func mergeEnv(env []string, more ...string) []string {
	merged := slices.Clone(env)
	for _, v := range more {
		name, _, _ := strings.Cut(v, "=")
		merged = slices.DeleteFunc(merged, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		merged = append(merged, v)
	}
	return merged
}
