// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"errors"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/futuretest"
)

func TestAnyIsTheFirstSuccess(t *testing.T) {
	ps, fs := futuretest.Promises(3)
	f := futures.Any(fs...)
	ps[1].Reject(errLeft)
	futuretest.WantPending(t, "Any", f)
	ps[2].Resolve(2)
	ps[0].Resolve(0)
	futuretest.WantNow(t, "Any", f, 2)
}

func TestAnyFailsWhenAllHaveFailed(t *testing.T) {
	ps, fs := futuretest.Promises(2)
	f := futures.Any(fs...)
	ps[1].Reject(errRight)
	ps[0].Reject(errLeft)
	futuretest.WantFailed(t, "Any", f, errLeft)
	futuretest.WantFailed(t, "Any", f, errRight)
	if _, err := f.TryResult(); err.Error() != "left\nright" {
		t.Errorf("got %q", err)
	}
}

func TestRaceIsTheFirstToEnd(t *testing.T) {
	ps, fs := futuretest.Promises(3)
	f, other := futures.Race(fs...), futures.Race(fs[0], fs[2])
	ps[1].Reject(errLeft)
	futuretest.WantFailed(t, "Race", f, errLeft)
	futuretest.WantPending(t, "a race of others", other)
	ps[2].Resolve(2)
	futuretest.WantNow(t, "a race of others", other, 2)
	futuretest.WantPending(t, "a loser", fs[0])
}

// Work of several workers that fails at the same time.
func TestAnyOfWorkThatFailsAtOnce(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		pids := []*actor.PID{w.Worker("a", actors.Options{}, futuretest.None), w.Worker("b", actors.Options{}, futuretest.None), w.Worker("c", actors.Options{}, futuretest.None)}
		for range 200 {
			begin := new(actors.Promise[int])
			var fs []*actors.Future[int]
			for _, pid := range pids {
				fs = append(fs, actors.Submit(w.Root, pid, func(t *actors.Task) (int, error) {
					_, err := actors.Await(t, begin.Future())
					return 0, errors.Join(err, errLeft)
				}))
			}
			f := futures.Any(fs...)
			begin.Resolve(0)
			futuretest.WantErr(w, f, errLeft)
		}
	})
}
