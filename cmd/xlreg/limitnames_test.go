package main

import (
	"testing"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/internal/guard"
)

// Limits are named as the flags that set them, wherever somebody is told which was met.
func TestLimitsAreNamedAsTheirFlags(t *testing.T) {
	cmd := &cobra.Command{Use: "serve"}
	new(serveFlags).register(cmd)
	names := guard.LimitNames()
	if len(names) == 0 {
		t.Fatal("no limit has a name")
	}
	for _, name := range names {
		if cmd.Flags().Lookup(name) == nil {
			t.Errorf("serve has no flag --%s", name)
		}
	}
}
