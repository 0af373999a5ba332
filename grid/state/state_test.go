// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/statetest"
)

type number = *wrapperspb.Int64Value

func count(n int64) number { return wrapperspb.Int64(n) }

// tally is the state of most tests.
type tally struct {
	Sum   int64
	Steps []int64 `json:",omitempty"`
}

// Apply is for a journal.
func (v *tally) Apply(n int64) { v.Sum += n; v.Steps = append(v.Steps, n) }

var errDown = errors.New("the store is down")

// world is a grid in a bubble, with a kind whose workers keep a sum in a store with faults.
type world struct {
	*testing.T
	sys    *actor.ActorSystem
	g      *grid.Grid
	memory *state.Memory
	store  *statetest.Faulty

	mu    sync.Mutex
	saves int // calls of Save that the store has been asked for
}

// keeper is what both forms have.
type keeper interface {
	update(t *actors.Task, n int64) error
	sum() int64
	Saved(t *actors.Task) error
}

type whole struct{ *state.State[tally] }

func (s whole) update(t *actors.Task, n int64) error {
	return s.Update(t, func(v *tally) error {
		if n == 0 {
			return errors.New("nothing to add")
		}
		v.Apply(n)
		return nil
	})
}
func (s whole) sum() int64 { return s.Value().Sum }

type journal struct {
	*state.Journal[tally, int64, *tally]
}

func (j journal) update(t *actors.Task, n int64) error {
	if n == 0 {
		return errors.New("nothing to add")
	}
	return j.Record(t, n)
}
func (j journal) sum() int64 { return j.Value().Sum }

// run runs f in a bubble for each form of state.
func run(t *testing.T, change func(o *state.JournalOptions, k *grid.Kind), f func(w *world)) {
	t.Helper()
	for _, form := range []string{"state", "journal"} {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			w := &world{T: t, sys: sys, memory: new(state.Memory)}
			w.store = &statetest.Faulty{Store: w.memory}
			o := state.JournalOptions{Options: state.Options{Store: w.store, Kind: "sum"}, Every: 3}
			k := grid.Kind{Name: "sum", Accepts: []grid.Message{grid.MessageOf[number]()}, Share: true}
			k.Setup = func(wk *actors.Worker, id string) error {
				var s keeper
				if form == "state" {
					st, err := state.Load[tally](wk, id, o.Options)
					if err != nil {
						return err
					}
					s = whole{st}
				} else {
					st, err := state.LoadJournal[tally, int64](wk, id, o)
					if err != nil {
						return err
					}
					s = journal{st}
				}
				actors.Handle(wk, func(t *actors.Task, n number) (number, error) {
					if n.Value == 1000 { // reads
						return count(s.sum()), s.Saved(t)
					}
					if err := s.update(t, n.Value); err != nil {
						return nil, err
					}
					return count(s.sum()), nil
				})
				return nil
			}
			if change != nil {
				change(&o, &k)
			}
			var err error
			if w.g, err = grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{k}}); err != nil {
				t.Fatal(err)
			}
			w.faults(nil, nil)
			f(w)
			w.faults(nil, nil)
			if _, err := w.g.Drain(t.Context()); err != nil {
				t.Error(form, err)
			}
		})
		if t.Failed() {
			t.Fatal("with ", form)
		}
	}
}

// faults sets those of saves.
func (w *world) faults(before, after statetest.Fault) {
	w.store.Set(func(ctx context.Context, what, key string) error {
		if what == "save" {
			w.mu.Lock()
			w.saves++
			w.mu.Unlock()
			if before != nil {
				return before(ctx, what, key)
			}
		}
		return nil
	}, func(ctx context.Context, what, key string) error {
		if what == "save" && after != nil {
			return after(ctx, what, key)
		}
		return nil
	})
}

func (w *world) request(n int64, opts ...actors.CallOption) *actors.Future[number] {
	return actors.RequestFuture[number](w.sys.Root, w.g.PID("sum", "a"), count(n), opts...)
}

func (w *world) want(n, sum int64) {
	w.Helper()
	if v, err := w.request(n).Wait(w.Context()); err != nil || v.GetValue() != sum {
		w.Errorf("%d: %v, %v; want %d", n, v, err, sum)
	}
}

// wantAnew is want behind a save that has failed: until the worker restarts it tells others of that, too.
func (w *world) wantAnew(n, sum int64) {
	w.Helper()
	v, err := w.request(n).Wait(w.Context())
	for err != nil && strings.Contains(err.Error(), "sum/a was not saved") {
		time.Sleep(time.Millisecond)
		v, err = w.request(n).Wait(w.Context())
	}
	if err != nil || v.GetValue() != sum {
		w.Errorf("%d: %v, %v; want %d", n, v, err, sum)
	}
}

// stored is what a new worker would load.
func (w *world) stored() tally {
	w.Helper()
	_, r, err := w.memory.Open(w.Context(), "sum/a")
	if err != nil {
		w.Fatal(err)
	}
	var v tally
	if r.Snapshot != nil {
		if err := json.Unmarshal(r.Snapshot[1:], &v); err != nil {
			w.Fatal(err)
		}
	}
	for _, c := range r.Changes {
		var n int64
		if err := json.Unmarshal(c[1:], &n); err != nil {
			w.Fatal(err)
		}
		v.Apply(n)
	}
	return v
}

// The next worker of a key has the state of the one before, be that idle, drained or crashed.
func TestOutlivesItsWorker(t *testing.T) {
	run(t, func(_ *state.JournalOptions, k *grid.Kind) { k.Idle = time.Minute }, func(w *world) {
		sum := int64(0)
		for n := int64(1); n < 12; n++ {
			sum += n
			w.want(n, sum)
			if n%2 == 0 {
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if active := w.g.Kinds()[0].Active; active != 0 {
					w.Errorf("%d workers are idle", active)
				}
			}
		}
		w.want(1000, sum)
		if v := w.stored(); v.Sum != sum || fmt.Sprint(v.Steps) != "[1 2 3 4 5 6 7 8 9 10 11]" {
			w.Errorf("%+v", v)
		}
	})
}

// An answer goes out when its save was acknowledged, and a reader that asks for it waits, too.
func TestAnswerWaitsForTheSave(t *testing.T) {
	run(t, nil, func(w *world) {
		w.want(1, 1)
		hold := make(chan struct{})
		w.faults(nil, func(context.Context, string, string) error { <-hold; return nil })
		changed, read := w.request(5), w.request(1000)
		synctest.Wait()
		if changed.Done() || read.Done() {
			w.Error("an answer before the save")
		}
		if v := w.stored(); v.Sum != 6 { // which makes another owner
			w.Errorf("%+v", v)
		}
		close(hold)
		for _, f := range []*actors.Future[number]{changed, read} {
			if v, err := f.Wait(w.Context()); err != nil || v.GetValue() != 6 {
				w.Error(v, err)
			}
		}
	})
}

// With AnswerFirst it does not wait, and a drain waits for the save.
func TestAnswerFirst(t *testing.T) {
	run(t, func(o *state.JournalOptions, _ *grid.Kind) { o.AnswerFirst = true }, func(w *world) {
		begun := time.Now()
		w.faults(func(context.Context, string, string) error { time.Sleep(time.Second); return nil }, nil)
		w.want(1, 1)
		w.want(2, 3)
		if took := time.Since(begun); took != 0 {
			w.Error(took)
		}
		w.want(1000, 3) // waits for both
		if took := time.Since(begun); took != 2*time.Second {
			w.Error(took)
		}
		w.want(3, 6)
		if _, err := w.g.Drain(w.Context()); err != nil {
			w.Error(err)
		}
		if v := w.stored(); v.Sum != 6 {
			w.Errorf("%+v", v)
		}
	})
}

// What changes while a save is under way is saved by the next one, all together.
func TestSavesTogether(t *testing.T) {
	run(t, nil, func(w *world) {
		w.want(1, 1)
		w.saves = 0
		w.faults(func(context.Context, string, string) error { time.Sleep(time.Second); return nil }, nil)
		begun := time.Now()
		var all []*actors.Future[number]
		for range 100 {
			all = append(all, w.request(1))
		}
		for _, f := range all {
			if _, err := f.Wait(w.Context()); err != nil {
				w.Error(err)
			}
		}
		if took := time.Since(begun); took != 2*time.Second || w.saves != 2 {
			w.Error(took, w.saves)
		}
		if v := w.stored(); v.Sum != 101 {
			w.Errorf("%+v", v)
		}
	})
}

// A handler that refuses saves nothing.
func TestRefusedChange(t *testing.T) {
	run(t, nil, func(w *world) {
		w.want(1, 1)
		w.saves = 0
		if _, err := w.request(0).Wait(w.Context()); err == nil || err.Error() != "nothing to add" {
			w.Error(err)
		}
		if w.saves != 0 {
			w.Error(w.saves)
		}
	})
}

// A save whose answer is lost is made again, and counts once; one that finds the store down is tried until it is up.
func TestLostAnswersAndOutages(t *testing.T) {
	run(t, nil, func(w *world) {
		n := 0
		fails := func(times int) statetest.Fault {
			return func(context.Context, string, string) error {
				if n++; n <= times {
					return errDown
				}
				return nil
			}
		}
		w.faults(nil, fails(3))
		w.want(1, 1)
		n = 0
		w.faults(fails(5), nil)
		w.want(2, 3)
		if v := w.stored(); v.Sum != 3 || fmt.Sprint(v.Steps) != "[1 2]" {
			w.Errorf("%+v", v)
		}
	})
}

// A store that is down for too long fails the save and the worker, which then loads what is
// stored: here the save had been made.
func TestDownForTooLong(t *testing.T) {
	run(t, func(o *state.JournalOptions, k *grid.Kind) { k.Backoff = actors.Backoff{Initial: time.Second} }, func(w *world) {
		w.want(1, 1)
		w.faults(nil, func(context.Context, string, string) error { return errDown })
		begun := time.Now()
		first, second := w.request(2), w.request(4)
		for _, f := range []*actors.Future[number]{first, second} {
			if _, err := f.Wait(w.Context()); !errors.Is(err, errDown) || actors.RetrySafe(err) || !strings.Contains(err.Error(), "sum/a was not saved") {
				w.Error(err)
			}
		}
		if took := time.Since(begun); took < 9*time.Second || took > 10*time.Second {
			w.Error(took)
		}
		w.faults(nil, nil)
		w.wantAnew(1000, 3) // 2 was saved, and 4 was not
	})
}

// A store that hangs is given up, too, and so is one that is down in setup.
func TestHangs(t *testing.T) {
	run(t, nil, func(w *world) {
		w.faults(func(ctx context.Context, _, _ string) error { <-ctx.Done(); return context.Cause(ctx) }, nil)
		begun := time.Now()
		if _, err := w.request(2).Wait(w.Context()); !errors.Is(err, actors.ErrTimeout) {
			w.Error(err)
		}
		if took := time.Since(begun); took != 10*time.Second {
			w.Error(took)
		}
		w.store.Set(func(context.Context, string, string) error { return errDown }, nil)
		time.Sleep(3 * time.Minute) // the worker has ended
		if _, err := w.request(2).Wait(w.Context()); !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, errDown) || !actors.RetrySafe(err) {
			w.Error(err)
		}
	})
}

// A stale owner is told so, and its worker begins anew with what is stored.
func TestFenced(t *testing.T) {
	for _, share := range []bool{false, true} {
		run(t, func(_ *state.JournalOptions, k *grid.Kind) { k.Share = share }, func(w *world) {
			w.want(1, 1)
			other, r, err := w.memory.Open(w.Context(), "sum/a")
			if err != nil {
				w.Fatal(err)
			}
			if err := other.Save(w.Context(), state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("\x00{\"Sum\":50}")}); err != nil {
				w.Fatal(err)
			}
			if _, err := w.request(2).Wait(w.Context()); !errors.Is(err, actors.ErrFenced) || actors.RetrySafe(err) {
				w.Error(err)
			}
			w.wantAnew(2, 52)
			if err := other.Save(w.Context(), state.Write{Token: r.Token, Seq: 2, Snapshot: []byte("stale")}); !errors.Is(err, actors.ErrFenced) {
				w.Error(err)
			}
		})
	}
}

// A save that is held up until there is another owner comes too late, and changes nothing.
func TestLateSave(t *testing.T) {
	run(t, func(o *state.JournalOptions, _ *grid.Kind) { o.SaveWithin = time.Minute }, func(w *world) {
		w.want(1, 1)
		hold := make(chan struct{})
		w.faults(func(context.Context, string, string) error { <-hold; return nil }, nil)
		f := w.request(2)
		synctest.Wait()
		if v := w.stored(); v.Sum != 1 { // which makes another owner
			w.Errorf("%+v", v)
		}
		close(hold)
		if _, err := f.Wait(w.Context()); !errors.Is(err, actors.ErrFenced) {
			w.Error(err)
		}
		w.wantAnew(1000, 1)
	})
}

// An asker that gives up is told so. What it has changed is saved all the same.
func TestAskerGivesUp(t *testing.T) {
	run(t, nil, func(w *world) {
		w.faults(func(context.Context, string, string) error { time.Sleep(5 * time.Second); return nil }, nil)
		gone, stays := w.request(1, actors.Timeout(time.Second)), w.request(2)
		if _, err := gone.Wait(w.Context()); !errors.Is(err, actors.ErrTimeout) {
			w.Error(err)
		}
		if v, err := stays.Wait(w.Context()); err != nil || v.GetValue() != 3 {
			w.Error(v, err)
		}
		if v := w.stored(); v.Sum != 3 {
			w.Errorf("%+v", v)
		}
	})
}

// The end of a worker's grace cuts the save off, whose asker is told that it may have been made.
func TestDrainCutsOff(t *testing.T) {
	run(t, func(o *state.JournalOptions, k *grid.Kind) {
		k.Options.StopGrace, o.SaveWithin = time.Second, time.Minute
	}, func(w *world) {
		w.want(1, 1)
		w.faults(func(context.Context, string, string) error { return errDown }, nil)
		f := w.request(2)
		synctest.Wait()
		if _, err := w.g.Drain(w.Context()); err != nil {
			w.Error(err)
		}
		if _, err := f.Wait(w.Context()); !errors.Is(err, actors.ErrStopped) {
			w.Error(err)
		}
	})
}

// What an older program has stored is changed, step by step, when it is loaded. What a newer one has stored, or nobody, fails the setup.
func TestMigrations(t *testing.T) {
	rename := func(data []byte) ([]byte, error) {
		return []byte(strings.ReplaceAll(string(data), "Total", "Sum")), nil
	}
	double := func(data []byte) ([]byte, error) {
		var v tally
		err := json.Unmarshal(data, &v)
		v.Sum *= 2
		if err != nil {
			return nil, err
		}
		return json.Marshal(v)
	}
	negate := func(data []byte) ([]byte, error) { return append([]byte("-"), data...), nil }
	for stored, want := range map[string]int64{"\x00{\"Total\":7}": 14, "\x01{\"Sum\":7}": 14, "\x02{\"Sum\":7}": 7} {
		run(t, func(o *state.JournalOptions, _ *grid.Kind) {
			o.Format.Migrations = []func([]byte) ([]byte, error){rename, double}
			o.Changes.Migrations = []func([]byte) ([]byte, error){negate}
			owner, r, err := o.Store.Open(context.Background(), "sum/a")
			if err == nil {
				err = owner.Save(context.Background(), state.Write{Token: r.Token, Seq: 1, Snapshot: []byte(stored)})
			}
			if err != nil {
				t.Fatal(err)
			}
		}, func(w *world) {
			w.want(1000, want)
			w.want(1, want+1)
		})
	}
	for stored, want := range map[string]string{"\x03{}": "a newer one has stored it", "\x02x": "was not decoded", "\x01x": "migration 1 of", "": "no record"} {
		run(t, func(o *state.JournalOptions, _ *grid.Kind) {
			o.Format.Migrations = []func([]byte) ([]byte, error){rename, double}
			owner, r, err := o.Store.Open(context.Background(), "sum/a")
			if err == nil {
				err = owner.Save(context.Background(), state.Write{Token: r.Token, Seq: 1, Snapshot: []byte(stored)})
			}
			if err != nil {
				t.Fatal(err)
			}
		}, func(w *world) {
			if _, err := w.request(1).Wait(w.Context()); !errors.Is(err, actors.ErrUnavailable) || !strings.Contains(err.Error(), want) {
				w.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// A Format that panics fails the save, and hangs nobody.
func TestEncodingFails(t *testing.T) {
	for _, fault := range []func() error{func() error { panic("boom") }, func() error { return errors.New("boom") }} {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{{
				Name: "sum", Accepts: []grid.Message{grid.MessageOf[number]()}, Share: true, Setup: func(w *actors.Worker, id string) error {
					s, err := state.Load[tally](w, id, state.Options{Store: new(state.Memory), Kind: "sum", Format: state.Format{
						Encode: func(any) ([]byte, error) { return nil, fault() }, Decode: func([]byte, any) error { return nil },
					}})
					if err != nil {
						return err
					}
					actors.Handle(w, func(t *actors.Task, n number) (number, error) {
						return n, s.Update(t, func(v *tally) error { v.Sum++; return nil })
					})
					return nil
				},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := actors.Call[number](t.Context(), sys.Root, g.PID("sum", "a"), count(1)); err == nil || !strings.Contains(err.Error(), "sum/a was not saved") {
				t.Error(err)
			}
			if _, err := g.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	bad := state.Options{Format: state.Format{Encode: func(any) ([]byte, error) { return nil, nil }}}
	err := bad.Validate()
	var option *actors.OptionError
	for _, want := range []string{"Store is missing", "Kind is missing", "Format has one of"} {
		if !errors.As(err, &option) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := (state.Options{Store: new(state.Memory), Kind: "a"}).Validate(); err != nil {
		t.Error(err)
	}
}

// A record that is stored as one value is read as it was; anything else is an error, and no panic.
func FuzzRecord(f *testing.F) {
	f.Add([]byte{})
	for _, r := range []state.Record{{}, {Token: 1}, {Token: 300, Seq: 2, Snapshot: []byte("s"), Changes: [][]byte{[]byte("a"), []byte("b")}}} {
		b, _ := r.AppendBinary(nil)
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again state.Record
		if r.UnmarshalBinary(b) != nil {
			return
		}
		out, err := r.AppendBinary(nil)
		if err == nil {
			err = again.UnmarshalBinary(out)
		}
		if err != nil || fmt.Sprint(r) != fmt.Sprint(again) {
			t.Errorf("%v, then %v, %v", r, again, err)
		}
	})
}
