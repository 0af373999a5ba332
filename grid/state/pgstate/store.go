// SPDX-License-Identifier: Apache-2.0

// Package pgstate keeps the state of keys in PostgreSQL, for package
// [github.com/protoloop/protoloop/grid/state]:
//
//	pool, err := pgxpool.New(ctx, "postgres://…")
//	store, err := pgstate.New(pool, "state")
//	err = store.Create(ctx) // its tables, unless they are there
//
// There are two tables: one row for each key, and one for each change of a journal. A save is one statement, which
// changes the row of a key only if its owner and the number of its last save are what they should be.
// Saves of many keys at a time go together, in one round trip and one transaction: while
// one such batch is on its way, what comes is gathered for the next.
package pgstate

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/protoloop/protoloop/grid/state"
)

// Store is a table, and one beside it that has its name and "_changes".
type Store struct {
	pool                       *pgxpool.Pool
	create, open, changes, see string
	saves                      *batcher
}

var _ state.Store = (*Store)(nil)

// names of tables need no quotes, and are short enough for what is added to them.
var names = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,40}$`)

// saveRow changes the row of a key and its changes. It has place for a further condition.
const saveRow = `WITH r AS (UPDATE %%[1]s SET seq = $3, snapshot = COALESCE($4::bytea, snapshot)
			WHERE key = $1 AND token = $2 AND seq = $3::bigint - 1%s RETURNING key),
		d AS (DELETE FROM %%[1]s_changes c USING r WHERE c.key = r.key AND $4::bytea IS NOT NULL),
		i AS (INSERT INTO %%[1]s_changes (key, token, seq, n, data)
			SELECT r.key, $2, $3, x.n, x.data FROM r, unnest($5::bytea[]) WITH ORDINALITY AS x (data, n))
	SELECT count(*) FROM r`

// New is a store in a table of a name of lower-case letters, digits and underscores. The pool stays the
// caller's.
func New(pool *pgxpool.Pool, table string) (*Store, error) {
	if !names.MatchString(table) {
		return nil, fmt.Errorf("pgstate: the table %q: its name may have lower-case letters, digits and underscores", table)
	}
	q := func(format string) string { return fmt.Sprintf(format, table) }
	return &Store{
		pool: pool,
		create: q(`CREATE TABLE IF NOT EXISTS %[1]s (key bytea PRIMARY KEY, token bigint NOT NULL, seq bigint NOT NULL, snapshot bytea);
			CREATE TABLE IF NOT EXISTS %[1]s_changes (key bytea NOT NULL, token bigint NOT NULL, seq bigint NOT NULL, n bigint NOT NULL, data bytea NOT NULL,
				PRIMARY KEY (key, token, seq, n))`),
		open: q(`INSERT INTO %[1]s AS r (key, token, seq) VALUES ($1, 1, 0)
			ON CONFLICT (key) DO UPDATE SET token = r.token + 1, seq = 0 RETURNING token, snapshot`),
		changes: q(`SELECT data FROM %[1]s_changes WHERE key = $1 ORDER BY token, seq, n`),
		saves:   &batcher{pool: pool, save: q(fmt.Sprintf(saveRow, "")), saveFree: q(fmt.Sprintf(saveRow, " AND key IN (SELECT key FROM %[1]s WHERE key = $1 FOR UPDATE SKIP LOCKED)"))},
		see:     q(`SELECT token, seq FROM %[1]s WHERE key = $1`),
	}, nil
}

// Create makes the tables, unless they are there. Many may call it at a time.
func (s *Store) Create(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Two that create a table at a time would have one of them fail.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('protoloop pgstate'))`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, s.create)
		return err
	})
}

// Open is [state.Store]'s.
func (s *Store) Open(ctx context.Context, key string) (state.Owner, state.Record, error) {
	var r state.Record
	// The row is locked from its change to the end: no save comes in between.
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		r = state.Record{}
		if err := tx.QueryRow(ctx, s.open, []byte(key)).Scan(&r.Token, &r.Snapshot); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, s.changes, []byte(key))
		if err != nil {
			return err
		}
		r.Changes, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		return err
	})
	if err != nil {
		return nil, state.Record{}, err
	}
	return owner{s, []byte(key)}, r, nil
}

type owner struct {
	s   *Store
	key []byte
}

// Save is [state.Owner]'s.
func (o owner) Save(ctx context.Context, w state.Write) error {
	n, err := o.s.saves.saveRow(ctx, o.key, w)
	if err == nil && n == 0 { // the row may have been locked; this waits for that
		n, err = o.s.saves.saveAlone(ctx, o.key, w)
	}
	if err != nil || n > 0 {
		return err
	}
	// There is another owner, or this save was made and its answer lost.
	var r state.Record
	if err := o.s.pool.QueryRow(ctx, o.s.see, o.key).Scan(&r.Token, &r.Seq); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	takes, err := r.Takes(w)
	if takes {
		err = errors.New("pgstate: the row of the key has changed meanwhile")
	}
	return err
}
