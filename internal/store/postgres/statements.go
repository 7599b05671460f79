package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is what the names of channels begin with; the schema follows.
const channel = "xlreg_"

// near is how many revisions back a scan may lie for it to be cheaper to go through what
// has changed since than through what was scanned.
const near = "1000"

// Names of prepared statements. Those are prepared when a connection is made, so that
// a transaction is one round trip, and so that an error while one is prepared is not
// taken for an unknown outcome.
const (
	lockName    = "xlreg_lock"
	compareName = "xlreg_compare"
	changeName  = "xlreg_change"
)

// statements are the SQL for one schema.
type statements struct {
	schema, channel string

	lock    string // until the end of the transaction
	compare string // of readArguments
	change  string // of readArguments and what is to be put
	news    string // since a revision

	announce, withdraw, expire, purge string
}

// readsSQL decides whether what was read still holds, and if not, gives all that there
// is: the keys as part 0, the ranges as parts from 1 on. Part -1 is the verdict, which
// is there in any case.
//
// $1 and $2 are keys and their versions, $3 to $6 what lies around ranges, since when
// nothing may have been put there, and how many keys there are. Where all that was
// removed since is still there, nothing has been if nothing has that version; elsewhere
// the keys are counted. OFFSET 0 keeps the planner from merging a condition into an
// index scan where the other index is the one that helps.
const readsSQL = `
WITH state AS MATERIALIZED (SELECT revision, compacted FROM @.state),
keys AS (SELECT * FROM unnest($1::bytea[], $2::bigint[]) AS k (key, version)),
ranges AS (SELECT * FROM unnest($3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[])
	WITH ORDINALITY AS r (low, high, revision, count, part)),
verdict AS MATERIALIZED (
	SELECT NOT EXISTS (
		SELECT FROM keys k LEFT JOIN @.records t ON t.key = k.key AND t.value IS NOT NULL
		WHERE coalesce(t.version, 0) <> k.version
	) AND NOT EXISTS (
		SELECT FROM ranges r, state s WHERE CASE WHEN r.revision > s.revision - #near AND r.revision >= s.compacted THEN EXISTS (
			SELECT FROM (SELECT key FROM @.records WHERE version > r.revision OFFSET 0) t WHERE t.key > r.low AND t.key < r.high
		) ELSE (
			SELECT count(*) <> r.count OR max(t.version) > r.revision FROM @.records t
			WHERE t.key > r.low AND t.key < r.high AND t.value IS NOT NULL
		) END #counted
	) AS held
)`

// countedSQL compares the counts in any case.
const countedSQL = `OR r.count <> (
			SELECT count(*) FROM @.records t WHERE t.key > r.low AND t.key < r.high AND t.value IS NOT NULL
		)`

// answerSQL is the result, for both; #revision is that of the outcome.
const answerSQL = `
SELECT -1 AS part, NULL::bytea AS key, NULL::bytea AS value, #revision AS version, v.held,
	current_setting('transaction_read_only') = 'on' AS read_only, #told AS told
FROM state s, verdict v
UNION ALL
SELECT 0, t.key, t.value, t.version, false, false, 0 FROM verdict v, keys k JOIN @.records t ON t.key = k.key
WHERE NOT v.held AND t.value IS NOT NULL
UNION ALL
SELECT r.part::int, t.key, t.value, t.version, false, false, 0 FROM verdict v, ranges r
	JOIN @.records t ON t.key > r.low AND t.key < r.high
WHERE NOT v.held AND t.value IS NOT NULL`

// changeSQL makes the changes $7, $8 if what was read holds; no value removes. It runs
// under the lock, on a snapshot taken after the lock was.
const changeSQL = `,
changes AS (SELECT * FROM unnest($7::bytea[], $8::bytea[]) AS c (key, value)),
next AS (UPDATE @.state SET revision = revision + 1 WHERE (SELECT held FROM verdict) RETURNING revision),
removed AS (
	UPDATE @.records t SET value = NULL, version = n.revision, until = NULL FROM next n, changes c
	WHERE t.key = c.key AND c.value IS NULL AND t.value IS NOT NULL
),
written AS (` + putSQL + ` SELECT c.key, c.value, n.revision, n.revision, NULL FROM next n, changes c
	WHERE c.value IS NOT NULL ` + replaceSQL + `)`

const putSQL = `INSERT INTO @.records AS t (key, value, version, created, until)`

const replaceSQL = `ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version, until = excluded.until,
	created = CASE WHEN t.value IS NULL THEN excluded.version ELSE t.created END`

// tellSQL tells those who listen of the revision in next, if there is one. It gives a
// number, as do all that end with it.
const tellSQL = `SELECT count(pg_notify('#channel', n.revision::text)) FROM next n`

// newsSQL gives what has changed since the revision $1, with the state at the same
// moment, in at least one row.
const newsSQL = `
SELECT s.revision, s.compacted, current_setting('transaction_read_only') = 'on',
	EXISTS (SELECT FROM @.records WHERE until < now()), t.key, t.value, t.version, t.created
FROM @.state s LEFT JOIN @.records t ON t.version > $1 ORDER BY t.version, t.key`

// announceSQL keeps the value $2 under the key $1 for another while. It is a change
// only if it is not there.
const announceSQL = `
WITH kept AS (
	UPDATE @.records SET until = now() + #ttl WHERE key = $1 AND value = $2 AND until IS NOT NULL RETURNING key
),
next AS (UPDATE @.state SET revision = revision + 1 WHERE NOT EXISTS (SELECT FROM kept) RETURNING revision),
written AS (` + putSQL + ` SELECT $1, $2, n.revision, n.revision, now() + #ttl FROM next n ` + replaceSQL + `)
` + tellSQL

// removeSQL removes what was announced and is in gone.
const removeSQL = `,
next AS (UPDATE @.state SET revision = revision + 1 WHERE EXISTS (SELECT FROM gone) RETURNING revision),
removed AS (
	UPDATE @.records t SET value = NULL, version = n.revision, until = NULL FROM next n, gone g WHERE t.key = g.key
)
` + tellSQL

const withdrawSQL = `
WITH gone AS (SELECT key FROM @.records WHERE key = $1 AND value = $2 AND until IS NOT NULL)` + removeSQL

const expireSQL = `
WITH gone AS (SELECT key FROM @.records WHERE until < now())` + removeSQL

// purgeSQL forgets the oldest of what was removed up to the revision $1, at most $2
// records, and notes whom that leaves behind.
const purgeSQL = `
WITH old AS (SELECT key, version FROM @.records WHERE value IS NULL AND version <= $1 ORDER BY version LIMIT $2),
noted AS (UPDATE @.state SET compacted = greatest(compacted, (SELECT max(version) FROM old)) WHERE EXISTS (SELECT FROM old)),
purged AS (DELETE FROM @.records t USING old o WHERE t.key = o.key RETURNING t.key)
SELECT count(*) FROM purged`

func newStatements(schema string, ttl time.Duration) statements {
	name := channel + schema
	fill := func(text string) string {
		return strings.NewReplacer("@", schema, "#channel", name, "#near", near,
			"#ttl", fmt.Sprintf("interval '%d milliseconds'", ttl.Milliseconds())).Replace(text)
	}
	reads := func(counted string) string { return strings.Replace(readsSQL, "#counted", counted, 1) }
	answer := func(revision, told string) string {
		return strings.NewReplacer("#revision", revision, "#told", told).Replace(answerSQL)
	}
	return statements{
		schema:   schema,
		channel:  name,
		lock:     "SELECT pg_advisory_xact_lock(hashtextextended('" + name + "', 0))",
		compare:  fill(reads(countedSQL) + answer("s.revision", "0")),
		change:   fill(reads("") + changeSQL + answer("coalesce((SELECT revision FROM next), s.revision)", "("+tellSQL+")")),
		news:     fill(newsSQL),
		announce: fill(announceSQL),
		withdraw: fill(withdrawSQL),
		expire:   fill(expireSQL),
		purge:    fill(purgeSQL),
	}
}

// prepare prepares what is on the way of every request.
func (s *statements) prepare(ctx context.Context, conn *pgx.Conn) error {
	for _, p := range []struct{ name, text string }{
		{lockName, s.lock}, {compareName, s.compare}, {changeName, s.change},
	} {
		if _, err := conn.Prepare(ctx, p.name, p.text); err != nil {
			return err
		}
	}
	return nil
}
