package run

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/xlattice/xlreg/internal/freeport"
)

func TestHolder(t *testing.T) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	self := fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(comm)), os.Getpid())
	port := strconv.Itoa(freeport.For(t)) // which no other test has at another address of this machine
	for _, at := range []string{"127.0.0.1", "::1", ""} {
		l, err := net.Listen("tcp", net.JoinHostPort(at, port))
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
	l, err := net.Listen("tcp", freeport.Addresses(t, 1)[0])
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

// A port is let go at every address of this machine, and other ports stay held.
func TestReleaseLike(t *testing.T) {
	ports := []string{portOf(t, freeport.Addresses(t, 1)[0]), portOf(t, freeport.Addresses(t, 1)[0])}
	one, err := Hold("127.0.0.2:" + ports[0])
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	other, err := Hold("127.0.0.3:"+ports[0], "127.0.0.3:"+ports[1])
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.Refuse()
	for range 2 {
		if err := errors.Join(one.Release(), other.ReleaseLike(one)); err != nil {
			t.Fatal(err)
		}
	}
	everywhere, err := net.Listen("tcp", ":"+ports[0])
	if err != nil {
		t.Fatal(err)
	}
	defer everywhere.Close()
	if _, err := net.Listen("tcp", ":"+ports[1]); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("port %s is not held: %v", ports[1], err)
	}
}
