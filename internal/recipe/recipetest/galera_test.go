package recipetest

import "strings"

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
		tls:       []port{{name: "group"}},
		strangers: galeraStrangers,
		write:     sql + `sql "create database if not exists d; create table if not exists d.t (a varchar(9)); replace d.t values ('first')"`,
		read:      sql + `sql "select a from d.t"`,
		wrote:     "first",
		goesOn:    sql + `sql "show status like 'wsrep_cluster_size'" | grep -w 2 && sql "show status like 'wsrep_cluster_status'" | grep -w Primary`,
		kept:      true,
	}
}

// galeraStrangers shows that a client who knows the password also needs a member's certificate.
func galeraStrangers(c *cluster) error {
	none := strings.Replace(sql, `--ssl-cert="$XLREG_TLS_CERT" --ssl-key="$XLREG_TLS_KEY"`, "", 1)
	if err := c.command(none+`sql "select 1" 2>&1 | grep 'Access denied'`, nil)(c.t.Context()); err != nil {
		return err
	}
	cert, key := foreignFiles(c.t)
	foreign := strings.NewReplacer("$XLREG_TLS_CERT", cert, "$XLREG_TLS_KEY", key).Replace(sql)
	return c.command(foreign+`sql "select 1" 2>&1 | grep -E 'SSL|Lost connection'`, nil)(c.t.Context())
}
