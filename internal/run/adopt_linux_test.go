package run

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// canAdopt says that what a program has started is found wherever it went.
const canAdopt = true

// When the shim is killed its program goes with it, and so does what the program
// has started in its group.
func TestShimKilled(t *testing.T) {
	r, w := pipe(t)
	out := newHeard()
	p := script("a", "trap 'echo shim $PPID. >&2' INT; sleep 1000 & echo up >&2; while :; do sleep 0.01; done", nil)
	p.Stdout, p.Stderr = w, out
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals = signals
	ended := make(chan error)
	deaf := newHeard()
	go func() { ended <- All([]Program{p, script("b", "trap '' INT; echo up; exec sleep 1000", deaf)}, o) }()
	out.until(t, "up\n")
	deaf.until(t, "up\n")   // before that the interrupt would end it, and All the other
	signals <- os.Interrupt // once that arrives All knows what there is to kill
	out.until(t, ".\n")
	shim, err := strconv.Atoi(regexp.MustCompile(`shim ([0-9]+)\.`).FindStringSubmatch(out.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(shim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err = <-ended
	wantExit(t, err, "a", 126)
	if !strings.Contains(err.Error(), "lost with its shim: signal: killed") {
		t.Error(err)
	}
	w.Close()
	wantEOF(t, r)
}
