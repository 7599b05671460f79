package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/recipe"
)

// What this machine lacks is told together with what to do about it.
func TestAdviceOnThisMachine(t *testing.T) {
	for cause, want := range map[error]string{
		syscall.ENOSPC: "make room on that disk", syscall.EDQUOT: "make room within your quota",
		syscall.EMFILE: "ulimit -n", syscall.ENFILE: "too many open files: end programs",
	} {
		text := oneLine(&fs.PathError{Op: "write", Path: "/x", Err: cause})
		if !strings.Contains(text, "write /x: ") || !strings.Contains(text, want) {
			t.Errorf("%v: %s", cause, text)
		}
	}
}

// To wait for a full table of files to get room by itself would be to wait for nothing.
func TestLoggerThatGivesUp(t *testing.T) {
	var given error
	p := (&globals{Globals: &cli.Globals{Console: &cli.Console{Out: new(strings.Builder), Err: new(strings.Builder)}}}).newProgress(t.Context(), "all")
	defer p.end()
	log := p.loggerUntil(ownTrouble, func(err error) { given = err })
	log.Info("trying again", "err", errors.New("refused"))
	log.Info("trying again", "err", context.Canceled)
	if given != nil {
		t.Errorf("gave up: %v", given)
	}
	log.Info("trying again", "err", &fs.PathError{Op: "dial", Err: syscall.EMFILE})
	if !errors.Is(given, syscall.EMFILE) {
		t.Errorf("got %v", given)
	}
}

func TestCheckOpenFiles(t *testing.T) {
	o := &runOptions{runFlags: &runFlags{members: 10}, plan: &runplan.Plan{Ports: runplan.Ports{List: make([]recipe.Port, 3)}}}
	const least = 14 + 10*(3+3*2)
	for _, c := range []struct {
		allowed int
		known   bool
		ok      bool
	}{{least, true, true}, {least - 1, true, false}, {0, false, true}} {
		if err := o.checkOpenFiles(c.allowed, c.known); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
