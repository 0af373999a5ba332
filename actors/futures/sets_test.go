// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/futuretest"
)

// wantSets fails the test unless f is done, with these.
func wantSets(t testing.TB, what string, f *actors.Future[futures.Sets[int]], done, pending []*actors.Future[int]) {
	t.Helper()
	s, err := f.TryResult()
	if err != nil || !slices.Equal(s.Done, done) || !slices.Equal(s.Pending, pending) {
		t.Errorf("%s: got %v, %v; want %d done and %d pending, in order", what, s, err, len(done), len(pending))
	}
}

// checkSets checks what holds for all sets of fs.
func checkSets(t testing.TB, s futures.Sets[int], fs []*actors.Future[int]) {
	t.Helper()
	done, pending := s.Done, s.Pending
	for _, f := range fs {
		switch {
		case len(done) > 0 && done[0] == f:
			if done = done[1:]; !f.Done() {
				t.Error("one that is not done is among those that are")
			}
		case len(pending) > 0 && pending[0] == f:
			pending = pending[1:]
		default:
			t.Error("one is in neither set, or not in order")
		}
	}
	if len(s.Done) == 0 || len(done)+len(pending) > 0 {
		t.Errorf("%d are done, and %d are too many", len(s.Done), len(done)+len(pending))
	}
}

// asyncio.wait: what is told is what is done at that moment.
func TestFirstCompleted(t *testing.T) {
	ps, fs := futuretest.Promises(4)
	first := futures.FirstCompleted(fs...)
	futuretest.WantPending(t, "FirstCompleted", first)
	ps[2].Reject(errLeft)
	wantSets(t, "after a failure", first, fs[2:3], []*actors.Future[int]{fs[0], fs[1], fs[3]})
	ps[1].Resolve(1)
	ps[3].Resolve(3)
	wantSets(t, "a moment later", first, fs[2:3], []*actors.Future[int]{fs[0], fs[1], fs[3]})
	wantSets(t, "anew", futures.FirstCompleted(fs...), fs[1:], fs[:1])
	futuretest.WantPending(t, "the one that is left", fs[0])
}

func TestFirstException(t *testing.T) {
	ps, fs := futuretest.Promises(4)
	first, all := futures.FirstException(fs...), futures.FirstException(fs[0], fs[3])
	ps[3].Resolve(3)
	futuretest.WantPending(t, "FirstException", first)
	ps[1].Reject(errLeft)
	wantSets(t, "after a failure", first, []*actors.Future[int]{fs[1], fs[3]}, []*actors.Future[int]{fs[0], fs[2]})
	futuretest.WantPending(t, "without one", all)
	ps[0].Resolve(0)
	wantSets(t, "when all are done", all, []*actors.Future[int]{fs[0], fs[3]}, nil)
	_, others := futuretest.Promises(1)
	canceled := futures.FirstException(fs[2], others[0])
	fs[2].Cancel()
	wantSets(t, "after a cancel", canceled, fs[2:3], others)
}

// Sets tell that a future has failed, not how: a failure nobody looks at is still told.
func TestSetsAndFailuresNobodyHasLookedAt(t *testing.T) {
	sys := actortest.NewSystem(t)
	log := actortest.LogOf(sys)
	pid := actortest.Spawn(t, sys.Root, "worker", futuretest.None, actors.Options{})
	fail := func(name string) *actors.Future[int] {
		return actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 0, errLeft }, actors.Name(name))
	}
	func() {
		for _, f := range []*actors.Future[futures.Sets[int]]{futures.FirstCompleted(fail("unseen 1")), futures.FirstException(fail("unseen 2"))} {
			if _, err := futuretest.Result(f); err != nil {
				t.Error(err)
			}
		}
	}()
	actortest.Eventually(t, "those that nobody has looked at are logged", func() bool {
		runtime.GC()
		return len(log.Find(0, "never looked at")) == 2
	})
	actortest.Stop(t, sys.Root, pid, futuretest.Hang)
}
