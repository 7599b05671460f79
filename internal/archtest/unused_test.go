package archtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// book is all that the rules permit, in one value, so that a test can hand in a
// book of its own.
type book struct {
	rows        map[string]row
	reserved    map[string]reservation
	confined    []confinement
	openToTests []string
	pure        []string
	stateful    map[string]string
	unchecked   map[string]string
}

func theBook() book {
	return book{rows, reserved, confined, openToTests, pure, stateful, unchecked}
}

// facts is what the source does, of all that needs a permission.
type facts struct {
	imports []imported
	state   map[string]bool // package variables that hold state, as path.name
	leaky   map[string]bool // packages that start goroutines and look for none left behind
}

func readFacts(t *testing.T) facts {
	t.Helper()
	s := readSource(t)
	f := facts{imports: s.imports(), state: make(map[string]bool), leaky: make(map[string]bool)}
	starts, checks := s.goroutines()
	for dir := range starts {
		f.leaky[dir] = !checks[dir]
	}
	for _, file := range s.files {
		if !file.test() && !file.generated() {
			for _, name := range stateIn(file.ast) {
				f.state[file.dir()+"."+name] = true
			}
		}
	}
	return f
}

// A permission that nothing uses is a door left open: whoever comes through it
// later breaks no rule, and nobody decided that it may be done.
func TestPermissionsAreUsed(t *testing.T) {
	for _, found := range theBook().unused(readFacts(t)) {
		t.Errorf("%s: take it out of the table in internal/archtest", found)
	}
}

// unused returns the permissions that no fact needs, each by its name. A "*" is
// not held to what it covers.
func (b book) unused(f facts) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(b.rows)) {
		found = append(found, b.unusedRow(name, f.imports)...)
	}
	for _, name := range slices.Sorted(maps.Keys(b.reserved)) {
		for _, to := range b.reserved[name].to {
			if !slices.ContainsFunc(f.imports, func(i imported) bool { return i.by == to && i.path == name }) {
				found = append(found, fmt.Sprintf("reserved: %s does not import %s", to, name))
			}
		}
	}
	found = append(found, b.unusedConfined(f.imports)...)
	found = append(found, b.unusedOpen(f.imports)...)
	for _, name := range slices.Sorted(maps.Keys(b.stateful)) {
		if !f.state[name] {
			found = append(found, fmt.Sprintf("stateful: %s holds no state", name))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(b.unchecked)) {
		if !f.leaky[dir] {
			found = append(found, fmt.Sprintf("unchecked: %s starts no goroutine, or uses goleak", dir))
		}
	}
	return found
}

func (b book) unusedRow(name string, all []imported) []string {
	if !slices.ContainsFunc(all, func(i imported) bool { return i.by == name }) {
		return []string{fmt.Sprintf("row %s: there is no such package", name)}
	}
	code, tests := make(map[string]bool), make(map[string]bool)
	for _, i := range all {
		if i.by == name && i.ours {
			code[i.path] = code[i.path] || !i.test
			tests[i.path] = tests[i.path] || i.test
		}
	}
	r := b.rows[name]
	var found []string
	for _, p := range r.may {
		switch {
		case p == "*" || code[p]:
		case tests[p]:
			found = append(found, fmt.Sprintf("row %s: may import %s, but only its tests do", name, p))
		default:
			found = append(found, fmt.Sprintf("row %s: may import %s, and does not", name, p))
		}
	}
	for _, p := range r.tests {
		switch {
		case p != "*" && !tests[p]:
			found = append(found, fmt.Sprintf("row %s: its tests may import %s, and do not", name, p))
		case covers(r.may, p) || covers(b.openToTests, p):
			found = append(found, fmt.Sprintf("row %s: its tests may import %s without saying so", name, p))
		}
	}
	return found
}

func (b book) unusedConfined(all []imported) []string {
	var found []string
	for _, c := range b.confined {
		for _, to := range c.to {
			if !slices.ContainsFunc(all, func(i imported) bool { return i.by == to && !i.test && c.holds(i) }) {
				found = append(found, fmt.Sprintf("confined: %s does not import %s", to, c.path))
			}
		}
	}
	return found
}

// unusedOpen looks at what everybody has: packages open to all tests, and the
// pure ones below those that are forbidden.
func (b book) unusedOpen(all []imported) []string {
	var found []string
	for _, p := range b.openToTests {
		if !slices.ContainsFunc(all, func(i imported) bool {
			r := b.rows[i.by]
			return i.test && i.path == p && i.by != p && !covers(r.may, p) && !covers(r.tests, p)
		}) {
			found = append(found, fmt.Sprintf("openToTests: no test needs to be let into %s", p))
		}
	}
	for _, p := range b.pure {
		if !slices.ContainsFunc(all, func(i imported) bool {
			never := b.rows[i.by].never
			return !i.test && i.path == p && slices.ContainsFunc(never, func(n string) bool { return below(p, n) })
		}) {
			found = append(found, fmt.Sprintf("pure: nobody who needs it imports %s", p))
		}
	}
	return found
}

// Each kind of permission is seen to fail when its one use is gone, and not
// while it is there.
func TestUnusedPermissionsFail(t *testing.T) {
	b := book{
		rows: map[string]row{
			"a": {may: []string{"b"}, tests: []string{"c"}, never: []string{"net"}},
			"b": {may: []string{"*"}},
			"c": {tests: []string{"*"}},
		},
		reserved:    map[string]reservation{"b": {to: []string{"a"}}},
		confined:    []confinement{{path: "log", to: []string{"b"}}, {path: "x.org/lib", to: []string{"a"}}},
		openToTests: []string{"v"},
		pure:        []string{"net/netip"},
		stateful:    map[string]string{"a.shared": "why"},
		unchecked:   map[string]string{"c": "why"},
	}
	full := facts{
		imports: []imported{
			{by: "a", path: "b", ours: true},
			{by: "a", path: "c", ours: true, test: true},
			{by: "a", path: "v", ours: true, test: true},
			{by: "a", path: "x.org/lib/part"},
			{by: "a", path: "net/netip"},
			{by: "b", path: "log"},
			{by: "c"},
		},
		state: map[string]bool{"a.shared": true},
		leaky: map[string]bool{"c": true},
	}
	if found := b.unused(full); len(found) > 0 {
		t.Fatalf("found %q where all is used", found)
	}
	without := func(n int) facts {
		f := full
		f.imports = slices.Delete(slices.Clone(full.imports), n, n+1)
		return f
	}
	instead := func(n int, i imported) facts {
		f := without(n)
		f.imports = append(f.imports, i)
		return f
	}
	for _, c := range []struct {
		name string
		in   facts
		want string
	}{
		{"may", without(0), "row a: may import b, and does not"},
		{"may, by tests alone", instead(0, imported{by: "a", path: "b", ours: true, test: true}), "row a: may import b, but only its tests do"},
		{"tests", without(1), "row a: its tests may import c, and do not"},
		{"tests, by code alone", instead(1, imported{by: "a", path: "c", ours: true}), "row a: its tests may import c, and do not"},
		{"reserved", without(0), "reserved: a does not import b"},
		{"open to tests", without(2), "openToTests: no test needs to be let into v"},
		{"confined", without(3), "confined: a does not import x.org/lib"},
		{"confined, by tests alone", instead(3, imported{by: "a", path: "x.org/lib", test: true}), "confined: a does not import x.org/lib"},
		{"confined log is not slog", instead(5, imported{by: "b", path: "log/slog"}), "confined: b does not import log"},
		{"pure", without(4), "pure: nobody who needs it imports net/netip"},
		{"row", without(6), "row c: there is no such package"},
		{"stateful", facts{full.imports, nil, full.leaky}, "stateful: a.shared holds no state"},
		{"unchecked", facts{full.imports, full.state, nil}, "unchecked: c starts no goroutine, or uses goleak"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if found := b.unused(c.in); !slices.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
	for _, tests := range []string{"b", "v"} {
		b.rows["a"] = row{may: []string{"b"}, tests: []string{tests}}
		f := instead(0, imported{by: "a", path: "b", ours: true, test: true})
		if found := strings.Join(b.unused(f), "; "); !strings.Contains(found, "may import "+tests+" without saying so") {
			t.Errorf("tests that may import %s anyhow: found %q", tests, found)
		}
	}
}

// Wildcards are few, since nothing can say which part of one is used.
func TestWildcards(t *testing.T) {
	const most = 4
	var wild []string
	for name, r := range rows {
		if covers(r.may, "*") || covers(r.tests, "*") {
			wild = append(wild, name)
		}
	}
	if len(wild) > most {
		t.Errorf("%d rows permit everything, at most %d: %q", len(wild), most, wild)
	}
}
