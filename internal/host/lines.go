package host

import (
	"context"
	"log/slog"
	"sync"

	"golang.org/x/time/rate"
)

// How many lines with one message are logged: so many at once, and then so many a
// second. Whoever may connect can cause lines, at least one for each session, and the
// log is often on the disk that the registry keeps its data on.
const (
	LinesAtOnce    = 1000
	LinesPerSecond = 10
)

// omittedKey is how many lines with the same message were left out before this one.
const omittedKey = "omitted_before"

// bounded returns a logger that leaves out what is too much. Lines of the level debug
// are for whoever asked for all of them, and are not bounded.
func bounded(log *slog.Logger) *slog.Logger {
	if log == nil {
		return nil
	}
	return slog.New(&boundedLines{log.Handler(), &lineCounts{byMessage: make(map[string]*lineCount)}})
}

// boundedLines is a slog.Handler. It counts by message: those are constants of the
// program, so that there are few of them, and a flood of one hides no other.
type boundedLines struct {
	next   slog.Handler
	counts *lineCounts
}

type lineCounts struct {
	mu        sync.Mutex
	byMessage map[string]*lineCount // guarded by mu
}

type lineCount struct {
	bound   *rate.Limiter
	omitted int64
}

// Enabled implements slog.Handler.
func (b *boundedLines) Enabled(ctx context.Context, level slog.Level) bool {
	return b.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (b *boundedLines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &boundedLines{b.next.WithAttrs(attrs), b.counts}
}

// WithGroup implements slog.Handler.
func (b *boundedLines) WithGroup(name string) slog.Handler {
	return &boundedLines{b.next.WithGroup(name), b.counts}
}

// Handle implements slog.Handler.
func (b *boundedLines) Handle(ctx context.Context, line slog.Record) error {
	if line.Level < slog.LevelInfo {
		return b.next.Handle(ctx, line)
	}
	omitted, ok := b.counts.admit(&line)
	if !ok {
		return nil
	}
	if omitted > 0 {
		line = line.Clone()
		line.AddAttrs(slog.Int64(omittedKey, omitted))
	}
	return b.next.Handle(ctx, line)
}

// admit reports whether a line is to be logged, and how many like it were not.
func (c *lineCounts) admit(line *slog.Record) (omitted int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.byMessage[line.Message]
	if n == nil {
		n = &lineCount{bound: rate.NewLimiter(LinesPerSecond, LinesAtOnce)}
		c.byMessage[line.Message] = n
	}
	if !n.bound.AllowN(line.Time, 1) {
		n.omitted++
		return 0, false
	}
	omitted, n.omitted = n.omitted, 0
	return omitted, true
}
