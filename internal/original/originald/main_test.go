package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program says what is needed to find it, serves, and ends with its input.
func TestRun(t *testing.T) {
	cred := filepath.Join(t.TempDir(), "regCred.dat")
	for _, c := range []struct {
		args  []string
		first string
		file  string
	}{
		{[]string{"--generation", "1.8", "--cred", cred, "--stdin"}, cred, "Version: 1.8.4"},
		{[]string{"--stdin"}, "regCred {", ""},
	} {
		stdin, end := io.Pipe()
		said, stdout := io.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- run(c.args, stdin, stdout)
			stdout.Close()
		}()
		lines := bufio.NewReader(said)
		first, err := lines.ReadString('\n')
		if err != nil || strings.TrimSpace(first) != c.first {
			t.Errorf("%q: said %q, %v", c.args, first, err)
		}
		if c.file != "" {
			if text, err := os.ReadFile(cred); err != nil || !strings.Contains(string(text), c.file) {
				t.Errorf("%q: wrote %q, %v", c.args, text, err)
			}
		}
		end.Close()
		if _, err := io.Copy(io.Discard, lines); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%q: %v", c.args, err)
		}
	}
}

func TestParse(t *testing.T) {
	if _, err := parse([]string{"--generation", "2.0"}); err == nil || !strings.Contains(err.Error(), "1.8 or 1.9") {
		t.Errorf("generation 2.0: %v", err)
	}
	if err := run([]string{"--listen", "nowhere"}, strings.NewReader(""), io.Discard); err == nil {
		t.Error("no error without an address")
	}
}
