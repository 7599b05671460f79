package recipetest

import (
	"context"
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

// A start that ended early leaves members that have their data next to one whose etcd never ran.
// The next start in the same directory makes one cluster of them. (Whose etcd did run, and lost its
// data, is another matter: the others know it, and etcd rightly refuses it.)
func TestEtcdAfterHalfAStart(t *testing.T) {
	if missing := missingPrograms(etcd()); len(missing) > 0 {
		t.Fatalf("not installed: %q", missing)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	start := func(flags ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, program, append([]string{"run", "etcd", "--dir", dir, "-q"}, flags...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	start("--member", "2:sleep 1000", "--ready", "true", "--then", "until etcdctl put a b; do sleep 0.1; done")
	data, err := filepath.Glob(filepath.Join(dir, "m*", "clusters", "*", "data"))
	if err != nil || len(data) != 2 {
		t.Fatal(data, err)
	}
	start("--then", `test "$(etcdctl get a --print-value-only)" = b`)
	data, err = filepath.Glob(filepath.Join(dir, "m*", "clusters", "*", "data"))
	if err != nil || len(data) != 3 {
		t.Fatal(data, err)
	}
}
