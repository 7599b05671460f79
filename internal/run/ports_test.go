package run

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/xlattice/xlreg/internal/freeport"
)

func TestHold(t *testing.T) {
	taken, err := Reserve("127.0.0.1", 2)
	if err != nil {
		t.Fatal(err)
	}
	addrs := taken.Addrs()
	_, err = Hold(addrs...)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), addrs[0]+": address already in use: stop the program that has it, or choose another port") {
		t.Errorf("a port that is taken: %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if err := taken.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	// A name, and an address that is not this machine's, stand for all addresses.
	ports := []string{portOf(t, addrs[0]), portOf(t, addrs[1])}
	for _, list := range [][]string{{addrs[0], "192.0.2.1:" + ports[1]}, {"localhost:" + ports[0]}} {
		p, err := Hold(list...)
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range list {
			if _, err := net.Listen("tcp", "127.0.0.1:"+portOf(t, addr)); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("%s is not held: %v", addr, err)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	// What was taken before the one that is taken already is let go.
	l, err := net.Listen("tcp", addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Hold(addrs[1], addrs[0]); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
	again, err := net.Listen("tcp", addrs[1])
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestHoldNoAddress(t *testing.T) {
	if _, err := Hold("nowhere"); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("an address without a port: %v", err)
	}
}

func TestReserveNowhere(t *testing.T) {
	if _, err := Reserve("192.0.2.1", 1); err == nil {
		t.Error("a port on an address that is not this machine's")
	}
}

// Ports that were let go for a program are still nobody else's.
func TestReleasedPortsStayReserved(t *testing.T) {
	p, err := Reserve("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(p.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	if hand := freeport.Hold(number); hand != nil {
		t.Errorf("port %d is taken a second time", number)
	}
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Fatal(err)
	}
	hand := freeport.Hold(number)
	if hand == nil {
		t.Fatalf("port %d is not given back", number)
	}
	if err := hand.Close(); err != nil {
		t.Fatal(err)
	}
}
