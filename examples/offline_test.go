package examples

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A member of a real etcd cluster restarts while the registry's machine is off: it comes back
// by the roster on its disk, with mutual TLS, and takes part. When the registry is back, it
// follows it again.
func TestEtcdRestartsWithoutTheRegistry(t *testing.T) {
	p := &page{network: newNetwork(t, "db1", "db2", "db3", "registry")}
	t.Cleanup(p.stop)
	p.serve(t)
	join := "exec xlreg join prod --create --size 3 --registry regCred.dat --node /var/lib/node --endpoint :2380 --endpoint :2379 "
	for _, name := range []string{"db1", "db2", "db3"} {
		p.member(t, name, join+`--wait 60s -- etcd '{{args "etcd"}}' --data-dir /var/lib/etcd`)
	}
	p.etcdctl(t, "put before 1")
	p.stopOn(t, "registry")
	p.stopOn(t, "db2")
	again := p.member(t, "db2", join+`--offline -- etcd '{{args "etcd"}}' --data-dir /var/lib/etcd`)
	p.etcdctl(t, "put after 2")
	p.etcdctl(t, "endpoint health --cluster")
	if text := again.out.String(); !strings.Contains(text, "the registry is not asked: starting from the roster of 20") {
		t.Error(text)
	}
	p.serve(t)
	until(t, "the registry's return", func() error { return again.has("xlreg: the registry is back, and db2") })
}

// A member restarts on a machine without a network, because it has just booted for instance, and
// so without an address that faces the registry. It starts from its roster all the same.
func TestAMemberRestartsWithoutARoute(t *testing.T) {
	p := &page{network: newNetwork(t, "web1", "registry")}
	t.Cleanup(p.stop)
	p.serve(t)
	web1 := p.machines["web1"]
	join := "xlreg join one --create --size 2 --registry regCred.dat --node %s --endpoint :2380 --offline-after 2s "
	web1.printed(t, fmt.Sprintf(join, "other")+"; "+fmt.Sprintf(join, "node")+"-- true")
	web1.printed(t, "ip link set eth0 down")
	out := web1.printed(t, fmt.Sprintf(join, "node")+"-- echo 'at {{.Self.Endpoint 0}}'")
	for _, want := range []string{"at 192.0.2.1:2380", "warning: the registry cannot be reached for 2s: starting from the roster of 20"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
}

// A member that has never joined waits for its network, too, as long as for the others.
func TestAMemberWaitsForARoute(t *testing.T) {
	p := &page{network: newNetwork(t, "web1", "registry")}
	t.Cleanup(p.stop)
	p.serve(t)
	web1 := p.machines["web1"]
	web1.printed(t, "ip link set eth0 down")
	join := "xlreg join one --create --size 2 --registry regCred.dat --node %s --endpoint :2380 --wait %s "
	out := web1.printed(t, fmt.Sprintf(join, "node", "1s")+"-- true || echo status $?")
	for _, want := range []string{"no route to the registry yet: trying again for 1s", "no way to the registry", "status 3"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	first := p.member(t, "web1", fmt.Sprintf(join, "node", "1m")+"-- echo 'at {{.Self.Endpoint 0}}'")
	until(t, "the wait for a route", func() error { return first.has("no route to the registry yet: trying again for 1m0s") })
	web1.printed(t, "ip link set eth0 up; "+fmt.Sprintf(join, "other", "1m"))
	until(t, "the program", func() error { return first.has("at 192.0.2.1:2380") })
}

// printed runs a script on the machine to its end, and returns what it prints.
func (m *machine) printed(t *testing.T, script string) string {
	t.Helper()
	out, err := m.shell(t, script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// member starts a program that stays on a machine.
func (p *page) member(t *testing.T, name, script string) *session {
	t.Helper()
	s := &session{block: &block{at: name}, machine: name, cmd: p.machines[name].shell(t, script), out: new(output)}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	p.stay(t, s)
	return s
}

// etcdctl tries a command until it works, as db2 and with its files.
func (p *page) etcdctl(t *testing.T, command string) {
	t.Helper()
	files := "d=/var/lib/node/clusters/prod; ETCDCTL_API=3 etcdctl --endpoints https://192.0.2.2:2379 --cacert $d/peers.pem --cert $d/cert.pem --key $d/key.pem "
	until(t, command, func() error {
		out, err := p.machines["db2"].shell(t, files+command).CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	})
}
