package recipetest

// erl evaluates an expression on member 0, in a node of its own that nobody sees.
const erl = `erl() { sh "$ERLANG_DIR/as" "test$$" -hidden -noinput -eval "$1"; }; `

func erlang() system {
	return system{
		name:   "erlang",
		what:   []string{`echo erlang $(dpkg-query -W -f '${Version}' erlang-base | sed 's/.*:\([0-9.]*\).*/\1/')`},
		tls:    []port{{name: "dist"}},
		client: erl + `erl 'halt(case net_adm:ping(m0@m0) of pong -> 0; pang -> 1 end).'`,
		goesOn: erl + `erl "
			{Nodes, []} = rpc:multicall([m0@m0, m1@m1], erlang, nodes, []),
			halt(case Nodes of [[m1@m1], [m0@m0]] -> 0; _ -> 1 end)."`,
	}
}
