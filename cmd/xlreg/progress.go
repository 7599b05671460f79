package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
)

// progress shows on a terminal how far a wait for members has come.
type progress struct {
	line     *cli.StatusLine
	deadline time.Time
	stop     context.CancelFunc
	ticker   sync.WaitGroup

	mu   sync.Mutex
	last string // guarded by mu; what it says, without the time left
}

// newProgress begins to show the time left until ctx ends. It must be ended.
func newProgress(ctx context.Context, c *cli.Console) *progress {
	ctx, stop := context.WithCancel(ctx)
	p := &progress{line: cli.NewStatusLine(c), stop: stop, last: "looking for the registry"}
	p.deadline, _ = ctx.Deadline()
	if p.line.Visible() {
		p.ticker.Go(func() { p.tick(ctx) })
	}
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
	return fmt.Sprintf("%d of %d joined, %d missing: %s", len(names), now.Size,
		max(0, now.Size-len(names)), strings.Join(names, " "))
}

func (p *progress) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := max(0, time.Until(p.deadline)).Round(time.Second)
	p.line.Show(fmt.Sprintf("%v left, %s", left, p.last))
}

// end takes the line away.
func (p *progress) end() {
	p.stop()
	p.ticker.Wait()
	p.line.End()
}
