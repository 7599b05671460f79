package recipetest

// redisCLI talks to member 0, and goes where it is sent.
const redisCLI = `redis() { redis-cli -e -c -h "${XLREG_ENDPOINTS_CLIENT%%:*}" -p "$(echo "${XLREG_ENDPOINTS%%,*}" | sed 's/.*://')" \
	--tls --cert "$XLREG_TLS_CERT" --key "$XLREG_TLS_KEY" --cacert "$XLREG_TLS_PEERS" "$@"; }; `

func redis() system {
	return system{
		name: "redis", always: true,
		needs: []string{"redis-cli"},
		what:  []string{`redis-server --version | sed 's/.* v=\([^ ]*\).*/redis-server \1/'`},
		n:     6, // the fewest that have a replica each
		tls:   []port{{name: "client"}, {name: "bus"}},
		write: redisCLI + `redis set a first && redis set b second && redis set c third && redis wait 1 0`,
		read:  redisCLI + `echo $(redis get a) $(redis get b) $(redis get c)`,
		wrote: "first second third",
		// Two of the three that have the slots are masters, whoever dies.
		victim: 1,
		goesOn: redisCLI + `redis cluster nodes | grep fail && redis cluster info | tr -d '\r' | grep -x cluster_slots_ok:16384`,
		kept:   true,
	}
}
