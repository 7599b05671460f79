//go:build linux

package deploytest

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// page is what somebody reads who installs a package.
const pageFile = "../../docs/operate/package.md"

// page runs the commands that the page shows, in their order.
func page(t *testing.T, d *debian) {
	text, err := os.ReadFile(pageFile)
	must(t, err)
	blocks := strings.Split(string(text), "\n```bash\n")[1:]
	if len(blocks) < 10 {
		t.Fatalf("only %d blocks of commands", len(blocks))
	}
	d.run(t, "cp 1.deb xlreg_0.1.0-1_"+runtime.GOARCH+".deb; cp 2.deb xlreg_0.1.0-2_"+runtime.GOARCH+".deb")
	for i, block := range blocks {
		script, _, closed := strings.Cut(block, "\n```\n")
		if !closed {
			t.Fatalf("block %d has no end", i+1)
		}
		d.run(t, strings.ReplaceAll(script, "_amd64.deb", "_"+runtime.GOARCH+".deb"))
	}
}

// signed returns the checksums of a release, their signature, and the file that says whose
// signature counts.
func signed(t *testing.T, dir string) []string {
	t.Helper()
	work := t.TempDir()
	key := filepath.Join(work, "key")
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	commandIn(t, "../..", []string{"OUT=" + dir, "SIGN_KEY=" + key}, "bash", "deploy/package.sh", "sums")
	public, err := os.ReadFile(key + ".pub")
	must(t, err)
	signers := filepath.Join(work, "signers")
	must(t, os.WriteFile(signers, append([]byte("xlreg "), public...), 0o600))
	sums := filepath.Join(dir, "SHA256SUMS")
	return []string{sums, sums + ".sig", signers}
}
