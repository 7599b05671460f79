package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
)

// IsTerminal reports whether f is a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// usualWidth is how wide a terminal is taken to be where nobody says.
const usualWidth = 80

// Width returns how many columns there are for what is written to f: those of the
// terminal, or what COLUMNS says.
func Width(f any) int {
	if file, ok := f.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width
	}
	return usualWidth
}

// eraseLine goes back to the start of the line and clears it.
const eraseLine = "\r\033[K"

// HasLine reports whether f is a terminal on which a line can be written over.
func HasLine(f any) bool { return IsTerminal(f) && os.Getenv("TERM") != "dumb" }

// HasColor reports whether f is a terminal that shows colours, and may.
func HasColor(f any) bool { return HasLine(f) && os.Getenv("NO_COLOR") == "" }

// Printable returns s with a ? in place of all that cannot be printed: what others have named
// or sent is not to give orders to the terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// StatusLine is one line on a terminal that says what the program is doing now. Each
// text replaces the one before, and in the end the line is erased. Without a terminal
// it does nothing.
type StatusLine struct {
	out *os.File // nil: there is no terminal

	mu    sync.Mutex
	shown bool // guarded by mu, as is all below
	ended bool
}

// NewStatusLine returns a line on standard error. It must be ended.
func NewStatusLine(c *Console) *StatusLine {
	if !HasLine(c.Err) {
		return &StatusLine{}
	}
	return &StatusLine{out: c.Err.(*os.File)}
}

// Visible reports whether anyone can see the line.
func (l *StatusLine) Visible() bool { return l.out != nil }

// Show replaces what the line says. A program in the background leaves the terminal
// to the one in the foreground.
func (l *StatusLine) Show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil || l.ended || !inForeground(l.out) {
		return
	}
	fmt.Fprint(l.out, eraseLine, cut(text, Width(l.out)-1))
	l.shown = true
}

// End erases the line for good.
func (l *StatusLine) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown && !l.ended {
		fmt.Fprint(l.out, eraseLine)
	}
	l.ended = true
}

// cut shortens a line to one that does not wrap, since a wrapped line cannot be erased.
func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most || most < 1 {
		return s
	}
	return string(r[:most-1]) + "…"
}

// ShowLate shows text if what follows takes so long that a person notices. The function
// that it returns erases the line.
func ShowLate(c *Console, text string) (end func()) {
	const noticed = 300 * time.Millisecond
	line := NewStatusLine(c)
	timer := time.AfterFunc(noticed, func() { line.Show(text) })
	return func() {
		timer.Stop()
		line.End()
	}
}

// Interruptible runs f, which takes no context, and stops waiting for it when ctx
// ends: the program is about to end then, and f with it.
func Interruptible[T any](ctx context.Context, f func() (T, error)) (T, error) {
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

// usualHeight is how high a terminal is taken to be where nobody says.
const usualHeight = 24

// Height returns how many lines there are for what is written to f.
func Height(f any) int {
	if file, ok := f.(*os.File); ok {
		if _, height, err := term.GetSize(int(file.Fd())); err == nil && height > 0 {
			return height
		}
	}
	return usualHeight
}
