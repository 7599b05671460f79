package proc

import (
	"slices"
	"testing"
)

func TestMergeEnv(t *testing.T) {
	old := []string{"A=1", "B=2", "A=3", "AB=4"}
	if got, want := MergeEnv(old, "A=5", "C=6"), []string{"B=2", "AB=4", "A=5", "C=6"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !slices.Equal(old, []string{"A=1", "B=2", "A=3", "AB=4"}) {
		t.Errorf("the old one is now %q", old)
	}
}
