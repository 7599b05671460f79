package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
)

// liveRow is a member as the lines of a starting run show it.
type liveRow struct {
	name      string
	role      string // "" if it has none
	endpoints string
	state     string
	why       string // how it ended last
	since     time.Time
}

// States that only people see: a member has them before its program starts.
const (
	stateStarting = "starting"
	stateJoined   = "joined"
)

// live shows on a terminal how the members of a run come up, one line for each, until all
// are ready.
type live struct {
	block   *cli.Block
	colored bool
	begun   time.Time
	now     func() time.Time

	mu    sync.Mutex
	rows  []liveRow // guarded by mu, as is all below
	foot  string    // below the rows; "": nothing is
	ended bool
}

// newLive begins to show rows. Without a terminal nothing is shown. It must be ended, or
// cleared.
func newLive(c *cli.Console, rows []liveRow) *live {
	l := &live{block: cli.NewBlock(c), begun: time.Now(), now: time.Now, rows: rows, colored: cli.HasColor(c.Err)}
	for i := range rows {
		rows[i].state, rows[i].since = stateStarting, l.begun
	}
	l.draw()
	return l
}

// visible reports whether anyone can see the lines.
func (l *live) visible() bool { return l.block.Visible() }

// above returns a writer whose text appears above the lines.
func (l *live) above(w io.Writer) io.Writer { return l.block.Above(w) }

// at says where the member of that index listens.
func (l *live) at(index int, endpoints []string) {
	l.mu.Lock()
	l.rows[index].endpoints = strings.Join(endpoints, " ")
	l.mu.Unlock()
	l.draw()
}

// joined says that the member of that index has its seat.
func (l *live) joined(index int) { l.set(index, stateJoined, nil, l.now()) }

// tell takes note of what has happened to a program.
func (l *live) tell(e run.Event) { l.set(e.Index, liveState(&e), e.Err, e.At) }

func (l *live) set(index int, state string, why error, at time.Time) {
	l.mu.Lock()
	r := &l.rows[index]
	r.state, r.since, r.why = state, at, ""
	if why != nil {
		r.why = strings.TrimPrefix(oneLine(why), r.name+" ")
	}
	l.mu.Unlock()
	l.draw()
}

func (l *live) draw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.visible() || l.ended {
		return
	}
	height, _ := l.block.Room()
	if l.foot == "" {
		l.block.Show(liveLines(l.rows, height, l.begun, l.colored))
		return
	}
	l.block.Show(append(liveLines(l.rows, height-1, l.begun, l.colored), l.foot))
}

// end leaves the lines as they are.
func (l *live) end() { l.finish(l.block.End) }

// clear takes the lines away, unless they have ended.
func (l *live) clear() { l.finish(l.block.Clear) }

func (l *live) finish(finish func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	finish()
}

// line returns a line below the others.
func (l *live) line(*cli.Console) statusLine { return foot{l} }

// foot is the line below the others. It is a statusLine.
type foot struct{ l *live }

// Visible implements statusLine.
func (f foot) Visible() bool { return f.l.visible() }

// Show implements statusLine.
func (f foot) Show(text string) {
	f.l.mu.Lock()
	f.l.foot = text
	f.l.mu.Unlock()
	f.l.draw()
}

// End implements statusLine.
func (f foot) End() { f.Show("") }

// liveLines returns a line for each member. If there is no room for all, those that are
// ready are counted and not shown, and those that have died come first.
func liveLines(rows []liveRow, height int, begun time.Time, colored bool) []string {
	wide := liveWidths(rows)
	wide.colored = colored
	shown, ready := rows, 0
	if len(rows) > height {
		shown = slices.DeleteFunc(slices.Clone(rows), func(r liveRow) bool { return r.state == string(run.StateReady) })
		slices.SortStableFunc(shown, func(a, b liveRow) int { return cmp.Compare(b.dead(), a.dead()) })
		ready = len(rows) - len(shown)
	}
	var lines []string
	for i := range shown {
		lines = append(lines, shown[i].line(wide, begun))
	}
	switch {
	case len(lines)+min(ready, 1) > height && height > 0:
		more := len(lines) - height + 1
		return append(lines[:height-1], fmt.Sprintf("and %d more, %d of %d ready", more, ready, len(rows)))
	case ready > 0:
		return append(lines, fmt.Sprintf("%d of %d ready", ready, len(rows)))
	}
	return lines
}

// dead is 1 if the member has died, and else 0.
func (r *liveRow) dead() int {
	if r.state == stateDied {
		return 1
	}
	return 0
}

// liveWidth says how wide the columns of a row are, and whether they may have colours.
type liveWidth struct {
	name, role int
	colored    bool
}

func liveWidths(rows []liveRow) (w liveWidth) {
	for i := range rows {
		w.name = max(w.name, len(rows[i].name))
		w.role = max(w.role, len(rows[i].role))
	}
	return w
}

// line returns the row. What changes stands before the addresses, which may be cut off. Of a
// member that has died it says why, in place of where it was.
func (r *liveRow) line(w liveWidth, begun time.Time) string {
	role := ""
	if w.role > 0 {
		role = fmt.Sprintf("%-*s  ", w.role, r.role)
	}
	state := fmt.Sprintf("%-10s", r.state)
	if w.colored {
		state = liveColor(r.state) + state + plainColor
	}
	rest := r.endpoints
	if r.why != "" {
		rest = r.why
	}
	text := fmt.Sprintf("%-*s  %s%s %6.1fs  %s", w.name, r.name, role, state, r.since.Sub(begun).Seconds(), rest)
	return strings.TrimRight(text, " ")
}

// What people are told where the state of a program would say too little, or too much.
const (
	stateStarted = "started" // its program runs, and is not ready
	stateDied    = "died"
)

// liveState is what people are told of a program.
func liveState(e *run.Event) string {
	switch {
	case e.State == run.StateStarting:
		return stateStarted
	case e.State == run.StateEnded && e.Err != nil:
		return stateDied
	}
	return string(e.State)
}

const plainColor = "\033[0m"

func liveColor(state string) string {
	const green, yellow, red = "\033[32m", "\033[33m", "\033[31m"
	switch state {
	case string(run.StateReady):
		return green
	case stateDied, string(run.StateRestarting):
		return red
	}
	return yellow
}
