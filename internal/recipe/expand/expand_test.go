package expand

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/launch"
)

// All that is in the program works for every role it has, and for a reader.
func TestBuiltin(t *testing.T) {
	for _, r := range recipe.Builtin() {
		if err := Check(r); err != nil {
			t.Error(err)
		}
		for _, f := range []string{"env", "hosts", "json"} {
			if r.Name == f {
				t.Errorf("%s is the name of a format that is not a recipe's", f)
			}
		}
	}
}

const faulty = `name: faulty
ports: [peer, client]
command: [prog, '{{.Self.Endpoint "peer"}}', '{{args "faulty"}}']
files:
  a.conf: |
    fine
    {{.Self.Endpoint "http"}}
roles:
  - name: seed
    members: 0
    env: {A: '{{nothing}}'}
  - name: late
    members: 7
    ready: |
      {{range .Others}}
      {{.Nam}}
      {{end}}
    files: {a.conf: fine, key.pem: mine}
  - name: last
    members: 9
    files: {a.conf: fine}
    ready: 'prog {{file "faulty"}}'
format: |
  --name={{.Self.Name}}
after-ready: 'prog {{(.Member 4).Name}}'
status: 'prog {{if}}'
client:
  env: {B: '{{.Self.Endpoint 2}}'}
  paste: '{{format "other"}}'
`

// Every fault is told with its line, also that of a role which a run of the usual size does
// not have.
func TestFaults(t *testing.T) {
	r, err := recipe.Parse("faulty.yaml", []byte(faulty))
	if err != nil {
		t.Fatal(err)
	}
	err = Check(r)
	if err == nil {
		t.Fatal("no fault was found")
	}
	got := strings.Split(err.Error(), "\n")
	want := []string{
		`faulty.yaml:24: at <.Self.Name>: nil pointer evaluating *launch.MemberData.Name: 'xlreg get --format' has no .Self`,
		`faulty.yaml:11: function "nothing" not defined`,
		`faulty.yaml:7: at <.Self.Endpoint>: no port is named "http": there are peer, client`,
		`faulty.yaml:18: file "key.pem": key.pem is written by xlreg itself`,
		`faulty.yaml:16: at <.Nam>: can't evaluate field Nam`,
		`faulty.yaml:22: {{file}} is for the member's own command`,
		`faulty.yaml:25: at <.Member>: the cluster has no member 4 yet`,
		`faulty.yaml:26: missing value for if`,
		`faulty.yaml:29: at <format "other">: no format "other": there are faulty, consul`,
		`faulty.yaml:28: at <.Self.Endpoint>: member m0 has 2 endpoints`,
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// Of two items of roles that have one name, both are tried.
func TestFaultsOfRolesOfOneName(t *testing.T) {
	const text = `name: f
roles:
  - {name: data, members: 0, command: [prog]}
  - {name: other, members: 1, command: [prog]}
  - {name: data, members: 2-, command: [prog, '{{.Nothing}}']}
`
	r, err := recipe.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(r); err == nil || !strings.HasPrefix(err.Error(), "f.yaml:5: at <.Nothing>") {
		t.Errorf("%v", err)
	}
}

// A recipe whose system can do without TLS is tried without, too.
func TestFaultsWithoutTLS(t *testing.T) {
	for tls, want := range map[string]string{"[ca, none]": "f.yaml:4: at <.TLS.Cert>: no TLS among the members", "[ca, self]": "", "ca": ""} {
		r, err := recipe.Parse("f.yaml", []byte("name: f\ntls: "+tls+"\ncommand: [prog]\nready: test -e {{.TLS.Cert}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		switch err := Check(r); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("tls: %s: %v, want %q", tls, err, want)
		}
	}
}

// A recipe of one's own has its format in its own templates, and a format that is made of
// itself comes to an end.
func TestOwnFormat(t *testing.T) {
	const text = "name: own\nports: [a, b]\ncommand: [prog, '{{args \"own\"}}', '{{file \"own\"}}']\nformat: |\n  --b={{.Self.Endpoint \"b\"}}\n  %s\n"
	r, err := recipe.Parse("own.yaml", []byte(strings.Replace(text, "%s", "--c", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(r); err == nil || !strings.HasPrefix(err.Error(), "own.yaml:5: at <.Self.Endpoint") {
		t.Errorf("a format that asks for itself as a reader: %v", err)
	}
	f, has, err := Format(r)
	if err != nil || !has {
		t.Fatal(has, err)
	}
	d := launch.Sample(launch.Shape{Size: 2, Endpoints: 2})
	d.AddFormat(f)
	spec, _ := Member(r, 0)
	command, err := launch.ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	x, err := command.Expand(d)
	if err != nil || !slices.Equal(x.Args, []string{"prog", "--b=192.0.2.1:1025", "--c", "/sample/own.conf"}) || x.Made["/sample/own.conf"] != "--b=192.0.2.1:1025\n--c\n" {
		t.Errorf("%+v, %v", x, err)
	}
	for _, again := range []string{`{{format "own"}}`, `{{args "own"}}`, `{{file "own"}}`} {
		r, err := recipe.Parse("own.yaml", []byte(strings.Replace(text, "%s", again, 1)))
		if err != nil {
			t.Fatal(err)
		}
		f, _, err := Format(r)
		if err != nil {
			t.Fatal(err)
		}
		d := launch.Sample(launch.Shape{Size: 2, Endpoints: 2})
		d.AddFormat(f)
		if _, err := d.Format("own"); err == nil || !strings.Contains(err.Error(), "own.yaml:6: ") || !strings.Contains(err.Error(), "a format cannot be made of formats") {
			t.Errorf("%s: %v", again, err)
		}
	}
}

// If others reach a member at other ports than its own, its program is told its own.
func TestListen(t *testing.T) {
	// These programs listen where they tell others to connect: they cannot be told otherwise, or
	// they read it from the roster.
	same := map[string][]string{
		"erlang": {"epmd"}, "rabbitmq": {"epmd"}, "galera": {"sst"}, "torchrun": {"master"},
		"zookeeper": {"quorum", "election"}, "raftkv": {"raft", "http"},
	}
	for _, r := range recipe.Builtin() {
		d := launch.Sample(launch.Shape{Size: r.Members, Endpoints: max(len(r.Ports), 1), PortNames: r.PortNames(), NoTLS: r.TLS == recipe.TLSNone})
		for i := range r.Ports {
			d.Listen = append(d.Listen, launch.Endpoint(fmt.Sprintf("10.0.0.7:%d", 9001+i)))
		}
		spec, _ := Member(r, 0)
		command, err := launch.ParseSpec(spec)
		if err != nil {
			t.Fatal(err)
		}
		x, err := command.Expand(d)
		if err != nil {
			t.Fatal(err)
		}
		told := strings.Join(slices.Concat(x.Args, x.Env, slices.Collect(maps.Values(x.Made))), "\n")
		for i, p := range r.Ports {
			if !strings.Contains(told, fmt.Sprint(9001+i)) && !slices.Contains(same[r.Name], p.Name) {
				t.Errorf("%s is not told where to listen for %s", r.Name, p.Name)
			}
		}
	}
}
