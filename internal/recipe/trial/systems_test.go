package trial

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// system is what is tried of a recipe. Commands are for sh, with a member's environment.
type system struct {
	name     string
	programs []string           // that have to be there
	mutual   map[string]prelude // the ports that have mutual TLS
	put      string             // writes something
	get      string             // prints 'kept' if that is there
	alive    string             // prints 'alive' if the others go on without m2
}

// try brings the cluster up three times in one directory: to ask whether it is whole, to
// write, and to read what was written, refuse strangers and lose a member.
func (s *system) try(t *testing.T, refuse ...func(*cluster)) {
	c := newCluster(t, s.name, s.programs...)
	c.whole()
	if s.put != "" {
		c.start()
		if out, err := c.as("m0", s.put); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		c.stop()
	}
	c.start()
	if s.get != "" {
		c.await("m1", s.get, "kept")
	}
	for port, begin := range s.mutual {
		c.refusesStrangers(port, begin)
	}
	for _, f := range refuse {
		f(c)
	}
	c.must("kill", "m2", "--dir", c.dir)
	c.await("m1", s.alive, "alive")
	if out := c.must("ps", "--dir", c.dir); strings.Count(out, "ready") != 2 || strings.Count(out, "ended") != 1 {
		t.Errorf("after the death of m2:\n%s", out)
	}
	c.stop()
}

func TestEtcd(t *testing.T) {
	(&system{
		name: "etcd", programs: []string{"etcd", "etcdctl"},
		mutual: map[string]prelude{"peer": nothing, "client": nothing},
		put:    "etcdctl put key kept", get: "etcdctl get key",
		// Of all endpoints, etcdctl takes one that answers.
		alive: "etcdctl put key alive && etcdctl get key",
	}).try(t)
}

func TestConsul(t *testing.T) {
	heavy(t)
	// RPC of consul says with one byte that TLS begins.
	withTLS := func(conn net.Conn) error {
		_, err := conn.Write([]byte{3})
		return err
	}
	(&system{
		name: "consul", programs: []string{"consul"},
		mutual: map[string]prelude{"https": nothing, "server": withTLS},
		put:    "consul kv put key kept", get: "consul kv get key",
		alive: "consul kv put key alive && consul kv get key",
	}).try(t)
}

func TestSerf(t *testing.T) {
	heavy(t)
	(&system{
		name: "serf", programs: []string{"serf"},
		alive: `test "$(serf members -status=alive | grep -c .)" = 2 && serf query -no-ack -timeout 1s greet hello && echo alive`,
	}).try(t, serfWantsItsKey)
}

// serfWantsItsKey lets an agent join that has no key, one that has another one, and one that
// has the cluster's.
func serfWantsItsKey(c *cluster) {
	data, err := os.ReadFile(c.file("m0", "serf.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	var config struct {
		Key string `json:"encrypt_key"`
	}
	if err := json.Unmarshal(data, &config); err != nil || config.Key == "" {
		c.t.Fatal(config.Key == "", err)
	}
	join := func(ctx context.Context, more ...string) *exec.Cmd {
		args := []string{"agent", "-node=stranger", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0", "-join=" + c.endpoint("m0", "gossip")}
		return exec.CommandContext(ctx, "serf", append(args, more...)...)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for who, more := range map[string][]string{
		"without a key": nil, "with another key": {"-encrypt=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="},
	} {
		if out, err := join(ctx, more...).CombinedOutput(); err == nil || ctx.Err() != nil || !strings.Contains(string(out), "Error joining") {
			c.t.Errorf("an agent %s: %v\n%s", who, err, out)
		}
	}
	if out, err := c.as("m0", "serf members"); err != nil || strings.Contains(out, "stranger") {
		c.t.Errorf("%v\n%s", err, out)
	}
	own := join(ctx, "-encrypt="+config.Key)
	if err := own.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.await("m0", "serf members -status=alive", "stranger")
	_ = own.Process.Kill() // it is ours, and runs
	_ = own.Wait()         // it was killed
	c.await("m0", "serf force-leave stranger && serf members", "stranger")
}

func TestAlertmanager(t *testing.T) {
	heavy(t)
	const amtool = `amtool --alertmanager.url="https://${XLREG_ENDPOINTS#*,}" --http.config.file="${XLREG_ROSTER%/*}/client.yml"`
	(&system{
		name: "alertmanager", programs: []string{"prometheus-alertmanager", "amtool"},
		mutual: map[string]prelude{"gossip": nothing, "web": nothing},
		put:    amtool + ` silence add --comment kept --author me alertname=fire`,
		get:    amtool + ` silence query`,
		alive:  amtool + ` silence add --comment alive --author me alertname=water && ` + amtool + ` silence query`,
	}).try(t)
}

func TestRaftKV(t *testing.T) {
	heavy(t)
	const curl = `curl -fsSL --cacert "$XLREG_TLS_PEERS" --cert "$XLREG_TLS_CERT" --key "$XLREG_TLS_KEY" "$RAFTKV_URL/keys/key"`
	(&system{
		name: "raftkv", programs: []string{"raftkv", "curl"},
		mutual: map[string]prelude{"raft": nothing, "http": nothing},
		put:    curl + " -X PUT -d kept", get: curl,
		alive: curl + " -X PUT -d alive && " + curl,
	}).try(t)
}

func TestDask(t *testing.T) {
	heavy(t)
	const compute = `python -c '
from distributed import Client
with Client() as c:
    print("alive" if c.submit(sum, [40, 2]).result(timeout=60) == 42 else "wrong")'`
	(&system{
		name: "dask", programs: []string{"dask", "curl"},
		mutual: map[string]prelude{"comm": nothing},
		alive:  compute,
	}).try(t)
}

// JAX has nothing that refuses strangers, and docs/recipes.md says so. Its processes notice
// after a while that one is gone, and end: so this asks at once.
func TestJAX(t *testing.T) {
	heavy(t)
	(&system{
		name: "jax", programs: []string{"python3", "curl"},
		alive: `curl -fsS "http://${XLREG_ENDPOINTS#*,}/status" | grep '"processes": 3' && echo alive`,
	}).try(t)
}
