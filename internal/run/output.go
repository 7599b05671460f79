package run

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// longestLine is where a line without an end is broken.
const longestLine = 64 << 10

// Merger lets several programs write to one place, each a whole line at a time.
type Merger struct {
	out io.Writer
	mu  *sync.Mutex // shared by all writers that may end on the same screen
}

// NewMergers returns a Merger for each writer. Only one of them writes at a time,
// since standard output and standard error may be the same screen.
func NewMergers(outs ...io.Writer) []*Merger {
	mu := new(sync.Mutex)
	all := make([]*Merger, len(outs))
	for i, out := range outs {
		all[i] = &Merger{out, mu}
	}
	return all
}

// Line returns a writer that puts a prefix before each line. Its Close ends a last
// line that lacks its newline.
func (m *Merger) Line(prefix string) io.WriteCloser {
	return &lineWriter{merger: m, prefix: prefix}
}

// lineWriter belongs to one goroutine.
type lineWriter struct {
	merger *Merger
	prefix string
	rest   []byte // a line whose end is still to come
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	var out []byte
	for {
		line, ok := w.next()
		if !ok {
			break
		}
		out = append(append(append(out, w.prefix...), line...), '\n')
	}
	return len(p), w.merger.write(out)
}

// next takes the first line off rest.
func (w *lineWriter) next() ([]byte, bool) {
	line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
	if !ok && len(w.rest) >= longestLine {
		line, rest, ok = w.rest[:longestLine], w.rest[longestLine:], true
	}
	if ok {
		w.rest = rest
	}
	return line, ok
}

// Flush ends a last line that lacks its newline; more may follow.
func (w *lineWriter) Flush() error { return w.Close() }

// Close implements io.Closer.
func (w *lineWriter) Close() error {
	if len(w.rest) == 0 {
		return nil
	}
	_, err := w.Write([]byte("\n"))
	return err
}

func (m *Merger) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.out.Write(p)
	return err
}

// Prefixes returns what to begin each program's lines with: its name, padded so that
// all are equally wide, in a color of its own if colored.
func Prefixes(names []string, colored bool) []string {
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	prefixes := make([]string, len(names))
	for i, name := range names {
		text := fmt.Sprintf("%-*s | ", width, name)
		if colored {
			text = color(i) + text + "\033[0m"
		}
		prefixes[i] = text
	}
	return prefixes
}

// color returns the escape sequence of one of six colors in turn, black and white not
// among them.
func color(i int) string {
	const first, count = 31, 6
	return fmt.Sprintf("\033[%dm", first+i%count)
}
