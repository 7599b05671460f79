//go:build unix

package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// lines is a writer that hands on what is written.
type lines chan string

func (l lines) Write(b []byte) (int, error) { l <- string(b); return len(b), nil }

// A registry for trying out ends with its terminal, unless nohup is to keep it. Any other
// goes on, and says so.
func TestHangup(t *testing.T) {
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
	for _, c := range []struct{ dev, ignored, ends bool }{
		{true, false, true}, {true, true, false}, {false, false, false}, {false, true, false},
	} {
		// What is handled is not ignored, however the tests were started.
		heeded := make(chan os.Signal, 1)
		signal.Notify(heeded, syscall.SIGHUP)
		if c.ignored {
			signal.Ignore(syscall.SIGHUP)
		}
		said := make(lines, 1)
		ctx, done := heedHangup(t.Context(), &serveConfig{dev: c.dev, log: slog.New(slog.NewTextHandler(said, nil))})
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-said:
		}
		done()
		signal.Stop(heeded)
		if ended != c.ends {
			t.Errorf("%+v: ended %v", c, ended)
		}
	}
}
