package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseEnvFile(t *testing.T) {
	got, err := ParseEnvFile([]byte("# limits\n\n  XLREG_MAX_NODES=10  \nXLREG_NAME='two words'\nOTHER=\"a#b\"\nEMPTY=\nXLREG_MAX_NODES=11"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Setting{
		{"XLREG_MAX_NODES", "10", 3}, {"XLREG_NAME", "two words", 4}, {"OTHER", "a#b", 5}, {"EMPTY", "", 6}, {"XLREG_MAX_NODES", "11", 7},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

// What is accepted, a shell reads as the same value.
func TestEnvFileIsReadAsByAShell(t *testing.T) {
	values := []string{
		"1", "a,b", "[::]:56789", "127.0.0.1:1,[::1]:2", "/var/lib/x", "SHA256:a+/b", "a#b", "5m", "", "''", `""`, "'a b'", `"a b"`, `'a"b'`, `"a'b"`,
		"'$HOME `x` \\'", "a'b'", `"a`, "'a", "a b", `a\b`, "$HOME", `"$HOME"`, "`x`", "a;b", "a&b", `"a"b`, "'a'b'", "~", "~/x", "*", "a{b,c}", "{a,b}", "!x",
	}
	accepted := 0
	for _, value := range values {
		set, err := ParseEnvFile([]byte("V=" + value + "\n"))
		if err != nil {
			continue
		}
		accepted++
		path := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(path, []byte("V="+value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", `. "$1"; printf %s "$V"`, "sh", path)
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != set[0].Value {
			t.Errorf("V=%s: read as %q, by a shell as %q, %v", value, set[0].Value, out, err)
		}
	}
	if accepted < 15 {
		t.Errorf("only %d of %d values are accepted", accepted, len(values))
	}
}

func TestParseEnvFileRefuses(t *testing.T) {
	for _, line := range []string{
		"XLREG_MAX_NODES", "max-nodes = 5", "1A=b", "=b", "A B=c", "export A=b", "A='b", `A="b`, "A='", "A=b c", `A=b\`, "A=$B", `A="$B"`, "A='b'c'", "A=\x00", "A=\xff",
	} {
		_, err := ParseEnvFile([]byte("# first\nA=b\n" + line + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "line 3: ") {
			t.Errorf("%q: %v", line, err)
		}
	}
}
