package rundir

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A process that has ended does not live, even if nobody has waited for it.
func TestLives(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if !lives(cmd.Process.Pid) {
		t.Error("a process that runs does not live")
	}
	in.Close()
	within(t, "the end of cat", func() {
		for lives(cmd.Process.Pid) {
			<-time.After(time.Millisecond)
		}
	})
	if err := cmd.Wait(); err != nil || lives(cmd.Process.Pid) {
		t.Errorf("afterwards: %v", err)
	}
}

// Nobody else can connect to a socket, from its first moment on.
func TestSocketIsClosedFromTheBeginning(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "s")
	l, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
