package examples

import (
	"errors"
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
