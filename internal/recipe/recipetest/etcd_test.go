package recipetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func etcd() system {
	return system{
		name: "etcd", always: true,
		needs:  []string{"etcdctl"},
		what:   []string{`etcd --version | sed -n 's/etcd Version: /etcd /p'`},
		tls:    []port{{name: "peer"}, {name: "client"}},
		client: `etcdctl member list`,
		write:  `etcdctl put kept first`,
		read:   `etcdctl get kept --print-value-only`,
		wrote:  "first",
		goesOn: `etcdctl put after second`,
		kept:   true,
	}
}

// A start that was killed leaves members that have their data next to others that have none yet. The
// next start in the same directory makes one cluster of them.
func TestEtcdAfterHalfAStart(t *testing.T) {
	if missing := missingPrograms(etcd()); len(missing) > 0 {
		t.Fatalf("not installed: %q", missing)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	start := func() {
		cmd := exec.CommandContext(ctx, program, "run", "etcd", "--dir", dir, "-q", "--then", "etcdctl put a b")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	start()
	data, err := filepath.Glob(filepath.Join(dir, "m[12]", "clusters", "*", "data"))
	if err != nil || len(data) != 2 {
		t.Fatal(data, err)
	}
	// This is as if member 2 had not come so far.
	if err := os.RemoveAll(data[1]); err != nil {
		t.Fatal(err)
	}
	start()
}
