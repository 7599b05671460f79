package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk that fills up costs lines, but the log says how many, and every line in it can be
// read; and the registry's own log says so once, and once more when it is over.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 8<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "audit.log")
	l, said := open(t, path)
	const n = 200
	for i := range n {
		l.Admin(Change{Time: noon, What: "test", Detail: fmt.Sprint(i, strings.Repeat("x", 100))})
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	l.Admin(Change{Time: noon, What: "test", Detail: "last"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// What stands there of the line that did not fit is no line.
	whole := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	kept, lost, cut := 0, 0, 0
	for _, row := range whole {
		switch {
		case !strings.HasSuffix(row, "}"):
			cut++
		case strings.Contains(row, `"event":"lost"`):
			var said line
			if err := json.Unmarshal([]byte(row), &said); err != nil {
				t.Fatal(err)
			}
			lost = said.Omitted
		default:
			kept++
		}
	}
	if kept+lost != n+1 || lost == 0 || cut > 1 || !strings.Contains(whole[len(whole)-1], "last") {
		t.Errorf("%d kept, %d lost, %d cut of %d; the last is %s", kept, lost, cut, n+1, whole[len(whole)-1])
	}
	if errors, again := strings.Count(said.String(), "level=ERROR"), strings.Count(said.String(), "level=WARN"); errors != 1 || again != 1 {
		t.Errorf("said %d and %d times: %s", errors, again, said)
	}
}
