// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
)

func TestMain(m *testing.M) { actortest.Main(m) }

type (
	word   = *wrapperspb.StringValue
	number = *wrapperspb.Int64Value
	pause  = *durationpb.Duration
)

func say(s string) word              { return wrapperspb.String(s) }
func count(n int64) number           { return wrapperspb.Int64(n) }
func sleeping(d time.Duration) pause { return durationpb.New(d) }
func accepts() []grid.Message {
	return []grid.Message{grid.MessageOf[word](), grid.MessageOf[number](), grid.MessageOf[pause]()}
}
func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(prefix, i)
	}
	return all
}

var errRefused = errors.New("refused")

// world is a grid with one kind in a bubble, and notes of the lives of its workers.
type world struct {
	*testing.T
	sys  *actor.ActorSystem
	root *actor.RootContext
	g    *grid.Grid

	mu    sync.Mutex
	lives map[string][]string // by key: "+" of a setup, "-" of an end
	up    map[string]int      // incarnations of a key that there are
}

// bubble starts a grid of k, and drains it at the end.
func bubble(t *testing.T, k grid.Kind, f func(w *world)) {
	t.Helper()
	bubbleOf(t, func(*world) grid.Kind { return k }, f)
}

// bubbleOf is bubble with a kind that knows the world.
func bubbleOf(t *testing.T, kind func(w *world) grid.Kind, f func(w *world)) {
	t.Helper()
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		w := &world{T: t, sys: sys, root: sys.Root, lives: map[string][]string{}, up: map[string]int{}}
		w.start(kind(w))
		defer synctest.Wait()
		f(w)
		report := w.drain()
		if c := report.Counts(); !c.Agree() || c.Pending != 0 {
			t.Errorf("the account does not add up: %v", c)
		}
	})
}

func (w *world) start(kinds ...grid.Kind) {
	w.Helper()
	g, err := grid.Start(w.Context(), w.sys, grid.Options{Kinds: kinds})
	if err != nil {
		w.Fatal(err)
	}
	w.g = g
}

func (w *world) drain() grid.Report {
	w.Helper()
	report, err := w.g.Drain(w.Context())
	if err != nil {
		w.Error(err)
	}
	return report
}

// note notes "+" or "-" in the life of a key. Two incarnations at a time are an error.
func (w *world) note(key, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lives[key] = append(w.lives[key], what)
	switch what {
	case "+":
		w.up[key]++
	case "-":
		w.up[key]--
	}
	if w.up[key] > 1 {
		w.Errorf("%d incarnations of %s at a time: %v", w.up[key], key, w.lives[key])
	}
}

func (w *world) livesOf(key string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprint(w.lives[key])
}

// counting is the kind that most tests use: each worker counts what it is asked. A number is
// added, a word is answered with itself and the count, a pause lasts.
func counting(w **world) grid.Kind {
	return grid.Kind{Name: "count", Accepts: accepts(), Setup: func(wk *actors.Worker, id string) error {
		(*w).note(id, "+")
		wk.OnStop(func(*actors.Task) error { (*w).note(id, "-"); return nil })
		count, words := int64(0), int64(0)
		actors.Handle(wk, func(t *actors.Task, n number) (number, error) {
			if n.Value < 0 {
				panic(fmt.Sprint("negative: ", n.Value))
			}
			count += n.Value
			return wrapperspb.Int64(count), nil
		})
		actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
			if m.Value == "" {
				return nil, errRefused
			}
			words++
			return say(fmt.Sprintf("%s %s %d", id, m.Value, words)), nil
		})
		actors.Handle(wk, func(t *actors.Task, d pause) (actors.None, error) {
			return actors.None{}, t.Sleep(d.AsDuration())
		})
		return nil
	}}
}

// run is bubble with the counting kind, changed by change.
func run(t *testing.T, change func(k *grid.Kind), f func(w *world)) {
	t.Helper()
	bubbleOf(t, func(w *world) grid.Kind {
		k := counting(&w)
		if change != nil {
			change(&k)
		}
		return k
	}, f)
}

func (w *world) pid(id string) *actor.PID { return w.g.PID("count", id) }

func (w *world) ask(id string, msg any, opts ...actors.CallOption) (string, error) {
	return answerOf(w.Context(), w.root, w.pid(id), msg, opts...)
}

// answerOf asks and returns the answer as text.
func answerOf(ctx context.Context, s actor.SenderContext, pid *actor.PID, msg any, opts ...actors.CallOption) (string, error) {
	switch msg.(type) {
	case word:
		v, err := actors.Call[word](ctx, s, pid, msg, opts...)
		return v.GetValue(), err
	case number:
		v, err := actors.Call[number](ctx, s, pid, msg, opts...)
		return fmt.Sprint(v.GetValue()), err
	}
	_, err := actors.Call[actors.None](ctx, s, pid, msg, opts...)
	return "", err
}

func (w *world) want(id string, msg any, want string) {
	w.Helper()
	got, err := w.ask(id, msg)
	if err != nil || got != want {
		w.Errorf("%s of %s: %q, %v; want %q", msg, id, got, err, want)
	}
}

// info is how the keys are once nothing goes on: an asker is answered before that is counted.
func (w *world) info() grid.KindInfo {
	synctest.Wait()
	return w.g.Kinds()[0]
}
