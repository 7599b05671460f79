package examples

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fleet is three machines, db1 to db3, each of which joins a cluster by a recipe, and one
// with the registry.
type fleet struct{ *page }

// newFleet makes the machines. They have a secret and an authority in common.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{&page{network: newNetwork(t, "db1", "db2", "db3", "registry")}}
	t.Cleanup(f.stop)
	f.serve(t)
	authority := filepath.Join(t.TempDir(), "authority.pem")
	made := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-addext", "keyUsage=critical,keyCertSign", "-subj", "/CN=authority", "-keyout", authority, "-out", authority)
	if out, err := made.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pem, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range f.machines {
		if err := os.WriteFile(filepath.Join(m.dir, "home", "authority.pem"), pem, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, "home", "secret"), []byte(strings.Repeat("5a", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// join starts the same command on all three, and returns what they write.
func (f *fleet) join(t *testing.T, recipe, endpoints, more string) []*session {
	t.Helper()
	var all []*session
	for _, name := range []string{"db1", "db2", "db3"} {
		all = append(all, f.member(t, name, fmt.Sprintf(
			"exec xlreg join %s-prod --create --size 3 --registry regCred.dat --node /var/lib/%[1]s --recipe %[1]s --endpoint %s --secret-file secret %s",
			recipe, endpoints, more)))
	}
	return all
}

// as runs a command of a machine's user until it works, and returns what it writes. $d is
// the member's directory.
func (f *fleet) as(t *testing.T, name, recipe, command string) string {
	t.Helper()
	var out []byte
	until(t, name+": "+command, func() (err error) {
		out, err = f.machines[name].shell(t, fmt.Sprintf("d=/var/lib/%[1]s/clusters/%[1]s-prod; %s", recipe, command)).CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	})
	return string(out)
}

// Machines that are given the same recipe form one system, and one of them sets it up.
func TestRecipesOnMachines(t *testing.T) {
	f := newFleet(t)
	f.join(t, "etcd", ":2380,:2379", "")
	redis := f.join(t, "redis", ":7000,:17000", "")
	f.join(t, "nats", ":6222,:4222,:8222", "")
	f.join(t, "rabbitmq", ":5671,:25672,:4369", "--authority authority.pem")

	etcdctl := "ETCDCTL_API=3 etcdctl --cacert $d/peers.pem --cert $d/cert.pem --key $d/key.pem --endpoints https://192.0.2.%d:2379 "
	f.as(t, "db1", "etcd", fmt.Sprintf(etcdctl, 1)+"put k v")
	if got := f.as(t, "db3", "etcd", fmt.Sprintf(etcdctl, 3)+"get --print-value-only k"); strings.TrimSpace(got) != "v" {
		t.Errorf("etcd: %q", got)
	}

	cli := "redis-cli -e -c --tls --cacert $d/peers.pem --cert $d/cert.pem --key $d/key.pem -h 192.0.2.%d -p 7000 "
	f.as(t, "db2", "redis", fmt.Sprintf(cli, 2)+"cluster info | grep cluster_state:ok")
	f.as(t, "db2", "redis", fmt.Sprintf(cli, 2)+"set k v")
	if got := f.as(t, "db1", "redis", fmt.Sprintf(cli, 1)+"get k"); strings.TrimSpace(got) != "v" {
		t.Errorf("redis: %q", got)
	}
	made := 0
	for _, s := range redis {
		if _, err := os.Stat(filepath.Join(f.machines[s.machine].dir, "lib", "redis", "clusters", "redis-prod", "redis", "create.log")); err == nil {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d machines have made the Redis cluster", made)
	}

	f.as(t, "db3", "nats", "curl -fsS --cacert $d/peers.pem --cert $d/cert.pem --key $d/key.pem https://192.0.2.3:8222/healthz")
	f.as(t, "db2", "rabbitmq", "sh $d/rabbitmq/env rabbitmqctl -q await_online_nodes --timeout 5 3")
}

// A machine can have several addresses. The others know the member by one of them, and it connects
// to them from another one.
func TestAMemberThatCallsFromAnotherAddress(t *testing.T) {
	f := newFleet(t)
	f.machines["db3"].printed(t, "ip addr add 192.0.2.103/24 dev eth0")
	for name, host := range map[string]string{"db1": "", "db2": "", "db3": "192.0.2.103"} {
		f.member(t, name, fmt.Sprintf(
			"exec xlreg join etcd-prod --create --size 3 --registry regCred.dat --node /var/lib/etcd --recipe etcd --endpoint %s:2380,%[1]s:2379", host))
	}
	etcdctl := "ETCDCTL_API=3 etcdctl --cacert $d/peers.pem --cert $d/cert.pem --key $d/key.pem --endpoints https://192.0.2.103:2379 "
	f.as(t, "db3", "etcd", etcdctl+"endpoint health")
}

// Runs on several machines share a cluster, in which each member has a port of its own at the
// address of its machine.
func TestRunsOnMachinesShareACluster(t *testing.T) {
	f := newFleet(t)
	run := "exec xlreg run etcd -n %d --size 3 --cluster shared --registry regCred.dat --prefix %s --dir /var/lib/etcd "
	f.member(t, "db1", fmt.Sprintf(run, 2, "a")+"--address eth0")
	out := f.machines["db2"].printed(t, fmt.Sprintf(run, 1, "b")+"--address eth0 --then 'etcdctl endpoint health' 2>&1")
	if got := strings.Count(out, " is healthy"); got != 3 {
		t.Errorf("%d are healthy:\n%s", got, out)
	}
	alone := f.member(t, "db3", fmt.Sprintf(run, 1, "c")+"--wait 1s")
	until(t, "the warning", func() error { return alone.has("xlreg: warning: 127.0.0.1:") })
}
