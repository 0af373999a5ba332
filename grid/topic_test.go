// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

var (
	words   = grid.TopicOf[word]("words")
	others  = grid.TopicOf[word]("others.* >")
	numbers = grid.TopicOf[number]("numbers")
)

// ears is what workers have heard, by their names.
type ears struct {
	mu    sync.Mutex
	heard map[string][]string
}

func (e *ears) note(who, what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.heard == nil {
		e.heard = map[string][]string{}
	}
	e.heard[who] = append(e.heard[who], what)
}

// of is what a worker has heard since the last time.
func (e *ears) of(who string) string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.heard[who]
	delete(e.heard, who)
	return strings.Join(all, ", ")
}

func (e *ears) count(who string) int {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.heard[who])
}

// spawn starts a worker that hears words, and if it is told to panic it does.
func (e *ears) spawn(t *testing.T, sys *actor.ActorSystem, name string, o actors.Options) *actor.PID {
	t.Helper()
	pid, err := actors.Spawn(t.Context(), sys.Root, name, e.setup(name), o)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (e *ears) setup(name string) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		n := 0 // of this incarnation
		words.On(w, func(t *actors.Task, m word) error {
			if m.Value == "panic" {
				panic("as it was told")
			}
			n++
			e.note(name, fmt.Sprint(m.Value, " ", n))
			if d, err := time.ParseDuration(m.Value); err == nil {
				return t.Sleep(d)
			}
			m.Value = "changed"
			return nil
		})
		return nil
	}
}

// TestPublishInOneProcess: without a Net each worker that has subscribed hears its own copy, in order.
func TestPublishInOneProcess(t *testing.T) {
	run(t, nil, func(w *world) {
		e := &ears{}
		a := e.spawn(w.T, w.sys, "a", actors.Options{})
		e.spawn(w.T, w.sys, "b", actors.Options{})
		m := say("hello")
		for range 3 {
			if err := words.Publish(w.root, m); err != nil {
				t.Error(err)
			}
		}
		for _, who := range []string{"a", "b"} {
			if got := e.of(who); got != "hello 1, hello 2, hello 3" {
				t.Errorf("%s has heard %s", who, got)
			}
		}
		if m.Value != "hello" {
			t.Errorf("a worker had what was published itself, and not a copy: %q", m.Value)
		}
		if _, err := actors.Stop(w.Context(), w.root, a, actors.Forever); err != nil {
			t.Error(err)
		}
		_ = words.Publish(w.root, say("one"))
		if got := e.of("a") + "/" + e.of("b"); got != "/one 4" {
			t.Errorf("after the stop of a: %s", got)
		}
	})
}

// TestPublishToOtherNodes: a worker on another node hears it, once, and so does each worker of the own.
func TestPublishToOtherNodes(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		e := &ears{}
		for _, m := range w.all {
			for i := range 3 {
				e.spawn(t, m.sys, fmt.Sprint(m.Name(), "/", i), actors.Options{})
			}
		}
		time.Sleep(10 * time.Millisecond)
		for i := range 5 {
			if err := words.Publish(w.all[0].sys.Root, say(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(10 * time.Millisecond)
		for _, m := range w.all {
			for i := range 3 {
				if got := e.of(fmt.Sprint(m.Name(), "/", i)); got != "0 1, 1 2, 2 3, 3 4, 4 5" {
					t.Errorf("%s/%d has heard %s", m.Name(), i, got)
				}
			}
		}
	})
}

var _ = slices.Sorted[string]
var _ = actortest.NewLog
var _ = others
var _ = numbers
