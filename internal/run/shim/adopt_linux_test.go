package shim

import (
	"os/exec"
	"slices"
	"syscall"
	"testing"
)

// A process without children need not look for strays; one with some does.
func TestStrays(t *testing.T) {
	if !isChildless() {
		t.Fatal("nothing was started yet")
	}
	child := exec.CommandContext(t.Context(), "sleep", "1000")
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	if isChildless() {
		t.Error("a child is overlooked")
	}
	if got := strays(syscall.Getpgrp()); !slices.Equal(got, []int{pid}) {
		t.Errorf("strays %v, want %d", got, pid)
	}
	if got := strays(pid); len(got) > 0 {
		t.Errorf("strays %v from its own group", got)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if isChildless() {
		t.Error("a child counts until it was waited for")
	}
	_ = child.Wait() // it was killed
	if !isChildless() {
		t.Error("it has gone")
	}
}
