package recipetest

func alertmanager() system {
	return system{
		name: "alertmanager",
		what: []string{`prometheus-alertmanager --version | sed -n 's/^alertmanager, version \([^ ]*\).*/alertmanager \1/p'`},
		tls:  []port{{name: "gossip"}, {name: "web"}},
		// What is silenced is kept, and told to the others.
		client: `amtool cluster show`,
		write:  `amtool silence add --author test --comment first alertname=fire`,
		read:   `amtool silence query -o json | sed -n 's/.*"comment":"\([^"]*\)".*/\1/p'`,
		wrote:  "first",
		goesOn: `amtool silence query`,
		kept:   true,
	}
}
