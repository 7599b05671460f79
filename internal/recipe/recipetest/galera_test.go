package recipetest

func galera() system {
	return system{
		name: "galera",
		what: []string{
			`mariadbd --no-defaults --version | sed 's/.*Ver \([0-9.]*\).*/mariadb-server \1/'`,
			`echo galera-4 $(dpkg-query -W -f '${Version}' galera-4 | sed 's/-.*//')`,
		},
		tls:       []port{{name: "group"}},
		strangers: galeraStrangers,
		client:    `mariadb -e status && mysql -e status && mariadb-admin ping && mariadb-dump --all-databases >/dev/null`,
		write:     `mariadb -BNe "create database if not exists d; create table if not exists d.t (a varchar(9)); replace d.t values ('first')"`,
		read:      `mariadb -BNe "select a from d.t"`,
		wrote:     "first",
		goesOn:    `mariadb -BNe "show status like 'wsrep_cluster_size'" | grep -w 2 && mariadb -BNe "show status like 'wsrep_cluster_status'" | grep -w Primary`,
		kept:      true,
	}
}

// galeraStrangers shows that a client who knows the password also needs a member's certificate.
func galeraStrangers(c *cluster) error {
	const none = `sed '/^ssl-cert=/d; /^ssl-key=/d' "$MYSQL_HOME/my.cnf" | mariadb --defaults-file=/dev/stdin -e "select 1" 2>&1 | grep 'Access denied'`
	if err := c.command(none, nil)(c.t.Context()); err != nil {
		return err
	}
	cert, key := foreignFiles(c.t)
	foreign := `mariadb --ssl-cert='` + cert + `' --ssl-key='` + key + `' -e "select 1" 2>&1 | grep -E 'SSL|Lost connection'`
	return c.command(foreign, nil)(c.t.Context())
}
