package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// isTerminal reports whether a person is at the other end of f.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// eraseLine goes back to the start of the line and clears it.
const eraseLine = "\r\033[K"

// hasLine reports whether f is a terminal on which a line can be written over.
func hasLine(f any) bool { return isTerminal(f) && os.Getenv("TERM") != "dumb" }

// freshLine takes away the status line of another program, one in the foreground
// while this one is in the background, so that output does not run into it.
func (c *console) freshLine() {
	if hasLine(c.out) && !inForeground(c.out.(*os.File)) {
		fmt.Fprint(c.out, eraseLine)
	}
}

// statusLine is one line on a terminal, for what the program is doing now. It is
// written over again and again, and in the end taken away. Where nobody looks it
// does nothing.
type statusLine struct {
	out *os.File // nil: nobody looks

	mu    sync.Mutex
	shown bool // guarded by mu, as is all below
	ended bool
}

func newStatusLine(c *console) *statusLine {
	if !hasLine(c.err) {
		return &statusLine{}
	}
	return &statusLine{out: c.err.(*os.File)}
}

// visible reports whether anyone can see the line.
func (l *statusLine) visible() bool { return l.out != nil }

// show replaces what the line says. A program in the background leaves the
// terminal to the one before it.
func (l *statusLine) show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil || l.ended || !inForeground(l.out) {
		return
	}
	fmt.Fprint(l.out, eraseLine, cut(text, l.width()-1))
	l.shown = true
}

// end takes the line away for good.
func (l *statusLine) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown && !l.ended {
		fmt.Fprint(l.out, eraseLine)
	}
	l.ended = true
}

// width is asked for each time, since windows change.
func (l *statusLine) width() int {
	const usual = 80
	width, _, err := term.GetSize(int(l.out.Fd()))
	if err != nil || width <= 0 {
		return usual
	}
	return width
}

// cut keeps a line from wrapping, as what has wrapped cannot be written over.
func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most || most < 1 {
		return s
	}
	return string(r[:most-1]) + "…"
}

// showLate shows text if what the program is doing takes longer than a person
// notices. The function that it returns takes the line away.
func showLate(c *console, text string) (end func()) {
	const noticed = 300 * time.Millisecond
	line := newStatusLine(c)
	timer := time.AfterFunc(noticed, func() { line.show(text) })
	return func() {
		timer.Stop()
		line.end()
	}
}

// interruptible runs f, which knows no context, and when ctx ends waits for it no
// more: the program ends then, and f with it.
func interruptible[T any](ctx context.Context, f func() (T, error)) (T, error) {
	if err := ctx.Err(); err != nil {
		return *new(T), err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}
