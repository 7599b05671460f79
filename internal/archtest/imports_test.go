package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestImports(t *testing.T) {
	s := readSource(t)
	all := s.imports()
	for _, found := range checkImports(all) {
		t.Error(found)
	}
	// A walk that finds nothing would find nothing wrong.
	for _, want := range []imported{
		{by: "internal/wire", path: ".", ours: true},
		{by: "internal/registry", path: "internal/store", ours: true},
		{by: "internal/wire", path: "google.golang.org/protobuf/proto"},
		{by: "internal/registry", path: "internal/store/memory", ours: true, test: true},
	} {
		if !slices.Contains(all, want) {
			t.Errorf("the walk over the source misses %+v", want)
		}
	}
}

// checkImports returns what breaks a rule, each once.
func checkImports(all []imported) []string {
	var broken []string
	for _, i := range all {
		if found := checkImport(i); found != "" && !slices.Contains(broken, found) {
			broken = append(broken, found)
		}
	}
	return broken
}

// checkImport says which rule i breaks; "" if none.
func checkImport(i imported) string {
	r, ok := rows[i.by]
	switch {
	case !ok:
		return fmt.Sprintf("package %s has no row in the table of internal/archtest: say there what it may import", i.by)
	case i.path == "" || i.by == i.path && i.test: // an external test imports what it tests
		return ""
	case i.ours:
		return checkOurs(i, r)
	case i.test:
		return ""
	}
	return checkOther(i, r)
}

func checkOurs(i imported, r row) string {
	if only, ok := reserved[i.path]; ok && !slices.Contains(only.to, i.by) {
		return fmt.Sprintf("%s must not import %s, only %q may: %s", importer(i), i.path, only.to, only.why)
	}
	allowed := covers(r.may, i.path)
	if i.test {
		allowed = allowed || covers(r.tests, i.path) || covers(openToTests, i.path)
	}
	if allowed {
		return ""
	}
	return fmt.Sprintf("%s must not import %s: %s", importer(i), i.path, r.why)
}

func checkOther(i imported, r row) string {
	if slices.Contains(pure, i.path) {
		return ""
	}
	if slices.ContainsFunc(r.never, func(p string) bool { return below(i.path, p) }) {
		return fmt.Sprintf("%s must never import %s: %s", importer(i), i.path, r.why)
	}
	for _, c := range confined {
		if c.holds(i) && !slices.Contains(c.to, i.by) {
			return fmt.Sprintf("%s must not import %s, only %q may: %s", importer(i), i.path, c.to, c.why)
		}
	}
	return ""
}

func importer(i imported) string {
	if i.test {
		return "the tests of " + i.by
	}
	return i.by
}

func covers(list []string, p string) bool {
	return slices.Contains(list, p) || slices.Contains(list, "*")
}

func below(p, above string) bool { return p == above || strings.HasPrefix(p, above+"/") }

// The rules are seen to fail on a graph that breaks each of them.
func TestRulesFail(t *testing.T) {
	for _, c := range []struct {
		name string
		in   imported
		want string // what the finding says; empty if there is none
	}{
		{"a new package", newImport("nowhere", "fmt", false), "no row"},
		{"a new package without imports", imported{by: "nowhere"}, "no row"},
		{"root on ours", newImport(".", module+"/internal/wire", false), "must not import internal/wire: the vocabulary is pure"},
		{"root on net", newImport(".", "net", false), "must never import net"},
		{"root on what is below net", newImport(".", "net/http", false), "must never import net/http"},
		{"root on sync", newImport(".", "sync/atomic", false), "must never import sync/atomic"},
		{"root on os", newImport(".", "os", false), "must never import os"},
		{"root on protobuf", newImport(".", "google.golang.org/protobuf/proto", false), "known in one place"},
		{"root on addresses", newImport(".", "net/netip", false), ""},
		{"root on a package that begins like net", newImport(".", "network", false), ""},
		{"root's tests on os", newImport(".", "os", true), ""},
		{"wire on session", newImport("internal/wire", module+"/internal/session", false), "must not import internal/session"},
		{"wire on net", newImport("internal/wire", "net", false), "must never import net"},
		{"wire on root", newImport("internal/wire", module, false), ""},
		{"session on client", newImport("internal/session", module+"/client", false), "must not import client"},
		{"session's tests on vectors", newImport("internal/session", module+"/docs/vectors", true), ""},
		{"session on vectors", newImport("internal/session", module+"/docs/vectors", false), "must not import docs/vectors"},
		{"registry on a driver", newImport("internal/registry", module+"/internal/store/memory", false), "no network and no driver"},
		{"registry's tests on a driver", newImport("internal/registry", module+"/internal/store/memory", true), ""},
		{"registry's tests on wire", newImport("internal/registry", module+"/internal/wire", true), "the tests of internal/registry must not import internal/wire"},
		{"registry's tests on registry", newImport("internal/registry", module+"/internal/registry", true), ""},
		{"driver on driver", newImport("internal/store/bolt", module+"/internal/store/memory", false), "must not import internal/store/memory"},
		{"driver on rules", newImport("internal/store/memory", module+"/internal/registry", false), "must not import internal/registry"},
		{"driver on its library", newImport("internal/store/bolt", "go.etcd.io/bbolt", false), ""},
		{"rules on a driver's library", newImport("internal/registry", "go.etcd.io/bbolt", false), "stays in the driver"},
		{"server on client", newImport("internal/server", module+"/client", false), "must not import client"},
		{"client on server", newImport("client", module+"/internal/server", false), "must not bring the server along"},
		{"client on the command line", newImport("client", "github.com/spf13/cobra", false), "no command line"},
		{"client on testing", newImport("client", "testing", false), "it is for tests"},
		{"client on log", newImport("client", "log", false), "slog.Logger that was handed in"},
		{"client on slog", newImport("client", "log/slog", false), ""},
		{"root on cryptography", newImport(".", "crypto/sha256", false), "no cryptography"},
		{"session on a kind of key", newImport("internal/session", "crypto/rsa", false), "known in one place"},
		{"keys on a kind of key", newImport("keys", "crypto/rsa", false), ""},
		{"registry on identity", newImport("internal/registry", module+"/identity", false), "must not import identity"},
		{"identity on slog", newImport("identity", "log/slog", false), "return what they have to say"},
		{"vectors from our own code", newImport("internal/vectorgen", module+"/internal/wire", false), "would prove nothing"},
		{"program on all", newImport("cmd/xlreg", module+"/internal/store/bolt", false), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := checkImports([]imported{c.in, c.in})
			if c.want == "" && len(found) > 0 {
				t.Errorf("found %q", found)
			}
			if c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want)) {
				t.Errorf("found %q, want one that says %q", found, c.want)
			}
		})
	}
}

// The table must not allow what nothing can: a name with a slip in it.
func TestTableNamesPackages(t *testing.T) {
	for name, r := range rows {
		for _, p := range slices.Concat(r.may, r.tests) {
			if _, ok := rows[p]; !ok && p != "*" {
				t.Errorf("row %s names %s, which has no row", name, p)
			}
		}
		if r.why == "" {
			t.Errorf("row %s has no reason", name)
		}
	}
	for name, only := range reserved {
		for _, p := range append(only.to, name) {
			if _, ok := rows[p]; !ok {
				t.Errorf("%s is reserved for %s, which has no row", name, p)
			}
		}
	}
	for _, c := range confined {
		for _, p := range c.to {
			if _, ok := rows[p]; !ok {
				t.Errorf("%s is confined to %s, which has no row", c.path, p)
			}
		}
	}
}
