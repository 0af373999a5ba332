// SPDX-License-Identifier: Apache-2.0

package pgstate

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/protoloop/protoloop/grid/state"
)

// batcher sends saves of many keys together: while some are on their way, what comes is gathered for
// the next, which is one round trip and one transaction for all of it. A save that comes alone is
// sent at once.
type batcher struct {
	pool *pgxpool.Pool
	// save waits for whoever has locked the row, and saveFree changes nothing then: one row is not to
	// hold up a batch, and batches of two processes do not wait for each other in a circle.
	save, saveFree string

	mu       sync.Mutex
	waiting  []*pendingSave
	inFlight int
}

const (
	// maxInFlight is how many batches are on their way at a time. With a second one, a connection that
	// hangs does not hold up all others.
	maxInFlight = 2
	// maxBatch and maxBatchBytes are how many saves there are in one, so that locks of rows are short.
	maxBatch      = 256
	maxBatchBytes = 4 << 20
)

// pendingSave is a save that is to be told what has come of it.
type pendingSave struct {
	key  []byte
	w    state.Write
	told chan outcome // has room for it
	sent *sentBatch   // with mu held; nil: it is not on its way
	left bool         // nobody waits any more
}

// outcome is how many rows a save has changed.
type outcome struct {
	rows int
	err  error
}

// sentBatch tracks who waits for a batch.
type sentBatch struct {
	waiters int
	cancel  context.CancelFunc
}

// saveRow makes a save together with others, and returns how many rows it has changed: 1 or 0, also if
// somebody has locked the row. If ctx ends before, it may be made all the same.
func (b *batcher) saveRow(ctx context.Context, key []byte, w state.Write) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	p := &pendingSave{key: key, w: w, told: make(chan outcome, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, p)
	if b.inFlight < maxInFlight {
		b.inFlight++
		go b.sendBatches()
	}
	b.mu.Unlock()
	select {
	case o := <-p.told:
		return o.rows, o.err
	case <-ctx.Done():
		b.leaveSave(p)
		return 0, context.Cause(ctx)
	}
}

// leaveSave notes that nobody waits for p. A batch that nobody waits for is cancelled.
func (b *batcher) leaveSave(p *pendingSave) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.left = true
	if p.sent != nil {
		if p.sent.waiters--; p.sent.waiters == 0 {
			p.sent.cancel()
		}
	}
}

// sendBatches sends batches as long as something waits.
func (b *batcher) sendBatches() {
	for {
		ctx, cancel := context.WithCancel(context.Background())
		batch := b.takeBatch(&sentBatch{cancel: cancel})
		if batch == nil {
			cancel()
			return
		}
		for i, o := range b.sendAll(ctx, batch) {
			batch[i].told <- o
		}
		cancel()
	}
}

// takeBatch is the next batch, or nil: then none is on its way.
func (b *batcher) takeBatch(f *sentBatch) (batch []*pendingSave) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, size := 0, 0
	for ; n < len(b.waiting) && len(batch) < maxBatch && size < maxBatchBytes; n++ {
		p := b.waiting[n]
		if p.left {
			continue
		}
		p.sent = f
		f.waiters++
		batch = append(batch, p)
		size += len(p.w.Snapshot)
		for _, c := range p.w.Changes {
			size += len(c)
		}
	}
	rest := copy(b.waiting, b.waiting[n:])
	clear(b.waiting[rest:])
	b.waiting = b.waiting[:rest]
	if batch == nil {
		b.inFlight--
	}
	return batch
}

// sendAll makes the saves of a batch, in one transaction.
func (b *batcher) sendAll(ctx context.Context, batch []*pendingSave) []outcome {
	outcomes := make([]outcome, len(batch))
	if len(batch) == 1 {
		outcomes[0].rows, outcomes[0].err = b.saveAlone(ctx, batch[0].key, batch[0].w)
		return outcomes
	}
	var all pgx.Batch
	for i, p := range batch {
		all.Queue(b.saveFree, saveArgs(p.key, p.w)...).QueryRow(func(row pgx.Row) error { return row.Scan(&outcomes[i].rows) })
	}
	err := b.pool.SendBatch(ctx, &all).Close()
	if err == nil {
		return outcomes
	}
	clear(outcomes) // the server has undone what the others have changed
	if _, one := errors.AsType[*pgconn.PgError](err); one {
		// It refuses one of them, as one that is too large. That is not to fail the others for ever.
		var each sync.WaitGroup
		for i, p := range batch {
			each.Go(func() { outcomes[i].rows, outcomes[i].err = b.saveAlone(ctx, p.key, p.w) })
		}
		each.Wait()
		return outcomes
	}
	for i := range outcomes {
		outcomes[i].err = err
	}
	return outcomes
}

// saveAlone makes one save, and returns how many rows it has changed.
func (b *batcher) saveAlone(ctx context.Context, key []byte, w state.Write) (rows int, err error) {
	err = b.pool.QueryRow(ctx, b.save, saveArgs(key, w)...).Scan(&rows)
	return rows, err
}

func saveArgs(key []byte, w state.Write) []any {
	changes := w.Changes
	if changes == nil {
		changes = [][]byte{}
	}
	return []any{key, w.Token, w.Seq, w.Snapshot, changes}
}
