package recipetest

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/recipe"
)

// systemOf returns what is known of a recipe's system.
func systemOf(name string) system {
	all := systems()
	return all[slices.IndexFunc(all, func(s system) bool { return s.name == name })]
}

// reachable returns an interface of this machine with an address that others may reach; empty if it
// has none.
func reachable(t *testing.T) string {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is4() {
				return i.Name
			}
		}
	}
	return ""
}

// Systems start with other flags than those of their recipes, too: each member at an address
// of its own, without TLS, in numbers that are not usual, and in a directory whose name sockets and
// scripts may not like. The system itself says that it is whole, and both its client and the line for
// people find it.
func TestOtherFlags(t *testing.T) {
	long := filepath.Join(t.TempDir(), "it is "+strings.Repeat("long", 30))
	odd := filepath.Join(t.TempDir(), `its ünï "q" #1 %41&x;y`)
	all := [][]string{
		{"etcd", "--address", "127.0.0.N"},
		{"etcd", "--tls", "none"},
		{"nats", "--tls", "none"},
		{"etcd", "-n", "1"},
		{"etcd", "-n", "2"},
		{"nats", "-n", "1"},
		{"nats", "-n", "4"},
		{"redis", "-n", "1"},
		{"redis", "-n", "4"},
		{"redis", "-n", "2", "--tls", "none"},
		{"redis", "-n", "3", "--dir", filepath.Join(long, "redis")},
		{"redis", "-n", "3", "--dir", filepath.Join(odd, "it's redis")},
		{"nats", "--dir", filepath.Join(odd, "it's nats")},
		{"etcd", "--dir", filepath.Join(odd, "it's etcd")},
	}
	if name := reachable(t); name != "" {
		all = append(all, []string{"redis", "-n", "3", "--tls", "none", "--address", name})
	}
	heavy := [][]string{
		{"zookeeper", "--address", "127.0.0.N"},
		{"zookeeper", "--tls", "none"},
		{"rabbitmq", "--address", "127.0.0.N"},
		{"rabbitmq", "--tls", "none"},
		{"galera", "--dir", filepath.Join(long, "galera")},
		{"patroni", "--address", "127.0.0.N"},
		{"mpi", "--tls", "none", "--dir", filepath.Join(long, "mpi")},
		{"erlang", "--dir", filepath.Join(long, "it's erlang")},
		{"erlang", "--dir", filepath.Join(odd, "erlang")},
		{"rabbitmq", "--dir", filepath.Join(odd, "rabbitmq")},
		{"zookeeper", "--dir", filepath.Join(odd, "it's zookeeper")},
		{"patroni", "--dir", filepath.Join(odd, "it's patroni")},
		{"mpi", "--dir", filepath.Join(odd, "it's mpi")},
		{"zookeeper", "-n", "1"},
		{"zookeeper", "-n", "4"},
		{"rabbitmq", "-n", "1"},
		{"galera", "-n", "2"},
		{"patroni", "-n", "1"},
		{"erlang", "-n", "1"},
		{"mpi", "-n", "1"},
		{"consul", "-n", "1"},
		{"serf", "-n", "1"},
		{"dask", "-n", "2"},
		{"alertmanager", "-n", "1"},
		{"consul", "--tls", "none"},
		{"dask", "--tls", "none"},
		{"alertmanager", "--tls", "none"},
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
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			s := systemOf(flags[0])
			r, err := recipe.Find(s.name)
			if err != nil {
				t.Fatal(err)
			}
			then := `sh {{quote (printf "%s/status" .Dir)}} >&2 && echo formed`
			if s.name == "redis" {
				then = strings.Replace(then, "echo formed", "$REDIS set greeting formed >&2 && $REDIS get greeting", 1)
			}
			if s.client != "" {
				then = "{ " + s.client + "; } >&2 && " + then
			}
			flags = append(flags, asFile(t, "status", r.Status.Text)...)
			if s.canPaste() {
				then = `env -i HOME="$HOME" PATH="${PATH#"$XLREG_PATH":}" sh {{quote (printf "%s/paste" .Dir)}} >&2 </dev/null && ` + then
				flags = append(flags, asFile(t, "paste", r.Client.Paste.Text)...)
			}
			cmd := exec.CommandContext(ctx, program, append(append([]string{"run"}, flags...), "-q", "--then", then)...)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "formed\n") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
