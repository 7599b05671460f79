package recipetest

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// redisCLI talks to member 0, and goes where it is sent.
const redisCLI = `redis() { redis-cli -e -c -h "${XLREG_ENDPOINTS_CLIENT%%:*}" -p "$(echo "${XLREG_ENDPOINTS%%,*}" | sed 's/.*://')" \
	--tls --cert "$XLREG_TLS_CERT" --key "$XLREG_TLS_KEY" --cacert "$XLREG_TLS_PEERS" "$@"; }; `

func redis() system {
	return system{
		name: "redis", always: true,
		what:   []string{`redis-server --version | sed 's/.* v=\([^ ]*\).*/redis-server \1/'`},
		n:      6, // the fewest that have a replica each
		tls:    []port{{name: "client"}, {name: "bus"}},
		client: `$REDIS ping`,
		write:  redisCLI + `redis set a first && redis set b second && redis set c third && redis wait 1 0`,
		read:   redisCLI + `echo $(redis get a) $(redis get b) $(redis get c)`,
		wrote:  "first second third",
		// Two of the three that have the slots are masters, whoever dies.
		victim: 1,
		goesOn: redisCLI + `redis cluster nodes | grep fail && redis cluster info | tr -d '\r' | grep -x cluster_slots_ok:16384`,
		kept:   true,
	}
}

// Clients learn of all members from whichever they ask, as soon as the cluster is ready. Redis keeps
// silent about replicas that have received nothing so far.
func TestRedisTellsOfReplicas(t *testing.T) {
	if missing := missingPrograms(redis()); len(missing) > 0 {
		t.Fatalf("not installed: %q", missing)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	const then = `{{range .Members}} $REDIS -h {{(.Endpoint "client").Host}} -p {{.Port "client"}} cluster slots |
		sort -u | grep -Ec '^[0-9a-f]{40}$' && {{end}} true`
	out, err := exec.CommandContext(ctx, program, "run", "redis", "-n", "6", "-q", "--then", then).Output()
	if want := "6\n6\n6\n6\n6\n6\n"; err != nil || string(out) != want {
		t.Errorf("the members tell of %q nodes, want %q: %v", out, want, err)
	}
}
