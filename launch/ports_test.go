package launch

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/xlattice/xlreg"
)

func TestHold(t *testing.T) {
	taken, err := Reserve("127.0.0.1", 2)
	if err != nil {
		t.Fatal(err)
	}
	ends := taken.Endpoints()
	_, err = Hold(ends)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), string(ends[0])+": address already in use: stop the program that has it, or choose another port") {
		t.Errorf("a port that is taken: %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if err := taken.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	// A name, and an address that is not this machine's, stand for all addresses.
	ends[1] = xlreg.Endpoint(fmt.Sprintf("192.0.2.1:%d", ends[1].Port()))
	named := xlreg.Endpoint(fmt.Sprintf("localhost:%d", ends[0].Port()))
	for _, list := range [][]xlreg.Endpoint{ends, {named}} {
		p, err := Hold(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if _, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", e.Port())); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("%s is not held: %v", e, err)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	// What was taken before the one that is taken already is let go.
	l, err := net.Listen("tcp", string(ends[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	free := xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", ends[1].Port()))
	if _, err := Hold([]xlreg.Endpoint{free, ends[0]}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
	again, err := net.Listen("tcp", string(free))
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestReserveNowhere(t *testing.T) {
	if _, err := Reserve("192.0.2.1", 1); err == nil {
		t.Error("a port on an address that is not this machine's")
	}
}
