// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/supervisor"
)

// singleton makes the counting kind one with a single key.
func singleton(k *grid.Kind) { *k = grid.Singleton(*k) }

// TestSingleton: its worker runs before anybody asks, takes messages, never ends for being idle, and has no sibling.
func TestSingleton(t *testing.T) {
	run(t, singleton, func(w *world) {
		if info := w.info(); info.Active != 1 || w.livesOf(grid.Only) != "[+]" || info.Counts.Offered != 0 {
			w.Errorf("after the start: %+v, %s", info, w.livesOf(grid.Only))
		}
		time.Sleep(24 * time.Hour)
		w.want(grid.Only, say("hello"), "only hello 1")
		if _, err := w.ask("other", say("hello")); !errors.Is(err, actors.ErrDeadLetter) || !strings.Contains(err.Error(), "other") {
			w.Errorf("another key: %v", err)
		}
		if w.livesOf(grid.Only) != "[+]" || w.livesOf("other") != "[]" {
			w.Error(w.livesOf(grid.Only), w.livesOf("other"))
		}
	})
}

// TestAlwaysStartsAnew: a worker that ends is started anew, by and by more slowly, whyever it has ended.
func TestAlwaysStartsAnew(t *testing.T) {
	for name, end := range map[string]func(w *actors.Worker) error{
		"its setup fails": func(*actors.Worker) error { return errRefused },
		"it exits":        func(w *actors.Worker) error { w.Task().Exit(nil); return nil },
		"it fails for good": func(w *actors.Worker) error {
			w.Background("part", func(*actors.Task) error { return supervisor.ErrDoNotRestart })
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var begins atomic.Int64
			run(t, func(k *grid.Kind) {
				k.Backoff = actors.Backoff{Initial: time.Second, Max: time.Minute}
				k.Always = []string{"a"}
				setup := k.Setup
				k.Setup = func(w *actors.Worker, id string) error {
					if begins.Add(1) <= 10 {
						return end(w)
					}
					return setup(w, id)
				}
			}, func(w *world) {
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if n := begins.Load(); n < 3 || n > 5 { // after 1, 2, 4 and 8 s
					w.Errorf("it has begun %d times in 20 s", n)
				}
				time.Sleep(10 * time.Minute)
				w.want("a", say("hello"), "a hello 1")
				if n := begins.Load(); n != 11 {
					w.Errorf("it has begun %d times", n)
				}
			})
		})
	}
}

// TestAlwaysEndsWithTheGrid, and begins anew with it.
func TestAlwaysEndsWithTheGrid(t *testing.T) {
	run(t, singleton, func(w *world) {
		sup, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: "app", Strategy: supervisor.OneForAll, MaxRestarts: 3, Children: []supervisor.Child{
			{Name: "grid", Props: w.g.Props(), Shutdown: time.Minute},
			{Name: "crasher", Props: actors.Props(func(w *actors.Worker) error {
				actors.On(w, func(*actors.Task, string) error { panic("asked to") })
				return nil
			})},
		}})
		if err != nil {
			w.Fatal(err)
		}
		w.root.Send(sup.Child("crasher"), "crash")
		time.Sleep(time.Second)
		if w.livesOf(grid.Only) != "[+ - +]" {
			w.Errorf("after a restart of the grid's child: %s", w.livesOf(grid.Only))
		}
		if _, err := sup.Stop(w.Context()); err != nil {
			w.Error(err)
		}
		time.Sleep(time.Hour)
		if w.livesOf(grid.Only) != "[+ - + -]" {
			w.Errorf("after the stop: %s", w.livesOf(grid.Only))
		}
	})
}

// TestSingletonOfACluster runs on one node at a time, and goes on at another one when that ends.
func TestSingletonOfACluster(t *testing.T) {
	onMachines(t, 3, func(k *grid.Kind) { k.Name = "nightly"; *k = grid.Singleton(*k) }, func(w *machines) {
		for range 10 {
			at := w.placeOf(grid.Only)
			var owner *machine
			for i, m := range w.all {
				if m.Name() == at {
					owner = m
					w.all = append(w.all[:i:i], w.all[i+1:]...)
				}
			}
			if owner == nil {
				w.Fatal("it runs nowhere")
			}
			began := time.Now()
			w.drain(owner)
			time.Sleep(time.Second)
			if next := w.placeOf(grid.Only); next == "" || next == at {
				w.Errorf("%v after the drain of %s it runs on %q", time.Since(began), at, next)
			}
			w.start()
			time.Sleep(5 * time.Second)
		}
		at := w.placeOf(grid.Only)
		for _, m := range w.all {
			if m.Name() == at {
				m.Cut(0xff)
			}
		}
		time.Sleep(machineLease + 2*time.Second)
		if next := w.placeOf(grid.Only); next == "" || next == at {
			w.Errorf("after %s was cut off it runs on %q", at, next)
		}
	})
}

// TestTrap4MachineSleepsInBackground: what runs without being asked ends with the lease, too, and begins no turn behind an await, nor
// what was to begin later; and it is begun anew when the node is back.
func TestTrap4MachineSleepsInBackground(t *testing.T) {
	var mu sync.Mutex
	ticks, laters := 0, 0
	onMachines(t, 1, func(k *grid.Kind) {
		k.Name = "nightly"
		*k = grid.Singleton(*k)
		k.Setup = func(wk *actors.Worker, _ string) error {
			wk.Background("tick", func(t *actors.Task) error {
				t.After(4*time.Second, func(*actors.Task) error {
					mu.Lock()
					defer mu.Unlock()
					laters++
					return nil
				})
				for {
					if err := t.Sleep(100 * time.Millisecond); err != nil {
						return err
					}
					mu.Lock()
					ticks++
					mu.Unlock()
				}
			})
			return nil
		}
	}, func(w *machines) {
		m := w.all[0]
		take := func() (n, m int) {
			mu.Lock()
			defer mu.Unlock()
			n, m, ticks, laters = ticks, laters, 0, 0
			return n, m
		}
		if n, _ := take(); n == 0 {
			w.Fatal("it does not run")
		}
		// Begun anew, so that what begins later has not begun.
		m.Expire()
		time.Sleep(2 * time.Second)
		take()
		m.Suspend() // what it runs does not stand still here: it goes on as it would after the sleep
		time.Sleep(machineLease)
		take()
		time.Sleep(5 * time.Second)
		if n, later := take(); n+later > 0 {
			w.Errorf("%d turns have begun when the lease was over, and %d tasks", n, later)
		}
		m.Resume()
		time.Sleep(10 * time.Second)
		if n, later := take(); n == 0 || later == 0 {
			w.Errorf("it has not begun anew: %d turns, %d tasks", n, later)
		}
	})
}

// TestAlwaysIsMistaken: what a kind with Always may not have.
func TestAlwaysIsMistaken(t *testing.T) {
	kind := grid.Kind{Name: "k", Setup: func(*actors.Worker, string) error { return nil }, Always: []string{"a", "", "a"}, Idle: time.Hour}
	err := grid.Options{Kinds: []grid.Kind{kind}}.Validate()
	for _, want := range []string{"empty key", "twice", "Idle"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	kind.Always, kind.Idle = []string{"a"}, 0
	if err := (grid.Options{Kinds: []grid.Kind{kind}}).Validate(); err != nil {
		t.Errorf("one without Accepts, which nobody asks: %v", err)
	}
}
