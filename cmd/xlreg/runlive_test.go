package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
)

func liveExample(n int) (rows []liveRow, begun time.Time) {
	begun = time.Unix(1000, 0)
	for i := range n {
		rows = append(rows, liveRow{
			name: fmt.Sprintf("m%d", i), endpoints: fmt.Sprintf("127.0.0.1:%d", 4000+i),
			state: string(run.StateReady), since: begun.Add(1500 * time.Millisecond),
		})
	}
	return rows, begun
}

func TestLiveLines(t *testing.T) {
	rows, begun := liveExample(3)
	rows[0].role = "scheduler"
	rows[1].state, rows[1].why = stateDied, "m1 ended with exit status 1"
	rows[2].state, rows[2].since = stateJoined, begun
	want := []string{
		"m0  scheduler  ready         1.5s  127.0.0.1:4000",
		"m1             died          1.5s  m1 ended with exit status 1",
		"m2             joined        0.0s  127.0.0.1:4002",
	}
	if got := liveLines(rows, 20, begun, false); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if got := liveLines(rows, 20, begun, true); !strings.Contains(got[1], "\033[31mdied") || !strings.Contains(got[0], "\033[32mready") {
		t.Errorf("%q", got)
	}
}

// More members than lines: those that are ready are counted, and what does not fit even
// then is counted, too.
func TestLiveLinesWithoutRoom(t *testing.T) {
	rows, begun := liveExample(64)
	for i := 10; i < 15; i++ {
		rows[i].state = stateStarted
	}
	got := liveLines(rows, 23, begun, false)
	if len(got) != 6 || !strings.HasPrefix(got[0], "m10") || got[5] != "59 of 64 ready" {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	for i := range rows[:60] {
		rows[i].state = stateStarted
	}
	rows[50].state = stateDied
	if got = liveLines(rows, 23, begun, false); len(got) != 23 || got[22] != "and 38 more, 4 of 64 ready" {
		t.Errorf("%d lines, %s", len(got), got[len(got)-1])
	}
	if !strings.HasPrefix(got[0], "m50") || !strings.HasPrefix(got[1], "m0") {
		t.Errorf("the one that died is not the first: %s", strings.Join(got[:2], "\n"))
	}
}

// Where there is no terminal, nothing is drawn and nothing is in the way.
func TestLiveWithoutTerminal(t *testing.T) {
	rows, _ := liveExample(2)
	var out, errs bytes.Buffer
	l := newLive(&cli.Console{Out: &out, Err: &errs}, rows)
	defer l.end()
	l.joined(0)
	l.tell(run.Event{Index: 1, State: run.StateEnded, Err: errors.New("x"), At: time.Now()})
	fmt.Fprintln(l.above(&out), "hello")
	if out.String() != "hello\n" || errs.Len() > 0 || l.visible() {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
}

// A program that runs has started, and one that ended well has not died.
func TestLiveState(t *testing.T) {
	for _, c := range []struct {
		e    run.Event
		want string
	}{
		{run.Event{State: run.StateStarting}, "started"},
		{run.Event{State: run.StateReady}, "ready"},
		{run.Event{State: run.StateEnded}, "ended"},
		{run.Event{State: run.StateEnded, Err: errors.New("x")}, "died"},
		{run.Event{State: run.StateRestarting, Err: errors.New("x")}, "restarting"},
	} {
		if got := liveState(&c.e); got != c.want {
			t.Errorf("%s: %q, want %q", c.e.State, got, c.want)
		}
	}
}
