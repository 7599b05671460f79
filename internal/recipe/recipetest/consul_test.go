package recipetest

import "net"

func consul() system {
	return system{
		name:   "consul",
		what:   []string{`consul version | sed -n 's/^Consul v/consul /p'`},
		tls:    []port{{name: "server", hello: consulHello}, {name: "https"}},
		client: `consul members`,
		write:  `consul kv put kept first`,
		read:   `consul kv get kept`,
		wrote:  "first",
		goesOn: `consul kv put after second`,
		kept:   true,
	}
}

// consulHello is the byte that says to a server that TLS follows.
func consulHello(conn net.Conn) error {
	_, err := conn.Write([]byte{3})
	return err
}
