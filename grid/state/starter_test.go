// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/state"
)

// starting is a store whose owners start saves.
type starting struct {
	state.Store

	mu             sync.Mutex
	started, saved int // calls
	// how makes a started save, on a goroutine. nil: it is made at once.
	how func(save func() error) error
}

func (s *starting) Open(ctx context.Context, key string) (state.Owner, state.Record, error) {
	o, r, err := s.Store.Open(ctx, key)
	return startingOwner{s, o}, r, err
}

// set sets how, and begins to count anew.
func (s *starting) set(how func(save func() error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started, s.saved, s.how = 0, 0, how
}

func (s *starting) want(t *testing.T, started, saved int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started != started || s.saved != saved {
		t.Errorf("%d saves were started, and %d made by Save; want %d and %d", s.started, s.saved, started, saved)
	}
}

type startingOwner struct {
	s *starting
	o state.Owner
}

func (o startingOwner) Start(w state.Write) *actors.Future[actors.None] {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	o.s.started++
	how := o.s.how
	p := new(actors.Promise[actors.None])
	go func() {
		save := func() error { return o.o.Save(context.Background(), w) }
		var err error
		if how == nil {
			err = save()
		} else {
			err = how(save)
		}
		if err != nil {
			p.Reject(err)
		} else {
			p.Resolve(actors.None{})
		}
	}()
	return p.Future()
}

func (o startingOwner) Save(ctx context.Context, w state.Write) error {
	o.s.mu.Lock()
	o.s.saved++
	o.s.mu.Unlock()
	return o.o.Save(ctx, w)
}

// runStarting is run with such a store, behind which is that with faults.
func runStarting(t *testing.T, change func(o *state.JournalOptions, k *grid.Kind), f func(w *world, s *starting)) {
	t.Helper()
	var s *starting
	run(t, func(o *state.JournalOptions, k *grid.Kind) {
		s = &starting{Store: o.Store}
		o.Store = s
		if change != nil {
			change(o, k)
		}
	}, func(w *world) {
		f(w, s)
		s.set(nil)
	})
}

// Saves are started, one after the other, and what changes meanwhile is in the next.
func TestStarted(t *testing.T) {
	runStarting(t, nil, func(w *world, s *starting) {
		w.want(1, 1)
		s.set(func(save func() error) error { time.Sleep(100 * time.Millisecond); return save() })
		begun := time.Now()
		var all []*actors.Future[number]
		for range 100 {
			all = append(all, w.request(1))
		}
		synctest.Wait()
		if all[0].Done() {
			w.Error("an answer before the save")
		}
		for _, f := range all {
			if _, err := f.Wait(w.Context()); err != nil {
				w.Error(err)
			}
		}
		if took := time.Since(begun); took != 200*time.Millisecond {
			w.Error(took)
		}
		s.want(w.T, 2, 0)
		if v := w.stored(); v.Sum != 101 {
			w.Errorf("%+v", v)
		}
	})
}

// A started save that does not know what became of it is made by Save, and counts once, be it stored or not.
func TestStartedDoesNotKnow(t *testing.T) {
	for _, stores := range []bool{false, true} {
		runStarting(t, nil, func(w *world, s *starting) {
			s.set(func(save func() error) error {
				if stores {
					if err := save(); err != nil {
						return err
					}
				}
				return errDown
			})
			w.want(1, 1)
			w.want(2, 3)
			s.want(w.T, 2, 2)
			n := 0
			w.faults(func(context.Context, string, string) error {
				if n++; n%4 != 0 {
					return errDown
				}
				return nil
			}, nil)
			w.want(3, 6) // Save is tried again, too
			w.faults(nil, nil)
			if v := w.stored(); v.Sum != 6 || fmt.Sprint(v.Steps) != "[1 2 3]" {
				w.Errorf("%+v", v)
			}
		})
	}
}

// A started save that is fenced is not made by Save: its worker begins anew.
func TestStartedIsFenced(t *testing.T) {
	runStarting(t, nil, func(w *world, s *starting) {
		w.want(1, 1)
		s.set(nil)
		w.stored() // which makes another owner
		if _, err := w.request(2).Wait(w.Context()); !errors.Is(err, actors.ErrFenced) || actors.RetrySafe(err) {
			w.Error(err)
		}
		s.want(w.T, 1, 0)
		w.wantAnew(2, 3)
	})
}

// An asker that gives up does not end the started save, which a drain waits for.
func TestStartedGoesOn(t *testing.T) {
	runStarting(t, func(o *state.JournalOptions, _ *grid.Kind) { o.AnswerFirst = true }, func(w *world, s *starting) {
		s.set(func(save func() error) error { time.Sleep(900 * time.Millisecond); return save() })
		w.want(1, 1)
		if _, err := w.request(1000, actors.Timeout(time.Millisecond)).Wait(w.Context()); !errors.Is(err, actors.ErrTimeout) {
			w.Error(err)
		}
		if _, err := w.g.Drain(w.Context()); err != nil {
			w.Error(err)
		}
		s.want(w.T, 1, 0)
		if v := w.stored(); v.Sum != 1 {
			w.Errorf("%+v", v)
		}
	})
}

// The end of a worker's grace cuts a started save off, as any other.
func TestDrainCutsOffStarted(t *testing.T) {
	runStarting(t, func(_ *state.JournalOptions, k *grid.Kind) { k.Options.StopGrace = 100 * time.Millisecond }, func(w *world, s *starting) {
		w.want(1, 1)
		s.set(func(func() error) error { time.Sleep(900 * time.Millisecond); return errDown })
		f := w.request(2)
		synctest.Wait()
		begun := time.Now()
		if _, err := w.g.Drain(w.Context()); err != nil {
			w.Error(err)
		}
		if took := time.Since(begun); took != 100*time.Millisecond {
			w.Error(took)
		}
		if _, err := f.Wait(w.Context()); !errors.Is(err, actors.ErrStopped) {
			w.Error(err)
		}
		s.want(w.T, 1, 0)
		time.Sleep(time.Second) // it ends, and nobody waits for it
	})
}

// Who wants to know sooner than a Starter has to tell has no saves started. The time that a started save took is part of SaveWithin.
func TestStartedWithin(t *testing.T) {
	for within, started := range map[time.Duration]int{-1: 1, 999 * time.Millisecond: 0, time.Second: 1, 3 * time.Second: 1} {
		runStarting(t, func(o *state.JournalOptions, _ *grid.Kind) { o.SaveWithin = within }, func(w *world, s *starting) {
			s.set(func(func() error) error { time.Sleep(900 * time.Millisecond); return errDown })
			w.faults(func(context.Context, string, string) error { return errDown }, nil)
			begun := time.Now()
			if _, err := w.request(1).Wait(w.Context()); !errors.Is(err, errDown) {
				w.Error(err)
			}
			if took := time.Since(begun); within > 0 && took > within {
				w.Errorf("the save has failed after %v, and is to within %v", took, within)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.started != started || s.saved == 0 {
				w.Errorf("within %v: %d started, %d by Save", within, s.started, s.saved)
			}
		})
	}
}
