package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
)

const (
	quietTime = time.Second      // a shorter wait is not worth a line in a log
	againTime = 30 * time.Second // between two lines in a log that say the same
)

// progress shows how far a wait for members has come: on a terminal in a line that is
// written over, elsewhere in a few lines that a log can take.
type progress struct {
	line     *cli.StatusLine
	out      io.Writer
	asJSON   bool
	what     string
	deadline time.Time
	stop     context.CancelFunc
	ticker   sync.WaitGroup

	mu    sync.Mutex
	last  string // guarded by mu; what the line says, without the time left
	about string // guarded by mu; the last trouble that was told in a log
	ended bool   // guarded by mu; nothing is waited for any more
}

// newProgress begins to show the time left until ctx ends. It must be ended.
func (g *globals) newProgress(ctx context.Context, what string) *progress {
	ctx, stop := context.WithCancel(ctx)
	p := &progress{line: cli.NewStatusLine(g.Console), out: g.Err, asJSON: g.Output == "json", what: what, stop: stop, last: "looking for the registry"}
	p.deadline, _ = ctx.Deadline()
	if p.line.Visible() {
		p.ticker.Go(func() { every(ctx, 0, time.Second, p.write) })
	} else {
		p.ticker.Go(func() { every(ctx, quietTime, againTime, p.log) })
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

// callback returns the function to call at each step, and nil if there is no terminal,
// as being told of each step costs requests.
func (p *progress) callback() func(client.Progress) {
	if !p.line.Visible() {
		return nil
	}
	return p.show
}

// show takes note of how far the wait has come.
func (p *progress) show(now client.Progress) {
	p.mu.Lock()
	p.last = describeProgress(&now)
	p.mu.Unlock()
	p.write()
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
		joined = " (" + strings.Join(names, " ") + ")"
	}
	return fmt.Sprintf("%d of %d joined%s, %d missing", len(names), now.Size, joined, max(0, now.Size-len(names)))
}

func (p *progress) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line.Show(fmt.Sprintf("%v left, %s", p.left(), p.last))
}

func (p *progress) left() time.Duration { return max(0, time.Until(p.deadline)).Round(time.Second) }

// log says that the wait goes on.
func (p *progress) log() {
	if p.asJSON {
		tellJSON(p.out, waitingJSON{Waiting: p.what, LeftMillis: p.left().Milliseconds()})
		return
	}
	fmt.Fprintf(p.out, "xlreg: waiting for %s, %v left\n", p.what, p.left())
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
	if text != p.about {
		p.about = text
		p.logTrouble(text)
	}
}

// logger returns where the client says what it has to try again.
func (p *progress) logger() *slog.Logger { return slog.New(troubles{p.trouble}) }

// newTroubles returns the same for what goes on without end: each trouble is a warning,
// unless it is the one that was told last.
func newTroubles(g *globals) *slog.Logger {
	var mu sync.Mutex
	last := ""
	return slog.New(troubles{func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if text != last {
			last = text
			g.warn("trying again: %s", text)
		}
	}})
}

// troubles is a log of which only the errors are shown.
type troubles struct{ tell func(string) }

// Enabled implements slog.Handler.
func (troubles) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (t troubles) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		err, isErr := a.Value.Any().(error)
		if isErr && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			t.tell(oneLine(err))
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
