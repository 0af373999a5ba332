// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/state"
)

// limited is a store that takes no record of more than 100 bytes.
type limited struct{ state.Store }

func (l limited) Open(ctx context.Context, key string) (state.Owner, state.Record, error) {
	o, r, err := l.Store.Open(ctx, key)
	return limitedOwner{o}, r, err
}

type limitedOwner struct{ state.Owner }

func (limitedOwner) MaxSize() int { return 100 }

// TestTooLarge: a change with which the state is too large for its store fails at once, alone, and has not happened. What is changed
// meanwhile is saved. A journal whose changes are too many for a record is stored as a whole before it is refused.
func TestTooLarge(t *testing.T) {
	starts := 0
	run(t, func(o *state.JournalOptions, k *grid.Kind) {
		o.Store, o.Every = limited{o.Store}, 1000
		setup := k.Setup
		starts = 0
		k.Setup = func(w *actors.Worker, id string) error { starts++; return setup(w, id) }
	}, func(w *world) {
		sum, refused := int64(0), 0
		for range 100 {
			large, small := w.request(1_000_000_000), w.request(1) // in this order, and saved together
			_, err := large.Wait(w.Context())
			switch {
			case err == nil:
				sum += 1_000_000_000
			case errors.Is(err, state.ErrTooLarge):
				refused++
			default:
				w.Fatal(err)
			}
			if _, err = small.Wait(w.Context()); err == nil {
				sum++
			} else if !errors.Is(err, state.ErrTooLarge) {
				w.Fatal(err)
			} else {
				break
			}
			if v := w.Now(); v != sum {
				w.Fatalf("the state is %d, and %d was added", v, sum)
			}
		}
		if refused == 0 || sum < 1_000_000_000 {
			w.Errorf("%d were refused, at a sum of %d", refused, sum)
		}
		if v := w.stored(); v.Sum != sum {
			w.Errorf("%d is stored, and %d was added", v.Sum, sum)
		}
		if starts != 1 {
			w.Errorf("the worker has failed %d times", starts-1)
		}
	})
}

// Now is what the state shows.
func (w *world) Now() int64 {
	w.Helper()
	v, err := w.request(1000).Wait(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return v.GetValue()
}

// TestTooLargeUnawares: a store that cannot say before what it takes fails the save and the worker, and at once.
func TestTooLargeUnawares(t *testing.T) {
	run(t, func(o *state.JournalOptions, k *grid.Kind) { o.Store, o.Every = unaware{o.Store}, 1 }, func(w *world) {
		w.want(1, 1)
		begun := time.Now()
		for sum := int64(1); ; sum += 1_000_000_000 {
			_, err := w.request(1_000_000_000).Wait(w.Context())
			if err == nil {
				continue
			}
			if !errors.Is(err, state.ErrTooLarge) || sum == 1 {
				w.Errorf("at a sum of %d: %v", sum, err)
			}
			if took := time.Since(begun); took > 0 {
				w.Errorf("it was tried again for %v", took)
			}
			w.wantAnew(1000, sum)
			return
		}
	})
}

// unaware is a store that takes no more than 50 bytes, and does not say so before.
type unaware struct{ state.Store }

func (s unaware) Open(ctx context.Context, key string) (state.Owner, state.Record, error) {
	o, r, err := s.Store.Open(ctx, key)
	return unawareOwner{o}, r, err
}

type unawareOwner struct{ state.Owner }

func (o unawareOwner) Save(ctx context.Context, w state.Write) error {
	for _, part := range append(w.Changes, w.Snapshot) {
		if len(part) > 50 {
			return state.ErrTooLarge
		}
	}
	return o.Owner.Save(ctx, w)
}
