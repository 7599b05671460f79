package launch

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// specOf is a Spec with one file.
func specOf(name, text string) Spec {
	return Spec{Args: []Text{{Text: "x"}}, Files: []FileText{{name, Text{"redis.yaml:12", text}}}}
}

func TestFilesOfASpec(t *testing.T) {
	s := specOf("etc/redis.conf", "port {{.Self.Port 0}}\n{{args \"torchrun\"}}")
	s.Args = append(s.Args, Text{"argument 1", `{{file "hosts"}}`})
	c, err := ParseSpec(s)
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.Expand(example())
	if err != nil {
		t.Fatal(err)
	}
	if paths := slices.Sorted(maps.Keys(x.Made)); !slices.Equal(paths, []string{"/run/web/etc/redis.conf", "/run/web/hosts.conf"}) {
		t.Errorf("files %q", paths)
	}
	if got := x.Made["/run/web/etc/redis.conf"]; got != "port 4000\nMASTER_ADDR=192.0.2.1\nMASTER_PORT=4000\nWORLD_SIZE=3\nRANK=1\n" {
		t.Errorf("the file has %q", got)
	}
	s = specOf("hosts.conf", `{{file "hosts"}}`)
	if c, err = ParseSpec(s); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Expand(example()); err == nil || !strings.Contains(err.Error(), "redis.yaml:12: {{file}} writes a file of the same name, hosts.conf") {
		t.Errorf("one file twice: %v", err)
	}
}

func TestFileNames(t *testing.T) {
	for _, name := range []string{"a", "a.conf", "etc/a", ".erlang.cookie", "...", "a..b", "./a", "cert.pem.txt", "etc/key.pem"} {
		if err := CheckFileName(name); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]string{
		"":                "below the member's directory",
		".":               "below the member's directory",
		"/etc/passwd":     "below the member's directory",
		"..":              "below the member's directory",
		"../a":            "below the member's directory",
		"a/../../b":       "below the member's directory",
		"a/../b":          "below the member's directory",
		"a/":              "is a directory",
		"a\x00":           "zero byte",
		"key.pem":         "written by xlreg itself",
		"./key.pem":       "written by xlreg itself",
		"KEY.pem":         "written by xlreg itself",
		"roster.json":     "written by xlreg itself",
		"peers.p12":       "written by xlreg itself",
		"keycert.pem/sub": "written by xlreg itself",
	} {
		if _, err := ParseSpec(specOf(name, "")); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "redis.yaml:12: ") {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	twice := specOf("a", "")
	twice.Files = append(twice.Files, FileText{"./a", Text{"redis.yaml:20", ""}})
	if _, err := ParseSpec(twice); err == nil || !strings.Contains(err.Error(), `redis.yaml:20: there are two files "a"`) {
		t.Errorf("twice: %v", err)
	}
}

// Whoever wrote the template finds the line in which it is wrong.
func TestWhereTemplatesAreWrong(t *testing.T) {
	long := "first\nsecond {{.Self.Nam}}\nthird"
	for _, c := range []struct{ where, text, want string }{
		{"redis.yaml:12", "{{.Self.Nam}}", "redis.yaml:12: at <.Self.Nam>: can't evaluate field Nam"},
		{"redis.yaml:12", long, "redis.yaml:13: at <.Self.Nam>: can't evaluate field Nam"},
		{"redis.yaml:12", "\n\n{{nothing}}", `redis.yaml:14: function "nothing" not defined`},
		{"redis.yaml:12", "\n{{if true}}\n", "redis.yaml:14: unexpected EOF"},
		{"redis.yaml:12", "{{define \"part\"}}\n\n{{.No}}{{end}}\n{{template \"part\" .}}", "redis.yaml:14: at <.No>: can't evaluate field No"},
		{"redis.yaml:12", "{{.Self.Port 7}}", "redis.yaml:12: at <.Self.Port>: member b has 2 endpoints"},
		{"C:\\x.yaml:3", "{{nothing}}", `C:\x.yaml:3: function "nothing"`},
		{"--ready", "{{.Self.Nam}}", `--ready "{{.Self.Nam}}": at <.Self.Nam>`},
		{"--file a", long, "--file a, line 2: at <.Self.Nam>"},
		{"a:b", "{{nothing}}", `a:b "{{nothing}}": function`},
		{"redis.yaml:12", "a\x00", "redis.yaml:12: has a zero byte"},
	} {
		tmpl, err := ParseTemplate(Text{c.where, c.text})
		if err == nil {
			_, err = tmpl.Expand(example())
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q: %v, want %q", c.where, c.text, err, c.want)
		}
	}
}

func TestTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"etcdctl --endpoints {{.Self.Endpoint 1}}": "etcdctl --endpoints b.example:4001",
		`env {{args "torchrun"}}x`:                 "env MASTER_ADDR=192.0.2.1 MASTER_PORT=4000 WORLD_SIZE=3 RANK=1 x",
		"":                                         "",
	} {
		tmpl, err := ParseTemplate(Text{"--then", text})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tmpl.Expand(example()); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	tmpl, err := ParseTemplate(Text{"--then", `{{file "hosts"}}`})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tmpl.Expand(example()); err == nil || !strings.Contains(err.Error(), "--then: {{file}} is for the member's own command") {
		t.Errorf("a file that nobody writes: %v", err)
	}
}

// A template can be expanded for many members at the same time.
func TestExpandAtOnce(t *testing.T) {
	c, err := ParseSpec(specOf("a", "{{.Self.Name}}{{endpoints 0}}"))
	if err != nil {
		t.Fatal(err)
	}
	d := example()
	done := make(chan string)
	for _, m := range d.Members {
		own := *d
		own.Self = m
		go func() {
			x, err := c.Expand(&own)
			if err != nil {
				done <- err.Error()
				return
			}
			done <- x.Made["/run/web/a"][:1]
		}()
	}
	got := []string{<-done, <-done, <-done}
	slices.Sort(got)
	if strings.Join(got, "") != "abc" {
		t.Errorf("%q", got)
	}
}
