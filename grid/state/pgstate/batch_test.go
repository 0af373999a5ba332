// SPDX-License-Identifier: Apache-2.0

package pgstate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/pgstate"
)

// trips counts round trips of saves: statements that are sent alone, and batches.
type trips struct{ alone, batches, saves atomic.Int64 }

func (c *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.alone.Add(1)
	return ctx
}
func (c *trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (c *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	c.batches.Add(1)
	c.saves.Add(int64(d.Batch.Len()))
	return ctx
}
func (c *trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (c *trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (c *trips) reset() { c.alone.Store(0); c.batches.Store(0); c.saves.Store(0) }

// counted is a pool whose round trips are counted.
func (s *server) counted() (*pgxpool.Pool, *trips) {
	s.Helper()
	config, err := pgxpool.ParseConfig("host=" + s.dir + " user=test dbname=postgres pool_max_conns=10")
	if err != nil {
		s.Fatal(err)
	}
	c := new(trips)
	config.ConnConfig.Tracer = c
	pool, err := pgxpool.NewWithConfig(s.Context(), config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(pool.Close)
	return pool, c
}

// owned is the owner of a key, and its saves.
type owned struct {
	state.Owner
	token uint64
}

func (s *server) open(store *pgstate.Store, key string) owned {
	s.Helper()
	o, r, err := store.Open(s.Context(), key)
	if err != nil {
		s.Fatal(err)
	}
	return owned{o, r.Token}
}

func (o owned) save(ctx context.Context, seq uint64, change string) error {
	return o.Save(ctx, state.Write{Token: o.token, Seq: seq, Changes: [][]byte{[]byte(change)}})
}

// lock locks rows, as another process does that opens them, until it is called again.
func (s *server) lock(pool *pgxpool.Pool, keys ...string) (unlock func()) {
	s.Helper()
	tx, err := pool.Begin(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	for _, key := range keys {
		if tag, err := tx.Exec(s.Context(), "SELECT * FROM state WHERE key = $1 FOR UPDATE", []byte(key)); err != nil || tag.RowsAffected() != 1 {
			s.Fatal(tag, err)
		}
	}
	return func() {
		if err := tx.Rollback(context.Background()); err != nil {
			s.Error(err)
		}
	}
}

// waitFor waits until something holds.
func (s *server) waitFor(what string, holds func() bool) {
	s.Helper()
	for !holds() {
		select {
		case <-s.Context().Done():
			s.Fatal(what, ": never")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// fillFlights has a save in each flight, which waits for its row until what is returned is called.
func (s *server) fillFlights(ctx context.Context, pool *pgxpool.Pool, store *pgstate.Store, all *sync.WaitGroup, want error) (unlock func()) {
	s.Helper()
	var first []owned
	var keys []string
	for i := range pgstate.MaxInFlight {
		keys = append(keys, fmt.Sprint("first ", i))
		first = append(first, s.open(store, keys[i]))
	}
	unlock = s.lock(pool, keys...)
	for i, o := range first { // one after the other: two that come together are one batch
		all.Go(func() {
			if err := o.save(ctx, 1, "x"); !errors.Is(err, want) {
				s.Error(err)
			}
		})
		s.waitFor("it waits for its row", func() bool {
			var n int
			err := pool.QueryRow(s.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&n)
			return err == nil && n > i
		})
	}
	return unlock
}

// TestManyKeysSaveTogether: what many keys save while saves are under way is one round trip for each
// MaxBatch of them, and each is told what has become of its own.
func TestManyKeysSaveTogether(t *testing.T) {
	s := startServer(t)
	pool, count := s.counted()
	store := s.store(pool, "state")
	const n = 2 * pgstate.MaxBatch
	owners := make([]owned, n)
	var opening sync.WaitGroup
	for part := range 8 {
		opening.Go(func() {
			for i := part; i < n; i += 8 {
				o, r, err := store.Open(t.Context(), fmt.Sprint("key ", i))
				if err != nil {
					t.Error(err)
				}
				owners[i] = owned{o, r.Token}
			}
		})
	}
	opening.Wait()
	stale := s.open(store, "stale")
	s.open(store, "stale") // fences it
	var all sync.WaitGroup
	unlock := s.fillFlights(t.Context(), pool, store, &all, nil)
	count.reset()
	for _, o := range owners {
		all.Go(func() {
			if err := o.save(t.Context(), 1, "1"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		if err := stale.save(t.Context(), 1, "stale"); !errors.Is(err, actors.ErrFenced) {
			t.Error(err)
		}
	})
	s.waitFor("all wait", func() bool { return store.Waiting() == n+1 })
	unlock()
	all.Wait()
	// Both flights take what waits, so the last may be one alone. The stale save looks again, and then why.
	if got := count.batches.Load(); got < 2 || got > 3 || count.alone.Load() > 2+2 {
		t.Errorf("%d saves took %d batches with %d saves, and %d single statements", n+1, got, count.saves.Load(), count.alone.Load())
	}
	var stored int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM state s JOIN state_changes c USING (key) WHERE s.seq = 1 AND c.data = '1'").Scan(&stored); err != nil || stored != n {
		t.Errorf("%d of %d are stored: %v", stored, n, err)
	}
	if _, r, err := store.Open(t.Context(), "stale"); err != nil || len(r.Changes) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestLockedRowHoldsUpNoOther: a row that another process has locked holds up its own save alone.
func TestLockedRowHoldsUpNoOther(t *testing.T) {
	s := startServer(t)
	pool, _ := s.counted()
	store := s.store(pool, "state")
	locked := s.open(store, "locked")
	var others []owned
	for i := range 50 {
		others = append(others, s.open(store, fmt.Sprint("key ", i)))
	}
	unlock := s.lock(pool, "locked")
	var done, all sync.WaitGroup
	var came atomic.Bool
	done.Go(func() {
		if err := locked.save(t.Context(), 1, "x"); err != nil {
			t.Error(err)
		}
		came.Store(true)
	})
	for seq := uint64(1); seq <= 5; seq++ {
		for _, o := range others {
			all.Go(func() {
				if err := o.save(t.Context(), seq, "x"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if came.Load() {
		t.Error("the row was not locked")
	}
	unlock()
	done.Wait()
}

// TestRefusedSaveFailsNoOther: what the server refuses fails alone, and what its batch had changed is stored.
func TestRefusedSaveFailsNoOther(t *testing.T) {
	s := startServer(t)
	pool, count := s.counted()
	store := s.store(pool, "state")
	if _, err := pool.Exec(t.Context(), "ALTER TABLE state ADD CHECK (snapshot <> 'refused')"); err != nil {
		t.Fatal(err)
	}
	bad := s.open(store, "bad")
	var others []owned
	for i := range 20 {
		others = append(others, s.open(store, fmt.Sprint("key ", i)))
	}
	var all sync.WaitGroup
	unlock := s.fillFlights(t.Context(), pool, store, &all, nil)
	count.reset()
	for _, o := range others {
		all.Go(func() {
			if err := o.save(t.Context(), 1, "x"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		if err := bad.Save(t.Context(), state.Write{Token: bad.token, Seq: 1, Snapshot: []byte("refused")}); err == nil || errors.Is(err, actors.ErrFenced) {
			t.Error(err)
		}
	})
	s.waitFor("all wait", func() bool { return store.Waiting() == len(others)+1 })
	unlock()
	all.Wait()
	if count.batches.Load() == 0 {
		t.Error("they were not sent together")
	}
	for i := range others {
		if _, r, err := store.Open(t.Context(), fmt.Sprint("key ", i)); err != nil || len(r.Changes) != 1 {
			t.Errorf("%d: %+v, %v", i, r, err)
		}
	}
}

// TestGivesUpWaiting: whose ctx ends while its save waits is told so, and the others are saved. If nobody
// waits any more the statement is cancelled.
func TestGivesUpWaiting(t *testing.T) {
	s := startServer(t)
	pool, _ := s.counted()
	store := s.store(pool, "state")
	stays, leaves := s.open(store, "stays"), s.open(store, "leaves")
	errGone := errors.New("nobody waits")
	sent, cancelSent := context.WithCancelCause(t.Context())
	waiting, cancelWaiting := context.WithCancelCause(t.Context())
	var flights, gone, all sync.WaitGroup
	unlock := s.fillFlights(sent, pool, store, &flights, errGone)
	gone.Go(func() {
		if err := leaves.save(waiting, 1, "x"); !errors.Is(err, errGone) {
			t.Error(err)
		}
	})
	all.Go(func() {
		if err := stays.save(t.Context(), 1, "x"); err != nil {
			t.Error(err)
		}
	})
	s.waitFor("both wait", func() bool { return store.Waiting() == 2 })
	cancelWaiting(errGone)
	gone.Wait()
	cancelSent(errGone)
	flights.Wait()
	all.Wait() // although the rows of the first are still locked
	unlock()
	if _, r, err := store.Open(t.Context(), "leaves"); err != nil || len(r.Changes) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// BenchmarkSaves is a save of one of many keys that save at a time, with the round trips of each.
func BenchmarkSaves(b *testing.B) {
	for _, keys := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			s := startServer(b)
			pool, count := s.counted()
			store := s.store(pool, "state")
			owners := make([]owned, keys)
			for i := range owners {
				owners[i] = s.open(store, fmt.Sprint(i))
			}
			count.reset()
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			for _, o := range owners {
				all.Go(func() {
					for seq := uint64(1); left.Add(-1) >= 0; seq++ {
						if err := o.Save(b.Context(), state.Write{Token: o.token, Seq: seq, Snapshot: make([]byte, 200)}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(count.alone.Load()+count.batches.Load())/float64(b.N), "trips/op")
		})
	}
}
