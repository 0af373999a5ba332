// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/internal/seeded"
)

var combineDice = seeded.Flag("combine.seed", "TestCombinationRaces")

// TestCombinationRaces completes, fails and cancels the members of
// combinations, and the combinations, on several goroutines at a time. Each
// future completes once, and with something that it can complete with; nothing
// waits for a member in the end. The same seed makes the same choices.
func TestCombinationRaces(t *testing.T) {
	for _, dice := range combineDice.Rounds(t, 3000) {
		raceCombinations(t, dice)
	}
}

// combined is a combination, without its type.
type combined struct {
	what   string
	calls  atomic.Int32
	done   <-chan struct{}
	cancel func() bool
	err    func() error
}

func watch[T any](what string, f *actors.Future[T]) *combined {
	c := &combined{what: what, done: f.Ready(), cancel: f.Cancel}
	c.err = func() error { _, err := f.TryResult(); return err }
	f.OnDone(func(T, error) { c.calls.Add(1) })
	return c
}

func raceCombinations(t *testing.T, dice *rand.Rand) {
	ps, fs := futuretest.Promises(2 + dice.IntN(4))
	shield := futures.Shield(fs[0])
	all := []*combined{
		watch("All", futures.All(fs...)),
		watch("Any", futures.Any(fs...)),
		watch("Race", futures.Race(fs...)),
		watch("Settled", futures.Settled(fs...)),
		watch("Shield", shield),
		watch("WithTimeout", futures.WithTimeout(fs[1], time.Duration(dice.IntN(3))*10*time.Microsecond)),
		watch("nested", futures.All(futures.Any(fs...), futures.Race(shield, fs[1]))),
	}
	sets := []*actors.Future[futures.Sets[int]]{futures.FirstCompleted(fs...), futures.FirstException(fs...)}
	all = append(all, watch("FirstCompleted", sets[0]), watch("FirstException", sets[1]))
	var acts []func()
	for _, p := range ps {
		switch dice.IntN(4) {
		case 0:
			acts = append(acts, func() { p.Reject(errLeft) })
		case 1:
			acts = append(acts, func() { p.Future().Cancel() })
		default:
			acts = append(acts, func() { p.Resolve(1) })
		}
	}
	for _, c := range all {
		if dice.IntN(3) == 0 {
			acts = append(acts, func() { c.cancel() })
		}
	}
	seen := 0
	acts = append(acts, func() {
		for _, err := range futures.AsCompleted(context.Background(), fs...) {
			if err == nil {
				seen++
			}
		}
	})
	dice.Shuffle(len(acts), func(i, k int) { acts[i], acts[k] = acts[k], acts[i] })
	var wg sync.WaitGroup
	for _, act := range acts {
		wg.Go(act)
	}
	wg.Wait()
	for _, c := range all {
		<-c.done
		err := c.err()
		if err != nil && !errors.Is(err, errLeft) && !errors.Is(err, actors.ErrCanceled) && !errors.Is(err, actors.ErrTimeout) {
			t.Errorf("%s: %v", c.what, err)
		}
		actortest.Eventually(t, c.what+" has told that it is done", func() bool { return c.calls.Load() == 1 })
	}
	for _, s := range sets {
		if s, err := s.TryResult(); err == nil {
			checkSets(t, s, fs)
		}
	}
	for i, f := range fs {
		if n := waiting(f); n != 0 {
			t.Errorf("%d wait for member %d, which is done: %v", n, i, f.Done())
		}
	}
	if seen != len(fs) {
		t.Errorf("AsCompleted has yielded %d of %d", seen, len(fs))
	}
}
