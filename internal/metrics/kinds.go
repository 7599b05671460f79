package metrics

import (
	"strings"

	"github.com/xlattice/xlreg"
)

// kindName is the value of the label error for a kind: its text, in the form of labels.
func kindName(k xlreg.Kind) string {
	if !k.Valid() {
		return "internal"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, k.Error())
}

func values[K comparable](m map[K]string) []string {
	all := make([]string, 0, len(m))
	for _, v := range m {
		all = append(all, v)
	}
	return all
}
