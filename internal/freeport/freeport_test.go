package freeport

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// taker is set for a test program that is to take ports and hold them until its standard
// input ends.
const taker = "FREEPORT_TEST_TAKE"

func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv(taker))
	if err != nil {
		m.Run()
		return
	}
	for range n {
		p, err := Take()
		if err != nil {
			panic(err)
		}
		defer p.Close()
		fmt.Println(p.Number())
	}
	fmt.Println("done")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// Several processes and goroutines take ports at the same time, and no port twice.
func TestNoPortIsTakenTwice(t *testing.T) {
	const each, processes = 200, 3
	var mu sync.Mutex
	seen := make(map[int]int)
	note := func(port int) {
		mu.Lock()
		defer mu.Unlock()
		seen[port]++
	}
	var all sync.WaitGroup
	for range processes {
		all.Go(func() {
			for _, port := range takeElsewhere(t, each) {
				note(port)
			}
		})
		all.Go(func() {
			for range each {
				note(For(t))
			}
		})
	}
	all.Wait()
	for port, times := range seen {
		if times > 1 || port < first || port >= holder {
			t.Errorf("port %d was taken %d times", port, times)
		}
	}
	if len(seen) != 2*processes*each {
		t.Errorf("%d ports were taken, want %d", len(seen), 2*processes*each)
	}
}

// takeElsewhere takes ports in another process, which holds them until the test ends.
func takeElsewhere(t *testing.T, n int) []int {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), taker+"="+strconv.Itoa(n))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Error(err)
		return nil
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	var ports []int
	for {
		var line string
		if _, err := fmt.Fscanln(out, &line); err != nil {
			t.Error(err)
			return nil
		}
		if line == "done" {
			return ports
		}
		port, err := strconv.Atoi(line)
		if err != nil {
			t.Error(err)
		}
		ports = append(ports, port)
	}
}

// A port is passed over while somebody listens on it, and free again afterwards.
func TestPortInUse(t *testing.T) {
	p, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	i := p.Number() - first
	if try(i) != nil {
		t.Error("a port that is held was taken")
	}
	l, err := net.Listen("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if try(i) != nil {
		t.Error("a port on which somebody listens was taken")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	again := try(i)
	if again == nil {
		t.Fatal("the port is not free again")
	}
	_ = again.Close()
}

func TestAddresses(t *testing.T) {
	for _, addr := range Addresses(t, 3) {
		l, err := net.Listen("tcp", addr)
		if err != nil || !strings.HasPrefix(addr, "127.0.0.1:") {
			t.Fatalf("%s: %v", addr, err)
		}
		_ = l.Close()
	}
}
