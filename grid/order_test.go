// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

// TestOrderOfOneSender: while a key stays where it is, what one sender has sent comes in that order, sends and asks, also what
// has waited for somebody who has the key.
func TestOrderOfOneSender(t *testing.T) {
	var mu sync.Mutex
	var got []string
	onNetwork(t, 0, gridtest.Options{FrameLatency: 3 * time.Millisecond}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, m.Value)
				return m, nil
			})
			return nil
		}
	}, func(t *testing.T, w *machines, _ *runLog) {
		w.change = func(o *grid.Options) { o.Kinds[0].Setup = nil }
		asker := w.startAs("asker")
		w.change = nil
		var want []string
		send := func() {
			text := fmt.Sprint(len(want))
			want = append(want, text)
			if len(want)%3 == 0 {
				asker.sys.Root.Send(asker.g.PID("account", "k"), say(text))
			} else {
				w.future(asker, "k", text)
			}
		}
		for range 200 { // nobody has the key
			send()
			time.Sleep(3 * time.Millisecond)
		}
		w.start()
		for range 1000 { // … until now
			send()
			time.Sleep(3 * time.Millisecond)
		}
		for range 300 {
			send()
		}
		time.Sleep(5 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(got, want) {
			t.Errorf("%d of %d have come, in the order %s", len(got), len(want), strings.Join(got, " "))
		}
	})
}

// TestPlainSendThatNobodyHas is a dead letter, when that is known; it is not lost while somebody may come who has the key.
func TestPlainSendThatNobodyHas(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		w.warm(asker, "k")
		var mu sync.Mutex
		var dead []string
		asker.sys.EventStream.Subscribe(func(e any) {
			if d, is := e.(*actor.DeadLetterEvent); is && d.PID != nil && d.PID.Address == grid.Address {
				mu.Lock()
				defer mu.Unlock()
				dead = append(dead, d.Message.(word).Value)
			}
		})
		w.crash(owner)
		time.Sleep(50 * time.Millisecond) // the network knows, and the others do not yet
		asker.sys.Root.Send(asker.g.PID("account", "k"), say("moves"))
		time.Sleep(5 * time.Second)
		runs.want("moves", 1, 1)
		w.change = func(o *grid.Options) { o.Kinds[0].Setup = nil }
		only := w.startAs("only")
		w.change = nil
		only.sys.EventStream.Subscribe(func(e any) {
			if d, is := e.(*actor.DeadLetterEvent); is && d.PID != nil && d.PID.Address == grid.Address {
				mu.Lock()
				defer mu.Unlock()
				dead = append(dead, d.Message.(word).Value)
			}
		})
		w.crash(asker)
		time.Sleep(5 * time.Second)
		only.sys.Root.Send(only.g.PID("account", "k"), say("nobody"))
		time.Sleep(40 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(dead, []string{"nobody"}) {
			t.Errorf("dead letters: %q", dead)
		}
	})
}
