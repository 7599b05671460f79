//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// A registry for trying out ends with its terminal, unless nohup is to keep it. Any other
// goes on, and is told.
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
		ctx, hangups, done := heedHangup(t.Context(), &serveConfig{dev: c.dev})
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-hangups:
		}
		done()
		signal.Stop(heeded)
		if ended != c.ends {
			t.Errorf("%+v: ended %v", c, ended)
		}
	}
}
