package rundir

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// closing remembers that it was closed.
type closing struct {
	bytes.Buffer
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func openLog(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := OpenLog(dir, "m0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func write(t *testing.T, w interface{ Write([]byte) (int, error) }, text string) {
	t.Helper()
	if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
}

func TestLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	for i, text := range []string{"first", "second", "third"} {
		l := openLog(t, dir)
		var out, errs closing
		stdout, stderr := l.Tee(&out), l.Tee(&errs)
		write(t, stdout, text)
		write(t, stderr, "!")
		for _, w := range []interface{ Close() error }{stdout, stderr, l, l} {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		if out.String() != text || errs.String() != "!" || !out.closed || !errs.closed {
			t.Errorf("%d: %q, %q", i, &out, &errs)
		}
	}
	for name, want := range map[string]string{"m0.log": "third!", "m0.log.1": "second!"} {
		path := filepath.Join(dir, name)
		got, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || string(got) != want || statErr != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %q, %v, %v", name, got, err, info)
		}
	}
}

// A program that writes after the end of its log loses nothing but the log.
func TestLogAfterClose(t *testing.T) {
	l := openLog(t, t.TempDir())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var out closing
	write(t, l.Tee(&out), "late")
	if out.String() != "late" {
		t.Errorf("%q", &out)
	}
}
