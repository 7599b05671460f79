package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
)

// eraseBelow clears the line of the cursor and all lines below it.
const eraseBelow = "\r\033[J"

// Block is some lines at the bottom of a terminal that are written over as things change.
// What else is written meanwhile, through the writers that Above returns, appears above
// them. Without a terminal there are no lines, and the writers are what they were.
type Block struct {
	out *os.File // nil: there is no terminal

	mu    sync.Mutex
	lines []string // guarded by mu, as is all below; what the lines say
	drawn []int    // the columns of those that are on the terminal
	ended bool
}

// NewBlock returns a block on standard error. It must be ended.
func NewBlock(c *Console) *Block {
	if !HasLine(c.Err) {
		return &Block{}
	}
	return &Block{out: c.Err.(*os.File)}
}

// Visible reports whether anyone can see the lines.
func (b *Block) Visible() bool { return b.out != nil }

// Room returns how many lines and columns there are.
func (b *Block) Room() (lines, columns int) {
	if b.out == nil {
		return 0, 0
	}
	return Height(b.out) - 1, Width(b.out) - 1
}

// Show replaces the lines. They may have colours. What is too long is cut, since a line
// that wraps cannot be taken away; so are lines that do not fit on the screen.
func (b *Block) Show(lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.out == nil || b.ended {
		return
	}
	b.lines = lines
	b.write(nil)
}

// Above returns a writer for what is to appear above the lines. It has to be given whole
// lines.
func (b *Block) Above(w io.Writer) io.Writer {
	if b.out == nil || !HasLine(w) {
		return w // is not seen on the same terminal
	}
	return above{b, w.(*os.File)}
}

type above struct {
	b  *Block
	to *os.File
}

// Write implements io.Writer.
func (a above) Write(p []byte) (int, error) {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	if a.b.ended || len(a.b.drawn) == 0 {
		return a.to.Write(p)
	}
	a.b.write(p)
	return len(p), nil
}

// End leaves the last lines where they are. What is written from then on appears below
// them.
func (b *Block) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// Clear takes the lines away for good.
func (b *Block) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.out != nil && !b.ended {
		b.lines = nil
		b.write(nil)
	}
	b.ended = true
}

// write takes the lines away, writes text where they were, and then the lines anew, all in
// one piece, so that nobody sees it flicker. A program in the background leaves the
// terminal to the one in the foreground.
func (b *Block) write(text []byte) {
	if !inForeground(b.out) {
		_, _ = b.out.Write(text)
		b.drawn = nil // somebody else's lines are there now
		return
	}
	var piece bytes.Buffer
	piece.WriteString(beginFrame)
	height, width := b.Room()
	if up := rowsOf(b.drawn, width+1); up > 0 {
		fmt.Fprintf(&piece, "\033[%dA", up)
	}
	piece.WriteString(eraseBelow)
	piece.Write(text)
	b.drawn = b.drawn[:0]
	for _, line := range b.lines[:min(len(b.lines), height)] {
		cut, columns := measure(line, width)
		if len(cut) < len(line) && width > 1 {
			cut, _ = measure(line, width-1)
			cut += "…"
		}
		piece.WriteString(cut + plainStyle + "\n")
		b.drawn = append(b.drawn, columns)
	}
	piece.WriteString(endFrame)
	_, _ = b.out.Write(piece.Bytes()) // a terminal that is gone is no reason to end
}

// rowsOf returns how many rows lines of so many columns take on a terminal that is now width
// wide. Terminals wrap what was drawn when their window was wider.
func rowsOf(drawn []int, width int) int {
	rows := 0
	for _, columns := range drawn {
		rows += max(1, (columns+width-1)/width)
	}
	return rows
}
