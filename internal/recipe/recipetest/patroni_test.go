package recipetest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

func patroni() system {
	return system{
		name:  "patroni",
		needs: []string{"patronictl", "psql", "unshare"},
		what: []string{
			`echo patroni $(patroni --version | sed 's/.* //')`, `psql --version | sed 's/psql (PostgreSQL) \([0-9.]*\).*/postgresql \1/'`,
			`etcd --version | sed -n 's/etcd Version: /etcd /p'`,
		},
		tls: []port{{name: "client", hello: askPostgres, late: true}, {name: "rest"}, {name: "etcd-peer"}, {name: "etcd-client"}},
		strangers: func(c *cluster) error {
			const password = `PGSSLCERT=/none psql -c 'select 1' 2>&1 | grep 'requires a valid client certificate'`
			return c.command(password, nil)(c.t.Context())
		},
		client: `psql -c 'select 1' && pg_isready && pg_dump >/dev/null && patronictl list`,
		// The variables of libpq name all members, and want the one that can be written to.
		write: `psql -qAtc "create table if not exists t (a text); delete from t; insert into t values ('first')"`,
		read:  `psql -qAtc "select a from t"`,
		wrote: "first",
		// There is a leader that is not the dead one, and another that follows it.
		goesOn: `psql -qAtc "create table if not exists u ()" && patronictl list --format json |
			grep -o '"State": "\(running\|streaming\)"' | wc -l | grep -x 2`,
		kept: true,
	}
}

// askPostgres asks a PostgreSQL for TLS.
func askPostgres(conn net.Conn) error {
	const sslRequest = 80877103
	request := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), sslRequest)
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if answer[0] != 'S' {
		return fmt.Errorf("PostgreSQL answers %q", answer)
	}
	return nil
}
