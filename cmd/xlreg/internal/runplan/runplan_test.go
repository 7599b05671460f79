package runplan

import (
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/launch"
)

// system is a recipe with two roles.
func system(t *testing.T) *recipe.Recipe {
	t.Helper()
	r, err := recipe.Parse("sys.yaml", []byte(`name: sys
about: a system
command: [sh, '{{.Self.Name}}']
ports: [peer, client]
ready: tcp
env: {WHO: recipe}
roles:
  - {name: boss, members: 0, ready: 'true'}
  - {name: worker, members: 1-, command: [work]}
`))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustMake(t *testing.T, f *Flags) *Plan {
	t.Helper()
	p, err := Make(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func argsOf(t *testing.T, p *Plan, i int) []string {
	t.Helper()
	x, err := p.Members[i].Command.Expand(p.sample(i))
	if err != nil {
		t.Fatal(err)
	}
	return x.Args
}

func TestFlagsWinOverTheRecipe(t *testing.T) {
	f := &Flags{
		Recipe: system(t), Members: 4, Size: 4, Command: []string{"more"}, Env: []string{"WHO=flag"},
		Role: []string{"3=boss"}, Member: []string{"1:echo one"},
	}
	p := mustMake(t, f)
	for i, want := range []string{"sh m0 more", "sh -c echo one", "work more", "sh m3 more"} {
		if got := strings.Join(argsOf(t, p, i), " "); got != want {
			t.Errorf("member %d: %q, want %q", i, got, want)
		}
	}
	var roles []string
	for _, m := range p.Members {
		roles = append(roles, m.Role)
	}
	if !slices.Equal(roles, []string{"boss", "worker", "worker", "boss"}) {
		t.Errorf("roles %q", roles)
	}
	if p.Members[0] != p.Members[3] || p.Members[0].Ready.Kind != recipe.ReadyCommand || p.Members[2].Ready.Kind != recipe.ReadyTCP {
		t.Errorf("readies %+v and %+v", p.Members[0].Ready, p.Members[2].Ready)
	}
	x, err := p.Members[2].Command.Expand(p.sample(2))
	if err != nil || !slices.Contains(x.Env, "WHO=flag") || len(x.Env) != 1 {
		t.Errorf("%q, %v", x.Env, err)
	}
	if p.TLS != recipe.TLSSelf || !slices.Equal(p.Ports.Names(), []string{"peer", "client"}) {
		t.Errorf("TLS %q, ports %q", p.TLS, p.Ports.Names())
	}
}

// A kind of TLS with which the system does not work is refused, and not tried.
func TestKindsOfTLS(t *testing.T) {
	r := system(t)
	r.TLS, r.TLSOnly = recipe.TLSCA, []string{recipe.TLSCA, recipe.TLSNone}
	for given, want := range map[string]string{"": recipe.TLSCA, recipe.TLSNone: recipe.TLSNone} {
		if p := mustMake(t, &Flags{Recipe: r, Members: 2, Size: 2, TLS: given}); p.TLS != want {
			t.Errorf("--tls %q: %q", given, p.TLS)
		}
	}
	const want = "--tls self: sys works with --tls ca or --tls none"
	if _, err := Make(&Flags{Recipe: r, Members: 2, Size: 2, TLS: recipe.TLSSelf}); err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

// Members that are told the same are one, however many there are.
func TestMembersShareWhatTheyAreTold(t *testing.T) {
	p := mustMake(t, &Flags{Recipe: system(t), Members: 1024, Size: 1024})
	if p.Members[1] != p.Members[1023] || p.Members[0] == p.Members[1] {
		t.Error("the workers are not one, or the boss is one of them")
	}
}

func TestReadySays(t *testing.T) {
	d := launch.Sample(launch.Shape{Size: 2, Endpoints: 2, PortNames: []string{"client", "peer"}})
	own := d.Self.Endpoints
	for spec, want := range map[string]string{
		"tcp": string(own[0]) + " ", "tcp:peer": string(own[1]) + " ", "tcp:1": string(own[1]) + " ",
		"http:/a/{{.Self.Index}}": string(own[0]) + " /a/0", "https:peer/": string(own[1]) + " /", "test {{.Self.Name}}": " test m0",
		"tcpdump": " tcpdump", "httpget x": " httpget x",
	} {
		r, err := parseReady(launch.Text{Where: "--ready", Text: spec})
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		addr, text, err := r.Where(d)
		if got := string(addr) + " " + text; got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", spec, got, err, want)
		}
	}
	for _, spec := range []string{"tcp:", "tcp:a b", "http", "https:", "http://x/", "https:a b/", "{{", "http:peer"} {
		if r, err := parseReady(launch.Text{Where: "--ready", Text: spec}); err == nil {
			t.Errorf("%q is read as %+v", spec, r)
		}
	}
}

func TestAddresses(t *testing.T) {
	based := mustMake(t, &Flags{Command: []string{"x"}, Members: 3, Size: 3, Ports: "a,b", PortBase: 4000})
	if got := based.Ports.Addresses(2); !slices.Equal(got, []string{"127.0.0.1:4004", "127.0.0.1:4005"}) {
		t.Errorf("%q", got)
	}
	each := mustMake(t, &Flags{Command: []string{"x"}, Members: 300, Size: 300, Ports: "http=80,x", Address: "127.0.0.N"})
	if got := each.Ports.Addresses(299); !slices.Equal(got, []string{"127.0.1.45:80", "127.0.1.45:0"}) {
		t.Errorf("%q", got)
	}
}
