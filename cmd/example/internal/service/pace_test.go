package service

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// TestPace: so many items are on their way at a time, and the next one begins,
// in its order, when one is handled, or takes too long.
func TestPace(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		w := actortest.Spawn(t, sys.Root, "adds", func(*actors.Worker) error { return nil }, actors.Options{})
		p := newPace(2)
		begin := func(key string, opts ...actors.CallOption) *actors.Future[struct{}] {
			f := actors.Submit(sys.Root, w, func(t *actors.Task) (struct{}, error) { return struct{}{}, p.begin(t, key) }, opts...)
			synctest.Wait()
			return f
		}
		expect := func(what string, want bool, fs ...*actors.Future[struct{}]) {
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

		e := begin("e")
		time.Sleep(wayLasts - 1)
		expect("c and d take long", false, e)
		time.Sleep(2)
		expect("c and d took too long", true, e)
		again, f := begin("e"), begin("f")
		expect("an item that is on its way, and another", true, again, f)

		g, h := begin("g", actors.Timeout(time.Millisecond)), begin("h")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if _, err := g.TryResult(); !errors.Is(err, actors.ErrTimeout) {
			t.Errorf("an add that was given up while it waited: %v", err)
		}
		p.end("e")
		expect("the one behind the one that was given up", true, h)
		p.end("f")
		p.end("h")
		if p.room != 2 || len(p.waiting) != 0 || len(p.onWay) != 0 {
			t.Errorf("at the end there is room for %d, %d wait, %d are on their way", p.room, len(p.waiting), len(p.onWay))
		}
	})
}
