package recipetest

func zookeeper() system {
	return system{
		name:   "zookeeper",
		what:   []string{`echo zookeeper $(dpkg-query -W -f '${Version}' zookeeper | sed 's/-.*//')`},
		tls:    []port{{name: "client"}, {name: "election"}},
		client: `zkCli.sh ls / | grep -x '\[zookeeper\]'`,
		write:  `zkCli.sh create /kept first || zkCli.sh get /kept`,
		read:   `zkCli.sh get /kept | grep first`,
		wrote:  "first",
		// A majority has a leader.
		goesOn: `zkCli.sh create /after second || zkCli.sh get /after`,
		kept:   true,
	}
}
