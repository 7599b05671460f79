package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/xlattice/xlreg/internal/store"
)

// layout is the form of the tables that this program reads and writes.
const layout = 1

// tablesSQL makes the tables in the schema %[1]s. A record without a value is one that
// was removed, at the revision in version; created is the revision since which there
// has been a value. until is set on what is announced. Values are mostly keys and
// signatures, which compressing makes no smaller.
const tablesSQL = `
CREATE TABLE IF NOT EXISTS %[1]s.records (
	key     bytea  PRIMARY KEY,
	value   bytea,
	version bigint NOT NULL,
	created bigint NOT NULL,
	until   timestamptz
);
ALTER TABLE %[1]s.records ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS records_version ON %[1]s.records (version);
CREATE INDEX IF NOT EXISTS records_removed ON %[1]s.records (version) WHERE value IS NULL;
CREATE INDEX IF NOT EXISTS records_until ON %[1]s.records (until) WHERE until IS NOT NULL;
CREATE TABLE IF NOT EXISTS %[1]s.state (
	one       boolean PRIMARY KEY DEFAULT true CHECK (one),
	layout    int     NOT NULL,
	revision  bigint  NOT NULL,
	compacted bigint  NOT NULL
);
INSERT INTO %[1]s.state (layout, revision, compacted) VALUES (%[2]d, 1, 0) ON CONFLICT DO NOTHING;
`

// prepareTables sees that there are tables of the right form, on a connection of its
// own: the others cannot be made before.
func (d *DB) prepareTables(ctx context.Context, config *pgxpool.Config) error {
	c := config.ConnConfig.Copy()
	if err := config.BeforeConnect(ctx, c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if err := d.makeTables(ctx, conn); err != nil {
		return err
	}
	return d.checkTables(ctx, conn)
}

// makeTables makes what is not there. Whoever comes second waits for the first, and
// finds everything; and nobody needs a right to make what is there already.
func (d *DB) makeTables(ctx context.Context, conn *pgx.Conn) error {
	var hasSchema, hasTables bool
	err := conn.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($1 || '.state') IS NOT NULL",
		d.sql.schema).Scan(&hasSchema, &hasTables)
	if err != nil || hasTables {
		return err
	}
	script := d.sql.lock + ";"
	if !hasSchema {
		script += "CREATE SCHEMA IF NOT EXISTS " + d.sql.schema + ";"
	}
	script += fmt.Sprintf(tablesSQL, d.sql.schema, layout)
	_, err = conn.PgConn().Exec(ctx, script).ReadAll() // as one transaction
	return err
}

func (d *DB) checkTables(ctx context.Context, conn *pgx.Conn) error {
	var have int
	var fsync, fullPages string
	err := conn.QueryRow(ctx, "SELECT layout, current_setting('fsync'), current_setting('full_page_writes') FROM "+
		d.sql.schema+".state").Scan(&have, &fsync, &fullPages)
	switch {
	case err != nil:
		return err
	case have > layout:
		return store.ErrNewerSchema
	case have < layout:
		return store.ErrOlderSchema
	case fsync != "on" || fullPages != "on":
		d.log.Warn("a crash of the database's machine can lose data", "fsync", fsync, "full_page_writes", fullPages)
	}
	return nil
}
