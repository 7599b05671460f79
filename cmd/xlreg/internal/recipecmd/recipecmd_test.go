package recipecmd

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/xlattice/xlreg/internal/view"
)

func TestFit(t *testing.T) {
	long := strings.Repeat("ü", 100)
	for _, c := range []struct{ width, want int }{{0, 128}, {200, 128}, {127, 127}, {80, 80}, {10, 38}} {
		rows := [][]string{{"NAME", "MEMBERS", "INSTALLED", "ABOUT"}, {"a", "3", "/bin/a", long}, {"longer", "3", "x", "short"}}
		fit(rows, c.width)
		widest := 0
		for line := range strings.Lines(view.Align(rows)) {
			widest = max(widest, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
		}
		if widest != c.want || rows[2][aboutColumn] != "short" {
			t.Errorf("in %d columns: %d, want %d", c.width, widest, c.want)
		}
	}
}
