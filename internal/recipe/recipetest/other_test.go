package recipetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Systems start with other flags than those of their recipes, too: each member at an address
// of its own, without TLS, and in a directory whose name sockets and scripts may not like.
func TestOtherFlags(t *testing.T) {
	long := filepath.Join(t.TempDir(), "it is "+strings.Repeat("long", 30))
	all := [][]string{
		{"etcd", "--address", "127.0.0.N"},
		{"etcd", "--tls", "none"},
		{"nats", "--tls", "none"},
		{"redis", "-n", "3", "--dir", filepath.Join(long, "redis")},
	}
	heavy := [][]string{
		{"zookeeper", "--address", "127.0.0.N"},
		{"rabbitmq", "--address", "127.0.0.N"},
		{"galera", "--dir", filepath.Join(long, "galera")},
	}
	if os.Getenv("XLREG_RECIPES") == "all" {
		all = append(all, heavy...)
	} else {
		t.Logf("left to 'make recipes': %v", heavy)
	}
	for _, flags := range all {
		t.Run(flags[0]+flags[1], func(t *testing.T) {
			if missing := missingPrograms(system{name: flags[0]}); len(missing) > 0 {
				t.Fatalf("not installed: %s", strings.Join(missing, ", "))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, append(append([]string{"run"}, flags...), "-q", "--then", "echo formed")...)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "formed\n") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
