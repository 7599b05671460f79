package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/xlattice/xlreg/internal/view"
)

// Console is where a command reads and writes.
type Console struct {
	Program  string // as it was called
	In       io.Reader
	Out, Err io.Writer
}

// PrintJSON writes v for scripts.
func (c *Console) PrintJSON(v any) error { return view.WriteJSON(c.Out, v) }

// PrintText writes text in one piece, so that it is not mixed with the output of
// another program on the same terminal.
func (c *Console) PrintText(b *bytes.Buffer) error {
	c.freshLine()
	_, err := c.Out.Write(b.Bytes())
	return err
}

// freshLine removes the status line that a program in the foreground may have left
// where this one, in the background, is about to write.
func (c *Console) freshLine() {
	if HasLine(c.Out) && !inForeground(c.Out.(*os.File)) {
		fmt.Fprint(c.Out, eraseLine)
	}
}

// AskYes reads an answer of the person at the terminal.
func (c *Console) AskYes(ctx context.Context) (bool, error) {
	answer, err := Interruptible(ctx, func() (string, error) { return bufio.NewReader(c.In).ReadString('\n') })
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		fmt.Fprintln(c.Err)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	a := strings.ToLower(strings.TrimSpace(answer))
	return a == "y" || a == "yes", nil
}
