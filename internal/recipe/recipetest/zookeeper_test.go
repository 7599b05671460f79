package recipetest

// zk runs ZooKeeper's own command line on member 0.
const zk = `zk() { sh "$(dirname "$XLREG_ROSTER")/zookeeper/cli" "$@"; }; `

func zookeeper() system {
	return system{
		name:  "zookeeper",
		needs: []string{"java", "openssl"},
		what:  []string{`echo zookeeper $(dpkg-query -W -f '${Version}' zookeeper | sed 's/-.*//')`},
		tls:   []port{{name: "client"}, {name: "election"}},
		write: zk + `zk create /kept first || zk get /kept`,
		read:  zk + `zk get /kept | grep first`,
		wrote: "first",
		// A majority has a leader.
		goesOn: zk + `zk create /after second || zk get /after`,
		kept:   true,
	}
}
