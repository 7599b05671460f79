package launch

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// longestLine is where a line without an end is broken.
const longestLine = 64 << 10

// Merger lets several programs write to one place, a whole line at a time.
type Merger struct {
	out io.Writer
	mu  *sync.Mutex // of everything that leads to the same screen
}

// NewMergers returns a Merger for each writer. All of them take turns, as
// standard output and standard error may be the same screen.
func NewMergers(outs ...io.Writer) []*Merger {
	mu := new(sync.Mutex)
	all := make([]*Merger, len(outs))
	for i, out := range outs {
		all[i] = &Merger{out, mu}
	}
	return all
}

// Line returns a writer whose lines get a prefix. Its Close writes what is left of
// a line that did not end.
func (m *Merger) Line(prefix string) io.WriteCloser {
	return &lineWriter{merger: m, prefix: prefix}
}

// lineWriter is owned by the one who writes.
type lineWriter struct {
	merger *Merger
	prefix string
	rest   []byte // of a line that has not ended
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

// next takes a line off what is there.
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

// Prefixes returns what the lines of each member begin with, all equally wide, and
// with colors if a terminal shows them.
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

// color returns what begins a color, one of six in turn, neither black nor white.
func color(i int) string {
	const first, count = 31, 6
	return fmt.Sprintf("\033[%dm", first+i%count)
}
