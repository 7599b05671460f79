package recipe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	data, err := os.ReadFile("testdata/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("whole.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	want := &Recipe{
		Name: "whole", About: "has every field", Tested: []string{"wholed 1.2", "wholectl 3"},
		Program: "wholed", Needs: []string{"wholectl"}, Python: []string{"whole", "whole_more"},
		Install: Install{Debian: "whole-server whole-client", PyPI: "whole==1", Go: "example.com/whole@v1", Shell: "make whole"},
		Members: 5, Fewest: 2,
		Ports:   []Port{{"peer", 8300, 14}, {"client", 0, 14}, {"http", 0, 14}},
		Address: "127.0.0.N", TLS: TLSCA, First: true, Shared: []string{"epmd"},
		What: What{
			Command: []Text{{"wholed", 19}, {"--peers", 19}, {"3", 19}, {"", 19}, {"{{.Dir}}", 20}},
			Env:     []Variable{{"A", Text{"1", 22}}, {"B", Text{"", 23}}, {"C", Text{"x: # y", 24}}},
			Files:   []File{{"conf/a.conf", Text{"one {{.Self.Name}}\n\n  two\n", 27}}, {"empty", Text{"", 30}}},
			Ready:   Text{"tcp:client", 31},
		},
		Roles: []Role{
			{Name: "seed", Members: Range{0, 0, 34}, What: What{
				Command: []Text{{"wholed", 35}, {"--new", 35}}, Env: []Variable{{"B", Text{"seed", 36}}}, Ready: Text{"wholectl ping", 37}}},
			{Name: "rest", Members: Range{2, Open, 39}, What: What{Files: []File{{"conf/a.conf", Text{"rest", 40}}, {"b", Text{"b", 40}}}}},
		},
		Format:       Text{"--a\n--b\n", 42},
		ReadyTimeout: 90 * time.Second,
		AfterReady:   Text{"wholectl init two words", 46},
		Status:       Text{"wholectl status", 48},
		Client:       Client{Env: []Variable{{"WHOLE", Text{`{{.Self.Endpoint "client"}}`, 50}}}, Paste: Text{"wholectl \\\n  get", 52}},
		File:         "whole.yaml",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if names := got.PortNames(); !slices.Equal(names, []string{"peer", "client", "http"}) {
		t.Errorf("ports %q", names)
	}
}

// A field that the recipe does not have gets the value that users expect, and what can be
// told from others is.
func TestDefaults(t *testing.T) {
	for text, want := range map[string]Recipe{
		"name: a\ncommand: [prog]":                                  {Name: "a", Program: "prog", Members: 3, Fewest: 1, TLS: TLSSelf},
		"name: a\ncommand: ['{{env \"X\"}}']\nfewest: 5\ntls: none": {Name: "a", Members: 5, Fewest: 5, TLS: TLSNone},
		"name: a\ncommand: [sh]\ntls: [ca, none]":                   {Name: "a", Program: "sh", Members: 3, Fewest: 1, TLS: TLSCA, TLSOnly: []string{TLSCA, TLSNone}},
		"name: a\ncommand: [sh]\nprogram: p\nmembers: 1":            {Name: "a", Program: "p", Members: 1, Fewest: 1, TLS: TLSSelf},
	} {
		got, err := Parse("f", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got.Command, got.File = nil, ""
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%q: %+v, want %+v", text, *got, want)
		}
	}
}

// Every field of the file is one of Recipe, and the other way round.
func TestFields(t *testing.T) {
	r := new(reader)
	to := new(Recipe)
	for _, c := range []struct {
		of    reflect.Type
		known fields
	}{
		{reflect.TypeFor[Recipe](), merged(r.what(&to.What), r.head(to), r.life(to))},
		{reflect.TypeFor[What](), r.what(&to.What)},
	} {
		var known []string
		for name := range c.known {
			known = append(known, name)
		}
		if got, want := slices.Sorted(slices.Values(known)), slices.Sorted(slices.Values(tagsOf(c.of))); !slices.Equal(got, want) {
			t.Errorf("%v: read are %q, and there are %q", c.of, got, want)
		}
	}
}

func merged(all ...fields) fields {
	m := make(fields)
	for _, f := range all {
		for name, read := range f {
			m[name] = read
		}
	}
	return m
}

// tagsOf returns what the fields of a struct are called in the file.
func tagsOf(of reflect.Type) []string {
	var names []string
	for i := range of.NumField() {
		f := of.Field(i)
		switch tag := f.Tag.Get("yaml"); tag {
		case "-":
		case ",inline":
			names = append(names, tagsOf(f.Type)...)
		default:
			names = append(names, tag)
		}
	}
	return names
}

// Each file in testdata/bad says in its comments in which lines the faults are, and what
// they say.
func TestBad(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(paths) < 20 {
		t.Fatal(err, len(paths))
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Base(path)
		want := wanted(file, string(data))
		_, err = Parse(file, data)
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if got := strings.Split(faults.Error(), "\n"); !matches(got, want) {
			t.Errorf("%s:\n  %s\nwant\n  %s", file, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

// wanted returns the faults that a file says it has: "# LINE: TEXT" at its end.
func wanted(file, data string) []string {
	var all []string
	for line := range strings.Lines(data) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "# want "); ok {
			all = append(all, file+":"+text)
		}
	}
	return all
}

func matches(got, want []string) bool {
	return slices.EqualFunc(got, want, strings.HasPrefix)
}

// What is wrong with a document as a whole cannot be said by a comment in it.
func TestBadDocuments(t *testing.T) {
	long := "name: a\ncommand: [a]\n"
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "f:1: the recipe is empty"},
		{"only comments", "# a\n\n", "f:1: the recipe is empty"},
		{"null", "~\n", "f:1: the recipe is empty"},
		{"a list", "- a\n", "f:1: the recipe is a list, and a mapping is wanted"},
		{"a word", "\netcd\n", "f:2: the recipe is one value, and a mapping is wanted"},
		{"two", long + "---\n" + long, "f:3: a second document"},
		{"two, the second bad", long + "---\na: [\n", "f:4: not YAML"},
		{"too large", long + "about: " + strings.Repeat("x", MaxSize), "f:1: a recipe has at most 65536 bytes"},
		{"too long", long + strings.Repeat("\n", MaxLines), "f:2001: a recipe has at most 2000 lines"},
		{"too deep", strings.Repeat("[", 20000), "f:1: not YAML: exceeded max depth"},
		{"no UTF-8", long + "about: \xff\n", "f:3: not YAML: invalid"},
		{"control character", long + "\nabout: a\x01\n", "f:4: not YAML: control characters"},
		{"no colon", long + "about\nmembers: 3\n", "f:3: not YAML: could not find expected ':'"},
		{"bracket", long + "roles:\n  - name: x\n    command: [a,\n      b\nabout: x\n", "f:5: not YAML: did not find expected ',' or ']'"},
		{"after a good bracket", "name: a\ncommand: [\n  a,\n  b]\nports: [a\nabout: x\n", "f:5: not YAML: did not find expected ',' or ']'"},
		{"indented", long + " about: x\n", "f:3: not YAML: "},
		{"tab", long + "install:\n\tdebian: x\n", "f:4: not YAML: found character that cannot start any token"},
		{"quote", long + "about: 'x\n\n\n", "f:3: not YAML: found unexpected end of stream"},
		{"colon", long + "about: x: y\n", "f:3: not YAML: mapping values are not allowed in this context"},
		{"zero byte", long + "about: \"\\0\"\n", "f:3: about has a zero byte"},
	} {
		_, err := Parse("f", []byte(c.data))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// A billion laughs are a file of some lines whose anchors refer to each other.
func TestLaughsAreRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: a\ncommand: [a]\nenv:\n  A0: &a0 lol\n")
	for i := range 30 {
		fmt.Fprintf(&b, "  A%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i, i)
	}
	started := time.Now()
	_, err := Parse("f", []byte(b.String()))
	if err == nil || !strings.HasPrefix(err.Error(), "f:4: variable A0: a recipe has no anchors, aliases and merges") {
		t.Error(err)
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// Whatever is wrong with a file, and however large it is, that is found out soon.
func TestFaultsAreFoundSoon(t *testing.T) {
	for name, data := range map[string]string{
		"bracket":  "a: [\n" + strings.Repeat("x, y, {z: 1}, 'u', \"v\", w,\n", MaxLines-2),
		"quote":    "a: \"\n" + strings.Repeat("x y z u v w x y z u v w\n", MaxLines-2),
		"deep":     strings.Repeat("[\n", MaxLines-2),
		"deep too": strings.Repeat("[", 9000) + "\n" + strings.Repeat("]\n", MaxLines-2),
		"maps":     strings.Repeat("? ", 9000) + strings.Repeat("\n", MaxLines-2) + "]",
	} {
		started := time.Now()
		if _, err := Parse("f", []byte(data)); err == nil {
			t.Errorf("%s: is no fault", name)
		}
		t.Logf("%s: %v", name, time.Since(started))
		if took := time.Since(started); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func TestFaultsAreErrors(t *testing.T) {
	_, err := Parse("f", []byte("name: A\ntls: x\n"))
	var fault *Fault
	if !errors.As(err, &fault) || fault.Line != 1 || fault.File != "f" {
		t.Errorf("%v", err)
	}
}

// Whatever a file has in it, it is read or refused, and what is refused has a place in it.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/bad/*.yaml", "builtin/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse("f", data)
		if err == nil {
			checkParsed(t, r)
			return
		}
		var faults Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		lines := strings.Count(string(data), "\n") + 2
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > lines || fault.Text == "" {
				t.Fatalf("%v, and there are %d lines", fault, lines)
			}
		}
	})
}

// checkParsed holds r against what those rely on that use it.
func checkParsed(t *testing.T, r *Recipe) {
	if r.Name == "" || r.Members < r.Fewest || r.Fewest < 1 || r.TLS == "" {
		t.Fatalf("%+v", r)
	}
	for i := range r.Members {
		role, what := r.Member(i)
		if len(what.Command) == 0 || what.Command[0].Text == "" {
			t.Fatalf("member %d of role %q has no command", i, role)
		}
		for _, f := range what.Files {
			if !filepath.IsLocal(f.Name) {
				t.Fatalf("file %q", f.Name)
			}
		}
	}
}
