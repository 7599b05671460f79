package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
)

const (
	quietTime = 2 * time.Second  // a shorter wait is not worth a line in a log, unless it tells who is there
	mostNamed = 16               // members in a line
	againTime = 30 * time.Second // between two lines in a log that say the same
)

// progress shows how far a wait for members has come: on a terminal in a line that is
// written over, elsewhere in a few lines that a log can take.
type progress struct {
	line     statusLine
	out      io.Writer
	asJSON   bool
	what     string
	deadline time.Time
	stop     context.CancelFunc
	ticker   sync.WaitGroup

	mu    sync.Mutex
	last  string          // guarded by mu, as is all below; what the line says, without the time left
	now   client.Progress // what is known, without what has to be tried again
	told  time.Time       // when a log was last told
	heard heard           // the troubles that were told in a log
	ended bool            // nothing is waited for any more
}

// statusLine is a line on a terminal that is written over, as cli.StatusLine is.
type statusLine interface {
	Visible() bool // if not, there is no terminal, and the others do nothing
	Show(text string)
	End() // takes the line away
}

// newProgress begins to show the time left until ctx ends. It must be ended.
func (g *globals) newProgress(ctx context.Context, what string) *progress {
	return g.newProgressOn(ctx, what, cli.NewStatusLine(g.Console), lookingForRegistry)
}

const lookingForRegistry = "looking for the registry"

// newProgressOn is newProgress on a line of one's own, which says first what is done first.
func (g *globals) newProgressOn(ctx context.Context, what string, line statusLine, first string) *progress {
	ctx, stop := context.WithCancel(ctx)
	p := &progress{line: line, out: g.Err, asJSON: g.Output == "json", what: what, stop: stop, last: first}
	p.deadline, _ = ctx.Deadline()
	if p.line.Visible() {
		p.ticker.Go(func() { every(ctx, 0, time.Second, p.write) })
	} else {
		p.ticker.Go(func() { every(ctx, quietTime, againTime, p.remind) })
	}
	return p
}

// every calls f after first and then after each pause, until ctx ends.
func every(ctx context.Context, first, pause time.Duration, f func()) {
	t := time.NewTimer(first)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		f()
		t.Reset(pause)
	}
}

// sparing reports whether it is enough to be told of a step now and then, so that this costs
// hardly a request: a log need not have each of them.
func (p *progress) sparing() bool { return !p.line.Visible() }

// show takes note of how far the wait has come. A log is told what has changed; what has to
// be tried again it is told by the logger.
func (p *progress) show(now client.Progress) {
	p.mu.Lock()
	news := now.Err == nil && now.Roster != nil && len(now.Roster.Members) < now.Size
	p.last = describeProgress(&now)
	if now.Err == nil {
		p.now = now
	}
	p.mu.Unlock()
	switch {
	case p.line.Visible():
		p.write()
	case news:
		p.log()
	}
}

func describeProgress(now *client.Progress) string {
	switch {
	case now.Err != nil:
		return "trying again: " + oneLine(now.Err)
	case now.Roster == nil:
		return "joining"
	}
	names := make([]string, len(now.Roster.Members))
	for i := range now.Roster.Members {
		names[i] = string(now.Roster.Members[i].Token.Name)
	}
	joined := ""
	if len(names) > 0 {
		joined = " (" + strings.Join(names[:min(len(names), mostNamed)], " ")
		if more := len(names) - mostNamed; more > 0 {
			joined += fmt.Sprintf(" and %d more", more)
		}
		joined += ")"
	}
	return fmt.Sprintf("%d of %d joined%s, %d missing", len(names), now.Size, joined, max(0, now.Size-len(names)))
}

func (p *progress) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line.Show(fmt.Sprintf("%v left, %s", p.left(), p.last))
}

func (p *progress) left() time.Duration { return max(0, time.Until(p.deadline)).Round(time.Second) }

// log says that the wait goes on, and for whom.
func (p *progress) log() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.told = time.Now()
	if p.asJSON {
		tellJSON(p.out, newWaiting(p.what, p.left(), &p.now))
		return
	}
	known := ""
	if p.now.Roster != nil {
		known = ": " + describeProgress(&p.now)
	}
	fmt.Fprintf(p.out, "xlreg: waiting for %s%s, %v left\n", p.what, known, p.left())
}

// remind is log, unless it was just said.
func (p *progress) remind() {
	p.mu.Lock()
	quiet := time.Since(p.told) < quietTime
	p.mu.Unlock()
	if !quiet {
		p.log()
	}
}

// logTrouble says why the wait does not get on.
func (p *progress) logTrouble(text string) {
	if p.asJSON {
		tellJSON(p.out, waitingJSON{Waiting: p.what, TryingAgain: text, LeftMillis: p.left().Milliseconds()})
		return
	}
	fmt.Fprintf(p.out, "xlreg: trying again, %v left: %s\n", p.left(), text)
}

// waitingJSON is a line about a wait as scripts read it.
type waitingJSON struct {
	Waiting     string `json:"waiting"`
	TryingAgain string `json:"tryingAgain,omitempty"` // what went wrong
	LeftMillis  int64  `json:"leftMillis"`

	Size    int          `json:"size,omitempty"`    // how many members are waited for, as soon as that is known
	Joined  []xlreg.Name `json:"joined,omitempty"`  // who is there
	Missing int          `json:"missing,omitempty"` // how many are not
}

func newWaiting(what string, left time.Duration, now *client.Progress) waitingJSON {
	w := waitingJSON{Waiting: what, LeftMillis: left.Milliseconds()}
	if now.Roster == nil {
		return w
	}
	for i := range now.Roster.Members {
		w.Joined = append(w.Joined, now.Roster.Members[i].Token.Name)
	}
	w.Size, w.Missing = now.Size, max(0, now.Size-len(w.Joined))
	return w
}

// trouble says what has to be tried again. In a log the same is said once.
func (p *progress) trouble(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	if p.line.Visible() {
		p.last = "trying again: " + text
		return
	}
	if p.heard.isNews(text) {
		p.logTrouble(text)
	}
}

// logger returns where the client says what it has to try again.
func (p *progress) logger() *slog.Logger {
	return slog.New(troubles{func(err error) { p.trouble(oneLine(err)) }})
}

// loggerUntil returns the same until something happens that to try again is no use against:
// then giveUp is called.
func (p *progress) loggerUntil(vain func(error) bool, giveUp func(error)) *slog.Logger {
	return slog.New(troubles{func(err error) {
		if vain(err) {
			giveUp(err)
			return
		}
		p.trouble(oneLine(err))
	}})
}

// newTroubles returns the same for what goes on without end: each trouble is a warning,
// unless it was told lately.
func newTroubles(g *globals) *slog.Logger {
	var mu sync.Mutex
	var heard heard
	return slog.New(troubles{func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if text := oneLine(err); heard.isNews(text) {
			g.warn("trying again: %s", text)
		}
	}})
}

// heard is what a log was told lately. A registry with several addresses fails in as many
// ways, one after the other. Some ways have a new port in them each time: when many were
// told, more are told now and then.
type heard struct {
	texts []string
	last  time.Time // when it was told something
}

const mostHeard = 8

// isNews reports whether the text is to be told, and takes note of it if so.
func (h *heard) isNews(text string) bool {
	many := len(h.texts) == mostHeard
	if slices.Contains(h.texts, text) || many && time.Since(h.last) < againTime {
		return false
	}
	h.texts = append(h.texts[max(0, len(h.texts)+1-mostHeard):], text)
	h.last = time.Now()
	return true
}

// troubles is a log of which only the errors are shown.
type troubles struct{ tell func(error) }

// Enabled implements slog.Handler.
func (troubles) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (t troubles) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		err, isErr := a.Value.Any().(error)
		if isErr && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			t.tell(err)
		}
		return true
	})
	return nil
}

// WithAttrs implements slog.Handler.
func (t troubles) WithAttrs([]slog.Attr) slog.Handler { return t }

// WithGroup implements slog.Handler.
func (t troubles) WithGroup(string) slog.Handler { return t }

// end takes the line away.
func (p *progress) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.stop()
	p.ticker.Wait()
	p.line.End()
}

// membersOf says whose members are waited for.
func membersOf(ref xlreg.ClusterRef) string {
	if ref.IsZero() {
		return "all members"
	}
	if ref.Name == "" {
		return "the members of " + ref.ID.String()[:12] + "…"
	}
	return "the members of " + string(ref.Name)
}
