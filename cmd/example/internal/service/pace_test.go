// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
)

// TestPace: so many items are on their way at a time, and the next one begins,
// in its order, when one is handled. If one takes too long all begin, until one is
// handled in time.
func TestPace(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		w := actortest.Spawn(t, sys.Root, "adds", func(*actors.Worker) error { return nil }, actors.Options{})
		p := newPace(2)
		begin := func(key string, opts ...actors.CallOption) *actors.Future[actors.None] {
			f := actors.Submit(sys.Root, w, func(t *actors.Task) (struct{}, error) { return struct{}{}, p.begin(t, key) }, opts...)
			synctest.Wait()
			return f
		}
		expect := func(what string, want bool, fs ...*actors.Future[actors.None]) {
			t.Helper()
			synctest.Wait()
			for i, f := range fs {
				if f.Done() != want {
					t.Errorf("%s: add %d of %d has begun: %t", what, i+1, len(fs), !want)
				}
			}
		}
		a, b, c, d := begin("a"), begin("b"), begin("c"), begin("d")
		expect("room for two", true, a, b)
		expect("no more room", false, c, d)
		p.end("b")
		expect("one is handled", true, c)
		expect("one is handled", false, d)
		p.end("b")
		p.end("x")
		expect("what is not on its way has ended", false, d)
		p.end("a")
		expect("the other is handled", true, d)

		e, f := begin("e", actors.Timeout(time.Millisecond)), begin("f")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if _, err := e.TryResult(); !errors.Is(err, actors.ErrTimeout) {
			t.Errorf("an add that was given up while it waited: %v", err)
		}
		p.end("c")
		expect("the one behind the one that was given up", true, f)
		again, g, h := begin("f"), begin("g"), begin("h")
		expect("no more room", false, again, g, h)
		time.Sleep(wayLasts - time.Millisecond - time.Nanosecond)
		expect("d takes long", false, again, g, h)
		time.Sleep(2 * time.Nanosecond)
		expect("d took too long", true, again, g, h)
		i, j := begin("i"), begin("j")
		expect("all pass", true, i, j)
		p.end("d")
		expect("one that took too long is handled", true, begin("k"))
		p.end("k")
		l := begin("l")
		expect("one is handled in time", false, l)
		for _, key := range []string{"f", "g", "h"} {
			p.end(key)
			expect("there are more than there is room for", false, l)
		}
		p.end("i")
		expect("there is room again", true, l)
		p.end("j")
		p.end("l")
		if p.room != 2 || p.all || len(p.waiting) != 0 || len(p.onWay) != 0 {
			t.Errorf("at the end there is room for %d, %d wait, %d are on their way", p.room, len(p.waiting), len(p.onWay))
		}
	})
}

// TestPaceOfHandler: an item is on its way until the handler has returned,
// whatever has become of it.
func TestPaceOfHandler(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		failure := errors.New("not written")
		list := actortest.Spawn(t, sys.Root, "list", func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, p put) (struct{}, error) {
				if err := t.Sleep(wayLasts / 2); err != nil {
					return struct{}{}, err
				}
				if p.Key == "bad" {
					return struct{}{}, failure
				}
				return struct{}{}, nil
			})
			return nil
		}, actors.Options{})
		w := actortest.Spawn(t, sys.Root, "consumer", func(*actors.Worker) error { return nil }, actors.Options{})
		p := newPace(1)
		handle := handler(ofProcess{list}, p)
		room := func() int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.room
		}
		for key, want := range map[string]error{"good": nil, "bad": failure, "empty": consumer.ErrPoison} {
			text := "x"
			if key == "empty" {
				text = ""
			}
			f := actors.Submit(sys.Root, w, func(t *actors.Task) (struct{}, error) {
				if err := p.begin(t, key); err != nil {
					return struct{}{}, err
				}
				return struct{}{}, handle(t, consumer.Message{Body: fmt.Appendf(nil, `{"key":%q,"text":%q}`, key, text)})
			})
			synctest.Wait()
			if onWay := room() == 0; onWay != (key != "empty") {
				t.Errorf("%s: on its way while it is handled: %t", key, onWay)
			}
			if _, err := f.Wait(t.Context()); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", key, err, want)
			}
			if n := room(); n != 1 {
				t.Errorf("%s: room for %d when it has been handled", key, n)
			}
		}
	})
}
