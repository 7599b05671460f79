package launch

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

var update = flag.Bool("update", false, "write the golden files anew")

// exampleRoster is the roster of example.
func exampleRoster(d *Data) *client.Roster {
	r := &client.Roster{Cluster: xlreg.Cluster{
		ID: xlreg.ClusterID(strings.Repeat("\xab", 32)), Name: "web", MaxSize: 3, EndpointCount: 2,
	}}
	for i, m := range d.Members {
		token := xlreg.Token{
			Name: xlreg.Name(m.Name), ID: xlreg.NodeID(strings.Repeat(string(rune(0x11*i)), 32)),
			CommsKey: "a key in DER", SigKey: "another key in DER", Endpoints: m.Endpoints, Seat: xlreg.SeatState{Joined: time.Unix(0, 0)},
		}
		r.Members = append(r.Members, client.Member{Member: xlreg.Member{Index: i, Token: token}, Verified: i != 2})
	}
	return r
}

// Each format has a golden file for a member, and one for a reader. Without -update
// a format without golden files is one without a test.
func TestFormats(t *testing.T) {
	for _, f := range Formats() {
		for who, d := range map[string]*Data{"member": example(), "reader": example()} {
			d.setRoster(exampleRoster(d))
			if who == "reader" {
				d.Self, d.Dir = nil, ""
			}
			got, err := d.Format(f.Name)
			if who == "reader" && f.Name == "env" {
				if !errors.Is(err, ErrNoSelf) {
					t.Errorf("env for a reader: %v", err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s for a %s: %v", f.Name, who, err)
				continue
			}
			golden := filepath.Join("testdata", f.Name+"."+who)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s for a %s:\n%s\nwant\n%s", f.Name, who, got, want)
			}
			if !strings.HasSuffix(got, "\n") || f.About == "" {
				t.Errorf("%s: no newline at the end, or no description", f.Name)
			}
		}
	}
}

func TestFormatsThatNeedMore(t *testing.T) {
	for name, change := range map[string]func(*Data){
		"no endpoint":   func(d *Data) { d.Members[0].Endpoints = nil },
		"one endpoint":  func(d *Data) { d.Self.Endpoints = d.Self.Endpoints[:1] },
		"no own":        func(d *Data) { d.Self.Endpoints = nil },
		"not verified":  func(d *Data) { d.unverified = []xlreg.Name{"c"} },
		"nobody is yet": func(d *Data) { d.Members = nil },
	} {
		failed := map[string]bool{}
		for _, f := range Formats() {
			d := example()
			d.setRoster(exampleRoster(d))
			change(d)
			if _, err := d.Format(f.Name); err != nil {
				failed[f.Name] = true
			}
		}
		want := map[string]string{
			"no endpoint": "consul etcd hosts nats torchrun", "one endpoint": "etcd nats", "no own": "consul etcd hosts nats",
			"not verified": "etcd nats", "nobody is yet": "torchrun",
		}[name]
		for _, f := range FormatNames() {
			if failed[f] != strings.Contains(want, f) {
				t.Errorf("%s: %s failed: %v", name, f, failed[f])
			}
		}
	}
	if names := namesOf(Formats()); !slices.Equal(names, FormatNames()) {
		t.Errorf("formats %q have the names %q", names, FormatNames())
	}
	if err := CheckFormat("etc"); err == nil || !strings.Contains(err.Error(), "torchrun") {
		t.Error(err)
	}
	if err := CheckFormat("etcd"); err != nil {
		t.Error(err)
	}
}

// A format that nobody made is an error.
func TestFormatOfNoTemplate(t *testing.T) {
	d := example()
	d.AddFormat(Format{Name: "empty"})
	if _, err := d.Format("empty"); err == nil || !strings.Contains(err.Error(), "NewFormat") {
		t.Error(err)
	}
}

// A member that calls itself as a host is called gets that host's connections, unless
// its name is written below the cluster's.
func TestHostsOfOthersAreNotRenamed(t *testing.T) {
	for name, want := range map[string]string{
		"m0": "m0", "node-1": "node-1", "github.com": "github.com.web", "a.b": "a.b.web",
		"localhost": "localhost.web", "LocalHost": "LocalHost.web", "ip6-localhost": "ip6-localhost.web", "ip6-loopback": "ip6-loopback.web",
	} {
		d := example()
		d.Members[0].Name = name
		got, err := d.Format("hosts")
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(got, "\n")
		if fields := strings.Fields(first); fields[len(fields)-1] != want {
			t.Errorf("%q is written as %q, want %s", name, first, want)
		}
	}
}

// A shell reads what the format env writes, whatever a directory is called.
func TestEnvFormatInAShell(t *testing.T) {
	d := example()
	d.Dir = `/it's "here" $HOME`
	text, err := d.Format("env")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", text+`printf %s "$XLREG_TLS_KEY"`).Output()
	if err != nil || string(out) != d.Dir+"/key.pem" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestQuote(t *testing.T) {
	cases := map[string]string{
		"":               "''",
		"./xlreg":        "./xlreg",
		"/opt/x-1.0/bin": "/opt/x-1.0/bin",
		"./my tools/x":   "'./my tools/x'",
		"./it's":         `'./it'\''s'`,
		"./$x":           "'./$x'",
	}
	for s, want := range cases {
		if got := Quote(s); got != want {
			t.Errorf("Quote(%q) = %s, want %s", s, got, want)
		}
	}
}
