package recipetest

func etcd() system {
	return system{
		name: "etcd", always: true,
		needs:  []string{"etcdctl"},
		what:   []string{`etcd --version | sed -n 's/etcd Version: /etcd /p'`},
		tls:    []port{{name: "peer"}, {name: "client"}},
		write:  `etcdctl put kept first`,
		read:   `etcdctl get kept --print-value-only`,
		wrote:  "first",
		goesOn: `etcdctl put after second`,
		kept:   true,
	}
}
