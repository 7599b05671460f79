package recipetest

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
)

// sql runs statements on member 0.
const sql = `sql() { mariadb --no-defaults --host="$(echo "${XLREG_ENDPOINTS%%,*}" | sed 's/:[0-9]*$//')" \
	--port="$(echo "${XLREG_ENDPOINTS%%,*}" | sed 's/.*://')" --user=xlreg \
	--ssl-cert="$XLREG_TLS_CERT" --ssl-key="$XLREG_TLS_KEY" --ssl-ca="$XLREG_TLS_PEERS" -BNe "$1"; }; `

func galera() system {
	return system{
		name:  "galera",
		needs: []string{"mariadb", "mariadb-install-db", "mariabackup", "socat"},
		what: []string{
			`mariadbd --no-defaults --version | sed 's/.*Ver \([0-9.]*\).*/mariadb-server \1/'`,
			`echo galera-4 $(dpkg-query -W -f '${Version}' galera-4 | sed 's/-.*//')`,
		},
		tls: []port{{name: "client", hello: askMariaDB, late: true}, {name: "group"}},
		strangers: func(c *cluster) error {
			password := strings.Replace(sql, `--ssl-cert="$XLREG_TLS_CERT" --ssl-key="$XLREG_TLS_KEY"`, "", 1) +
				`sql "select 1" 2>&1 | grep 'Access denied'`
			return c.command(password, nil)(c.t.Context())
		},
		write:  sql + `sql "create database if not exists d; create table if not exists d.t (a varchar(9)); replace d.t values ('first')"`,
		read:   sql + `sql "select a from d.t"`,
		wrote:  "first",
		goesOn: sql + `sql "show status like 'wsrep_cluster_size'" | grep -w 2 && sql "show status like 'wsrep_cluster_status'" | grep -w Primary`,
		kept:   true,
	}
}

// askMariaDB reads the server's greeting, and asks for TLS.
func askMariaDB(conn net.Conn) error {
	var header [4]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return err
	}
	length := int64(header[0]) | int64(header[1])<<8 | int64(header[2])<<16
	if _, err := io.CopyN(io.Discard, conn, length); err != nil {
		return err
	}
	request := make([]byte, 4+32)
	request[0], request[3] = 32, 1
	const protocol41, wantTLS, secure = 1 << 9, 1 << 11, 1 << 15
	binary.LittleEndian.PutUint32(request[4:], protocol41|wantTLS|secure)
	binary.LittleEndian.PutUint32(request[8:], 1<<24)
	request[12] = 33 // UTF-8
	_, err := conn.Write(request)
	return err
}
