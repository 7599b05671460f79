package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/xlregtest"
)

// TestTimeouts holds the table of commands in docs/timeouts.md against the values in use.
func TestTimeouts(t *testing.T) {
	inUse := map[string]time.Duration{
		"`create`, `join`, `get`, `leave`":      requestTime,
		"`evict`, `revoke`, `reopen`, `delete`": requestTime,
		"`compare`":                             2*requestTime + compareTime,
		"`cred fetch`":                          2 * requestTime,
		"`run`, `join -- COMMAND`, until the members are there": formTime,
		"`demo`, until the members are there":                   demoTime,
		"`run`, a program that is told to end":                  run.DefaultGrace,
		"`run`, giving the seats up at the end":                 leaveTime,
		"`join --wait`, `get --wait`":                           0, // TestCommandsEndInTime
	}
	b, err := os.ReadFile("../../docs/timeouts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "## What a command can take")
	table, _, _ = strings.Cut(table, "## What a registry waits for")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		rows++
		command, says := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		want, known := inUse[command]
		got, err := time.ParseDuration(strings.ReplaceAll(says, " ", ""))
		if !known || want > 0 && (err != nil || got != want) {
			t.Errorf("%q: the table says %s, in use is %v", command, says, want)
		}
	}
	if rows != len(inUse) {
		t.Errorf("%d rows, want %d", rows, len(inUse))
	}
}

// Commands end in the time that they have, at a registry that takes connections and says
// nothing.
func TestCommandsEndInTime(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() { takeAll(l, &open) })
	t.Cleanup(func() { l.Close(); open.Wait() })
	url := "xlreg://" + l.Addr().String() + "/?sig=SHA256:" + strings.Repeat("A", 43)
	for command, least := range map[string]time.Duration{
		"create web --size 3":                requestTime,
		"get web":                            requestTime,
		"leave web":                          requestTime,
		"join web --endpoint 192.0.2.1:4000": requestTime,
		"join web --endpoint 192.0.2.1:4000 --wait 2s": 2 * time.Second,
		"get web --wait 2s":                            2 * time.Second,
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "node")
			node, err := identity.Init(dir, identity.Options{Name: "n", Keys: xlregtest.Node(t, "n").Keys()})
			if err != nil {
				t.Fatal(err)
			}
			if err := node.Close(); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			args := append([]string{"xlreg"}, strings.Fields(command)...)
			args = append(args, "--registry", url, "--node", dir)
			start := time.Now()
			code := execute(t.Context(), args, nil, &out, &errs)
			took := time.Since(start)
			if code == exitDone || took < least || errs.Len() == 0 {
				t.Errorf("exit code %d after %v: %q", code, took, errs.String())
			}
		})
	}
}

// takeAll accepts connections and answers nothing on them.
func takeAll(l net.Listener, open *sync.WaitGroup) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		open.Go(func() {
			defer nc.Close()
			_, _ = io.Copy(io.Discard, nc)
		})
	}
}
