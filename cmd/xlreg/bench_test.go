package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// Ctrl-C while something is measured ends the registries that run along, too, and
// leaves nothing behind.
func TestInterruptedBench(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	var errs bytes.Buffer
	out := &untilWritten{then: cancel}
	args := "xlreg bench sessions --carriers 2.0 --runs 1000 --dir " + dir
	if code := execute(ctx, strings.Fields(args), nil, out, &errs); code != exitInterrupted || errs.String() != "xlreg: interrupted\n" {
		t.Errorf("exit code %d, %q", code, errs.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
