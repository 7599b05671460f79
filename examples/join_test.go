package examples

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

// The same command on three machines, two of them containers whose names are no names
// for us and one that has none at all, is three members.
func TestOneCommandOnManyMachines(t *testing.T) {
	p := &page{network: newNetwork(t, "db1", "3f2a9c1b77de", "9d00aa11bb22", "localhost", "registry")}
	t.Cleanup(p.stop)
	p.serve(t)
	script := "xlreg join web --create --size 3 --registry regCred.dat --node /var/lib/node --endpoint eth0:7001 --wait 60s -o json"
	out := make(map[string]*output)
	for _, name := range []string{"3f2a9c1b77de", "9d00aa11bb22", "localhost"} {
		out[name] = p.start(t, name, script)
	}
	p.wait(t)
	for name, printed := range out {
		var roster struct {
			Members []struct {
				Name      string
				Endpoints []xlreg.Endpoint
			}
		}
		if err := json.Unmarshal([]byte(printed.String()), &roster); err != nil || len(roster.Members) != 3 {
			t.Fatalf("%s: %v, %s", name, err, printed)
		}
		seen := make(map[string]bool)
		for _, m := range roster.Members {
			seen[regexp.MustCompile(`-[0-9a-f]{6}$`).ReplaceAllString(m.Name, "")+" "+string(m.Endpoints[0])] = true
		}
		for _, want := range []string{"h-3f2a9c1b77de 192.0.2.2:7001", "h-9d00aa11bb22 192.0.2.3:7001", "localhost 192.0.2.4:7001"} {
			if !seen[want] {
				t.Errorf("%s: %s is not among %v", name, want, seen)
			}
		}
	}
	// Without --node a machine's own name is enough, unless it is everyone's.
	for name, want := range map[string]string{"db1": `^name +db1\n`, "localhost": `^name +localhost-[0-9a-f]{6}\n`} {
		out := p.start(t, name, "xlreg create own --size 2 --registry regCred.dat >/dev/null && xlreg node show .config/xlreg/node")
		p.wait(t)
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// Addresses that are no use to others are told, as the registry is elsewhere.
func TestAddressesForOthers(t *testing.T) {
	p := &page{network: newNetwork(t, "db1", "registry")}
	t.Cleanup(p.stop)
	p.serve(t)
	join := "xlreg join web --create --size 4 --registry regCred.dat --node n --endpoint "
	for endpoint, want := range map[string]string{
		"127.0.0.1:7001": "xlreg: warning: 127.0.0.1:7001 is this machine's own loopback, and the registry is elsewhere: members on other machines cannot reach it; --endpoint :7001 takes",
		"localhost:7001": "xlreg: warning: localhost:7001 is this machine's own loopback",
		"[fe80::1]:7001": "xlreg: warning: [fe80::1]:7001 is a link-local address",
		":7001":          " 192.0.2.1:7001 ",
		"eth0:7001":      " 192.0.2.1:7001 ",
	} {
		out := p.start(t, "db1", join+endpoint)
		p.wait(t)
		if text := out.String(); !strings.Contains(text, want) || strings.Contains(want, "warning") != strings.Contains(text, "warning") {
			t.Errorf("%s: %s", endpoint, text)
		}
	}
}

// A machine's own name that the servers of names do not know yet is tried until they do.
func TestOwnNameThatComesLater(t *testing.T) {
	p := &page{network: newNetwork(t, "db1", "registry")}
	t.Cleanup(p.stop)
	p.serve(t)
	out := p.start(t, "db1", "xlreg join web --create --size 2 --registry regCred.dat --node n --endpoint late.example:7001 --wait 60s -- echo 'on {{listen 0}}'")
	until(t, "wait", func() error {
		if !strings.Contains(out.String(), "waiting for the members of web") {
			return errors.New("not said yet")
		}
		return nil
	})
	hosts, err := os.ReadFile(p.hosts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.hosts, append(hosts, "192.0.2.1 late.example\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	other := p.start(t, "registry", "xlreg join web --create --size 2 --registry regCred.dat --node n --endpoint :7001 --wait 60s")
	p.wait(t)
	if !strings.Contains(out.String(), "on 0.0.0.0:7001\n") || !strings.Contains(other.String(), " late.example:7001 ") {
		t.Errorf("%s\n%s", out, other)
	}
}

// serve starts a registry, and gives its credentials to all machines.
func (p *page) serve(t *testing.T) {
	t.Helper()
	s := &session{block: &block{at: "registry"}, machine: "registry", cmd: p.machines["registry"].shell(t, "exec xlreg serve --data /var/lib/xlreg"), out: new(output)}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	p.stay(t, s)
	until(t, "registry", func() error { return s.has("registry is open") })
	data, err := os.ReadFile(filepath.Join(p.machines["registry"].dir, "lib", "xlreg", "regCred.dat"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range p.machines {
		if err := os.WriteFile(filepath.Join(m.dir, "home", "regCred.dat"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// start starts a script on a machine, and returns what it writes.
func (p *page) start(t *testing.T, name, script string) *output {
	t.Helper()
	s := &session{block: &block{at: name}, cmd: p.machines[name].shell(t, script), out: new(output)}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.running = append(p.running, s)
	return s.out
}

// wait waits for all that was started.
func (p *page) wait(t *testing.T) {
	t.Helper()
	for _, s := range p.running {
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", s.at, err, s.out)
		}
	}
	p.running = nil
}
