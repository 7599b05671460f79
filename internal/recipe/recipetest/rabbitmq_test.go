package recipetest

func rabbitmq() system {
	return system{
		name: "rabbitmq", always: true,
		what:   []string{`echo rabbitmq-server $(dpkg-query -W -f '${Version}' rabbitmq-server | sed 's/[-+].*//')`},
		tls:    []port{{name: "amqps"}, {name: "dist"}},
		client: `rabbitmq-diagnostics -q check_running && rabbitmq-plugins -q list`,
		write:  `rabbitmqctl -q add_vhost kept`,
		read:   `rabbitmqctl -q list_vhosts | grep -x kept`,
		wrote:  "kept",
		goesOn: `rabbitmqctl -q cluster_status --formatter json | grep -o '"running_nodes":\[[^]]*\]' | tr ',' '\n' | grep -c @ | grep -x 2`,
		kept:   true,
	}
}
