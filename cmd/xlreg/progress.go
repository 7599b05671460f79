package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg/client"
)

// progress shows a wait on a terminal, in one line that is written again and
// again. A nil progress shows nothing.
type progress struct {
	out      io.Writer
	deadline time.Time
	stop     context.CancelFunc
	ticker   sync.WaitGroup

	mu   sync.Mutex
	last string // guarded by mu; who is there, without the time left
}

// newProgress returns nil if nobody looks at c. It must be ended with done.
func newProgress(c *console, ctx context.Context) *progress {
	if !isTerminal(c.err) {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	p := &progress{out: c.err, stop: stop, last: "looking for the registry"}
	p.deadline, _ = ctx.Deadline()
	p.ticker.Go(func() { p.tick(ctx) })
	return p
}

// tick writes the line again each second, for the time left.
func (p *progress) tick(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		p.write()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// show takes note of how far the formation has come.
func (p *progress) show(now client.Progress) {
	p.mu.Lock()
	p.last = describeProgress(now)
	p.mu.Unlock()
	p.write()
}

func describeProgress(now client.Progress) string {
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
	return fmt.Sprintf("joined %d of %d (%s), %d missing", len(names), now.Size,
		strings.Join(names, " "), max(0, now.Size-len(names)))
}

func (p *progress) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := ""
	if !p.deadline.IsZero() {
		left = fmt.Sprintf(", %v left", time.Until(p.deadline).Round(time.Second))
	}
	fmt.Fprintf(p.out, "\r\033[K%s%s", cutLine(p.last), left)
}

// cutLine keeps the line from wrapping, which could not be written over.
func cutLine(s string) string {
	const most = 64
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// done ends the line and takes it away.
func (p *progress) done() {
	if p == nil {
		return
	}
	p.stop()
	p.ticker.Wait()
	fmt.Fprint(p.out, "\r\033[K")
}
