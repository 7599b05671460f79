package run

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestHolder(t *testing.T) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	self := fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(comm)), os.Getpid())
	for _, at := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if got := Holder(l.Addr().String()); got != self {
			t.Errorf("%s is held by %q, not %q", l.Addr(), got, self)
		}
		addr := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := Holder(addr); got != unknownHolder {
			t.Errorf("%s, which is free, is held by %q", addr, got)
		}
	}
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"} {
		if got := Holder(addr); got != unknownHolder {
			t.Errorf("%q is held by %q", addr, got)
		}
	}
}

// A port that another program has, once this one has let go of it.
func TestHolderIsAnotherProgram(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	addr := l.Addr().String()
	f.Close()
	l.Close()
	if got, want := Holder(addr), fmt.Sprintf("sleep (pid %d)", cmd.Process.Pid); got != want {
		t.Errorf("held by %q, not %q", got, want)
	}
}
