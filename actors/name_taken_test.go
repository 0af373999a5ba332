// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/goroutines"
)

// The engine lets a name be taken before it has told the actor which had it that it has
// stopped. Each of the two gets what is its own: here the first ends, in real time, under
// who takes the name as soon as that is free.
func TestNameTakenWhileItsWorkerStops(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8)) // one of them is held up now and then
	before := goroutines.Know()
	sys := actortest.NewSystem(t)
	props := actors.Props(none)
	pid := sys.Root.Spawn(props)
	rounds := 40_000
	if testing.Short() {
		rounds /= 4
	}
	for range rounds {
		taken := make(chan *actor.PID)
		go func(name string) {
			for {
				switch next, err := sys.Root.SpawnNamed(props, name); {
				case err == nil:
					taken <- next
					return
				case !errors.Is(err, actor.ErrNameExists):
					t.Error(err)
					close(taken)
					return
				}
				runtime.Gosched()
			}
		}(pid.Id)
		actors.RequestStop(sys.Root, pid, actors.NoGrace)
		if pid = <-taken; pid == nil {
			return
		}
	}
	actortest.Stop(t, sys.Root, pid, actors.NoGrace)
	actortest.Eventually(t, "the loops of all have ended", func() bool { return before.CountNew(ofLoops...) == 0 })
}

// userContext is what a decorator of the user's puts around the engine's context.
type userContext struct{ actor.Context }

// The same where code of the user's runs between the two: a middleware around all of ours.
func TestNameTakenInStopped(t *testing.T) {
	bubble(t, func(w *world) {
		var second *actor.PID
		take := func(next actor.ReceiverFunc) actor.ReceiverFunc {
			return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
				if _, stopped := env.Message.(*actor.Stopped); stopped && second == nil {
					second, _ = w.root.SpawnNamed(actors.Props(none), c.Self().Id)
				}
				next(c, env)
			}
		}
		first := w.root.Spawn(actor.PropsFromFunc(func(actor.Context) {}, actor.WithReceiverMiddleware(take),
			actor.WithContextDecorator(func(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc {
				return func(c actor.Context) actor.Context { return userContext{next(c)} }
			}), actors.EventLoop(actors.Options{})))
		if c := w.stopped(first, time.Minute); c.Failed > 0 {
			w.Errorf("the account of the first: %v", c)
		}
		if second == nil {
			w.Fatal("the name was not free in Stopped")
		}
		w.stopped(second, time.Minute)
	})
}
