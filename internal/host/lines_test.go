package host

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// line hands a line to a logger as if it had come at that time.
func line(t *testing.T, log *slog.Logger, at time.Time, level slog.Level, msg string) {
	t.Helper()
	if err := log.Handler().Handle(t.Context(), slog.NewRecord(at, level, msg, 0)); err != nil {
		t.Fatal(err)
	}
}

func TestLinesAreBounded(t *testing.T) {
	var out bytes.Buffer
	log := bounded(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))).With("a", 1)
	now := time.Unix(1_700_000_000, 0)
	for range LinesAtOnce + 50 {
		line(t, log, now, slog.LevelInfo, "session ended")
		line(t, log, now, slog.LevelDebug, "debug")
	}
	line(t, log.With("b", 2), now, slog.LevelError, "session ended")
	line(t, log, now, slog.LevelInfo, "cluster created")
	counts := func() map[string]int {
		found := make(map[string]int)
		for _, what := range []string{`msg="session ended"`, "msg=debug", `msg="cluster created"`, omittedKey} {
			found[what] = strings.Count(out.String(), what)
		}
		return found
	}
	got := counts()
	if got[`msg="session ended"`] != LinesAtOnce || got[`msg="cluster created"`] != 1 || got["msg=debug"] != LinesAtOnce+50 || got[omittedKey] != 0 {
		t.Errorf("lines: %v", got)
	}
	out.Reset()
	for range LinesPerSecond + 5 {
		line(t, log, now.Add(time.Second), slog.LevelInfo, "session ended")
	}
	if got := counts(); got[`msg="session ended"`] != LinesPerSecond || got[omittedKey] != 1 {
		t.Errorf("a second later: %v", got)
	}
	if first, _, _ := strings.Cut(out.String(), "\n"); !strings.HasSuffix(first, `msg="session ended" a=1 omitted_before=51`) {
		t.Errorf("first line %q", first)
	}
}

func TestNoLoggerStaysNone(t *testing.T) {
	if bounded(nil) != nil {
		t.Error("a logger where there was none")
	}
}
