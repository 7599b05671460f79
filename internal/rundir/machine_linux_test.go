package rundir

import (
	"os/exec"
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
