package launch

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

// example is a cluster of three, as its second member sees it: one address is a
// name, and one is IPv6.
func example() *Data {
	d := &Data{
		Cluster:  ClusterData{Name: "web", ID: strings.Repeat("ab", 32), Size: 3},
		Dir:      "/run/web",
		Registry: "xlreg://192.0.2.9:56789/?sig=x",
		Members: []*MemberData{
			{Index: 0, Name: "a", ID: strings.Repeat("00", 32), Endpoints: []Endpoint{"192.0.2.1:4000", "192.0.2.1:4001"}, SigFingerprint: "SHA256:A", Verified: true},
			{Index: 1, Name: "b", ID: strings.Repeat("11", 32), Endpoints: []Endpoint{"b.example:4000", "b.example:4001"}, SigFingerprint: "SHA256:B", Verified: true},
			{Index: 2, Name: "c", ID: strings.Repeat("22", 32), Endpoints: []Endpoint{"[2001:db8::3]:4000", "[2001:db8::3]:4001"}, SigFingerprint: "SHA256:C", Verified: true},
		},
	}
	for _, m := range d.Members {
		m.cluster = d
	}
	d.Self = d.Members[1]
	return d
}

func TestExpand(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", "plain"},
		{"", ""},
		{"{{.Self.Name}} {{.Self.Index}}", "b 1"},
		{"{{(index .Self.Endpoints 0).Port}} {{(index .Self.Endpoints 1).Host}}", "4000 b.example"},
		{"{{.Self.Endpoint 1}}", "b.example:4001"},
		{"{{len .Members}} of {{.Cluster.Size}} in {{.Cluster.Name}}", "3 of 3 in web"},
		{"{{range .Members}}{{.Name}}={{.Endpoint 0}};{{end}}", "a=192.0.2.1:4000;b=b.example:4000;c=[2001:db8::3]:4000;"},
		{"{{range .Others}}{{.Index}}{{end}}", "02"},
		{`{{join .Members ","}}`, "a,b,c"},
		{`{{join .Others " "}}`, "a c"},
		{`{{join (endpoints 1) ","}}`, "192.0.2.1:4001,b.example:4001,[2001:db8::3]:4001"},
		{`{{join .Self.Endpoints "+"}}`, "b.example:4000+b.example:4001"},
		{"{{(index .Members 2).SigFingerprint}}", "SHA256:C"},
		{"{{(index (index .Members 2).Endpoints 0).Host}}", "2001:db8::3"},
		{"{{.Dir}} {{.TLS.Cert}} {{.TLS.Key}} {{.TLS.Peers}}", "/run/web /run/web/cert.pem /run/web/key.pem /run/web/peers.pem"},
		{"{{.Roster}}", "/run/web/roster.json"},
		{"{{.Registry}}", "xlreg://192.0.2.9:56789/?sig=x"},
		{`{{format "torchrun"}}`, "MASTER_ADDR=192.0.2.1\nMASTER_PORT=4000\nWORLD_SIZE=3\nRANK=1"},
		{`{{file "hosts"}}`, "/run/web/hosts.conf"},
	} {
		command, err := ParseCommand([]string{"program", c.text}, nil)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		x, err := command.Expand(example())
		if err != nil || !slices.Equal(x.Args, []string{"program", c.want}) {
			t.Errorf("%s: %q, %v, want %q", c.text, x, err, c.want)
		}
	}
}

func TestArgsBecomeSeveral(t *testing.T) {
	command, err := ParseCommand([]string{"env", `{{args "torchrun"}}`, "", `{{file "hosts"}}`}, []string{"A={{.Self.Name}}=b", `B={{args "torchrun"}}`})
	if err != nil {
		t.Fatal(err)
	}
	x, err := command.Expand(example())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"env", "MASTER_ADDR=192.0.2.1", "MASTER_PORT=4000", "WORLD_SIZE=3", "RANK=1", "", "/run/web/hosts.conf"}
	if !slices.Equal(x.Args, want) {
		t.Errorf("arguments %q, want %q", x.Args, want)
	}
	if want := []string{"A=b=b", "B=MASTER_ADDR=192.0.2.1 MASTER_PORT=4000 WORLD_SIZE=3 RANK=1 "}; !slices.Equal(x.Env, want) {
		t.Errorf("environment %q, want %q", x.Env, want)
	}
	if len(x.Made) != 1 || !strings.Contains(x.Made["/run/web/hosts.conf"], "192.0.2.1\ta\n") {
		t.Errorf("files %q", x.Made)
	}
}

// Every error says which argument is meant, and what is wrong with it.
func TestTemplateErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"{{.Self.Name", `argument 1 "{{.Self.Name": unclosed action`},
		{"{{nothing}}", `function "nothing" not defined`},
		{"{{.Self.Nam}}", `argument 1 "{{.Self.Nam}}": at <.Self.Nam>: can't evaluate field Nam of a member`},
		{"{{.Cluster.Nam}}", `can't evaluate field Nam of the cluster`},
		{"{{.TLS.Nam}}", `can't evaluate field Nam of the TLS files`},
		{"{{(.Self.Endpoint 0).Nam}}", `can't evaluate field Nam of an endpoint`},
		{"{{.Nothing}}", `can't evaluate field Nothing`},
		{"{{(index .Self.Endpoints 2).Port}}", "<index .Self.Endpoints 2>"},
		{"{{.Self.Endpoint 2}}", "member m0 has 2 endpoints, and none of index 2: reserve more with --ports"},
		{"{{endpoints 7}}", "none of index 7"},
		{"{{(index .Members 3).Name}}", "<index .Members 3>"},
		{`{{format "etc"}}`, `no format "etc": there are `},
		{`{{args "etc"}}`, `no format "etc"`},
		{`{{file "etc"}}`, `no format "etc"`},
		{`{{join .Self ","}}`, "is no list"},
		{"a\x00b", "has a zero byte"},
	} {
		err := tryOut([]string{"program", c.text}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "argument 1") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
	for _, c := range []struct{ env, want string }{
		{"NAME", `variable "NAME": want NAME=VALUE`},
		{"=x", `variable "=x": want NAME=VALUE`},
		{"A={{", "variable A"},
		{"A={{.No}}", "variable A"},
	} {
		err := tryOut([]string{"program"}, []string{c.env})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.env, err, c.want)
		}
	}
	for _, args := range [][]string{nil, {""}, {"{{if false}}x{{end}}"}} {
		if err := tryOut(args, nil); err == nil || !strings.Contains(err.Error(), "no command") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// tryOut does with a command what is done before anything starts.
func tryOut(args, env []string) error {
	command, err := ParseCommand(args, env)
	if err == nil {
		_, err = command.Expand(Sample(Shape{Size: 3, Endpoints: 2}))
	}
	return err
}

// What is not known before there is a cluster fails no template.
func TestSampleOfTheUnknown(t *testing.T) {
	command, err := ParseCommand([]string{"program", "{{(index (index .Members 63).Endpoints 15).Port}} {{.TLS.Cert}}{{.Registry}}"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := command.Expand(Sample(Shape{})); err != nil {
		t.Error(err)
	}
	d := Sample(Shape{Own: 1})
	if len(d.Self.Endpoints) != 1 || len(d.Members[1].Endpoints) != xlreg.MaxEndpoints {
		t.Errorf("endpoints %v and %v", d.Self.Endpoints, d.Members[1].Endpoints)
	}
	for _, f := range Formats() {
		if _, err := Sample(Shape{}).Format(f.Name); err != nil {
			t.Error(err)
		}
	}
}

func TestProgramName(t *testing.T) {
	for text, known := range map[string]bool{"etcd": true, "{{.Dir}}/x": false} {
		c, err := ParseCommand([]string{text}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Program(); got != text || ok != known {
			t.Errorf("%s: %q, %v", text, got, ok)
		}
	}
}

func TestEnvironment(t *testing.T) {
	d := example()
	d.Dir = "/it's here"
	d.PortNames = []string{"peer-1"}
	d.Self.Labels = map[string]string{"role": "db"}
	d.Members[2].Endpoints = append(d.Members[2].Endpoints, "192.0.2.3:1") // nobody else has a third one
	want := []string{
		"XLREG_CLUSTER=web", "XLREG_SELF=b", "XLREG_INDEX=1", "XLREG_SIZE=3", "XLREG_ROSTER=/it's here/roster.json",
		"XLREG_ROLE=db", "XLREG_ENDPOINTS=b.example:4000,b.example:4001",
		"XLREG_ENDPOINT_PEER_1=b.example:4000", "XLREG_ENDPOINT_1=b.example:4001",
		"XLREG_ENDPOINTS_PEER_1=192.0.2.1:4000,b.example:4000,[2001:db8::3]:4000",
		"XLREG_ENDPOINTS_1=192.0.2.1:4001,b.example:4001,[2001:db8::3]:4001",
		"XLREG_TLS_CERT=/it's here/cert.pem", "XLREG_TLS_KEY=/it's here/key.pem", "XLREG_TLS_PEERS=/it's here/peers.pem",
	}
	env, err := d.Environment()
	if err != nil || !slices.Equal(env, want) {
		t.Errorf("%q, %v, want %q", env, err, want)
	}
	for _, line := range want {
		if name, _, _ := strings.Cut(line, "="); !IsEnvName(name) {
			t.Errorf("%s is none of ours", name)
		}
	}
	if IsEnvName("XLREG_") || IsEnvName("XLREG_SELF"+"_X") {
		t.Error("any name is one of ours")
	}
	d.unverified = []xlreg.Name{"c"}
	if env, err := d.Environment(); err != nil || !slices.Equal(env, want[:11]) {
		t.Errorf("without certificates of all: %q, %v", env, err)
	}
	if _, err := d.TLS(); err == nil || !strings.Contains(err.Error(), "[c]") {
		t.Errorf("TLS without the certificate of c: %v", err)
	}
	d.unverified, d.NoTLS, d.Self.Labels = nil, true, nil
	if env, err := d.Environment(); err != nil || !slices.Equal(env, slices.Delete(want, 5, 6)[:10]) {
		t.Errorf("where nobody wants TLS: %q, %v", env, err)
	}
	if _, err := d.TLS(); !errors.Is(err, ErrNoTLS) {
		t.Errorf("TLS where nobody wants it: %v", err)
	}
}
