package recipetest

// rabbit runs rabbitmqctl as member 0.
const rabbit = `rabbit() { sh "$(dirname "$XLREG_ROSTER")/rabbitmq/env" rabbitmqctl -q "$@"; }; `

func rabbitmq() system {
	return system{
		name: "rabbitmq", always: true,
		what:   []string{`echo rabbitmq-server $(dpkg-query -W -f '${Version}' rabbitmq-server | sed 's/[-+].*//')`},
		tls:    []port{{name: "amqps"}, {name: "dist"}},
		write:  rabbit + `rabbit add_vhost kept`,
		read:   rabbit + `rabbit list_vhosts | grep -x kept`,
		wrote:  "kept",
		goesOn: rabbit + `rabbit cluster_status --formatter json | grep -o '"running_nodes":\[[^]]*\]' | tr ',' '\n' | grep -c @ | grep -x 2`,
		kept:   true,
	}
}
