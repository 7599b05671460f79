package main

import (
	"fmt"
	"io"
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

// States that only people see: a member has them before there is a program.
const (
	stateJoining = "joining"
	stateJoined  = "joined"
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
	ended bool
}

// newLive begins to show rows. Without a terminal nothing is shown. It must be ended.
func newLive(c *cli.Console, rows []liveRow) *live {
	l := &live{block: cli.NewBlock(c), begun: time.Now(), now: time.Now, rows: rows, colored: hasColor(c.Err)}
	for i := range rows {
		rows[i].state, rows[i].since = stateJoining, l.begun
	}
	l.draw()
	return l
}

// visible reports whether anyone can see the lines.
func (l *live) visible() bool { return l.block.Visible() }

// above returns a writer whose text appears above the lines.
func (l *live) above(w io.Writer) io.Writer { return l.block.Above(w) }

// joined says that the member of that index has its seat.
func (l *live) joined(index int) { l.set(index, stateJoined, nil, l.now()) }

// tell takes note of what has happened to a program.
func (l *live) tell(e run.Event) { l.set(e.Index, string(e.State), e.Err, e.At) }

func (l *live) set(index int, state string, why error, at time.Time) {
	l.mu.Lock()
	r := &l.rows[index]
	r.state, r.since, r.why = state, at, ""
	if why != nil {
		r.why = oneLine(why)
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
	l.block.Show(liveLines(l.rows, height, l.begun, l.colored))
}

// end leaves the lines as they are.
func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.block.End()
}

// liveLines returns a line for each member. If there is no room for all, those that are
// ready already are counted and not shown.
func liveLines(rows []liveRow, height int, begun time.Time, colored bool) []string {
	wide := liveWidths(rows)
	wide.colored = colored
	var lines []string
	ready := 0
	for i := range rows {
		if len(rows) > height && rows[i].state == string(run.StateReady) {
			ready++
			continue
		}
		lines = append(lines, rows[i].line(wide, begun))
	}
	if len(lines) >= height && height > 0 {
		more := len(lines) - height + 1
		lines = append(lines[:height-1], fmt.Sprintf("and %d more, %d of %d ready", more, ready, len(rows)))
		return lines
	}
	if ready > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d ready", ready, len(rows)))
	}
	return lines
}

// liveWidth says how wide the columns of a row are, and whether they may have colours.
type liveWidth struct {
	name, role, endpoints int
	colored               bool
}

func liveWidths(rows []liveRow) (w liveWidth) {
	for i := range rows {
		w.name = max(w.name, len(rows[i].name))
		w.role = max(w.role, len(rows[i].role))
		w.endpoints = max(w.endpoints, len(rows[i].endpoints))
	}
	return w
}

// line returns the row. What changes stands before the addresses, which may be cut off.
func (r *liveRow) line(w liveWidth, begun time.Time) string {
	role := ""
	if w.role > 0 {
		role = fmt.Sprintf("%-*s  ", w.role, r.role)
	}
	state := fmt.Sprintf("%-10s", liveWord(r.state))
	if w.colored {
		state = liveColor(r.state) + state + plainColor
	}
	text := fmt.Sprintf("%-*s  %s%s %6.1fs  %-*s", w.name, r.name, role, state, r.since.Sub(begun).Seconds(), w.endpoints, r.endpoints)
	if r.why != "" {
		text += "  " + r.why
	}
	return strings.TrimRight(text, " ")
}

// liveWord is what people are told of a state.
func liveWord(state string) string {
	if state == string(run.StateEnded) {
		return "died"
	}
	return state
}

const plainColor = "\033[0m"

func liveColor(state string) string {
	const green, yellow, red = "\033[32m", "\033[33m", "\033[31m"
	switch run.State(state) {
	case run.StateReady:
		return green
	case run.StateEnded, run.StateRestarting:
		return red
	}
	return yellow
}
