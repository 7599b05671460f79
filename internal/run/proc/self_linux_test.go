package proc

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSelf(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{own: own, other: ownFile, other + "x": ownFile} {
		if got := Self(path); got != want {
			t.Errorf("instead of %s: got %s", path, got)
		}
	}
}
