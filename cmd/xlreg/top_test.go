//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestTopScripts runs the scripts about programs that take a whole terminal, in a real
// one: tmux. Beside the commands of TestScripts they know:
//
//   - pane WIDTH HEIGHT PROGRAM ARG… runs a program in a terminal of that size; when it
//     has ended the terminal says 'ended with CODE', and whether it shows what is typed
//   - type KEY… types keys as tmux names them
//   - resize WIDTH HEIGHT gives the terminal another size
//   - shows PATTERN waits until the terminal shows something
//   - terminate sends SIGTERM to the program in the terminal
func TestTopScripts(t *testing.T) {
	p := scripts(filepath.Join("testdata", "top"), makeKeys(t, 4))
	p.Cmds["pane"] = cmdPane
	p.Cmds["type"] = cmdType
	p.Cmds["resize"] = cmdResize
	p.Cmds["shows"] = cmdShows
	p.Cmds["terminate"] = cmdTerminate
	testscript.Run(t, p)
}

// paneSocket is the variable that says where the script's tmux is.
const paneSocket = "TMUX_SOCKET"

func tmux(ts *testscript.TestScript, args ...string) string {
	cmd := exec.Command("tmux", append([]string{"-u", "-f", "/dev/null", "-S", ts.Getenv(paneSocket)}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "XLREG_DATA="+ts.Getenv("XLREG_DATA"), "LC_ALL=C.UTF-8", "GORACE=atexit_sleep_ms=10", "TERM=xterm-256color")
	out, err := cmd.CombinedOutput()
	if err != nil {
		ts.Fatalf("tmux %s: %v: %s", args, err, out)
	}
	return string(out)
}

func cmdPane(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "pane WIDTH HEIGHT PROGRAM ARG…")
	dir, err := os.MkdirTemp("", "tmux") // short, as names of sockets must be
	ts.Check(err)
	ts.Setenv(paneSocket, filepath.Join(dir, "s"))
	line := `trap : INT; ` + strings.Join(args[2:], " ") + `; echo "ended with $?"; stty -a | grep -o -- '[- ]echo '; exec cat`
	tmux(ts, "new-session", "-d", "-x", args[0], "-y", args[1], "sh", "-c", line)
	ts.Defer(func() {
		// It is gone already if its program has taken the shell with it.
		_ = exec.Command("tmux", "-S", filepath.Join(dir, "s"), "kill-server").Run()
		ts.Check(os.RemoveAll(dir))
	})
}

func cmdType(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "type KEY…")
	tmux(ts, append([]string{"send-keys"}, args...)...)
}

func cmdResize(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "resize WIDTH HEIGHT")
	tmux(ts, "resize-window", "-x", args[0], "-y", args[1])
}

func cmdTerminate(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 0, "terminate")
	shell := strings.TrimSpace(tmux(ts, "display-message", "-p", "#{pane_pid}"))
	children, err := os.ReadFile("/proc/" + shell + "/task/" + shell + "/children")
	ts.Check(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
}

func cmdShows(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "shows PATTERN")
	pattern := regexp.MustCompile("(?m)" + args[0])
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	timeout := time.After(time.Minute)
	for {
		screen := tmux(ts, "capture-pane", "-p")
		if pattern.MatchString(screen) {
			fmt.Fprintf(ts.Stdout(), "%s", screen)
			return
		}
		select {
		case <-again.C:
		case <-timeout:
			ts.Fatalf("the terminal does not show %s:\n%s", args[0], screen)
		}
	}
}
