// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// TestAloneIsSentAtOnce: an ask that is alone is sent by its asker, and the answer by the worker. No other goroutine is woken for
// that.
func TestAloneIsSentAtOnce(t *testing.T) {
	var byAsker, byWorker atomic.Int64
	net := &wire{lines: map[grid.Peer]*wireLine{}, sending: func(string) {
		switch stack := string(debug.Stack()); {
		case strings.Contains(stack, "(*network).send("):
			byAsker.Add(1)
		case strings.Contains(stack, "(*answering).answer("):
			byWorker.Add(1)
		}
	}}
	asker := onWire(t, net)
	// A few of them may go otherwise: the first while its owner is looked for, and one that is audited on a slow machine.
	for range 100 {
		if _, err := actors.RequestFuture[number](asker.sys.Root, asker.g.PID("echo", "a"), count(1)).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if byAsker.Load() == 0 || byWorker.Load() == 0 {
		t.Errorf("of 100 asks %d were sent by their asker, and %d answers by their worker", byAsker.Load(), byWorker.Load())
	}
}

// TestAsksOfAMomentAreOneFrame: what many ask while a frame is being sent goes in one frame after it, and so do their answers.
func TestAsksOfAMomentAreOneFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const askers = 64
		var mu sync.Mutex
		sent := map[string]int{}
		held := map[string]chan struct{}{} // by who sends; nil: nothing is held
		asker := onWire(t, &wire{lines: map[grid.Peer]*wireLine{}, sending: func(from string) {
			mu.Lock()
			sent[from]++
			hold := held[from]
			mu.Unlock()
			if hold != nil {
				<-hold
			}
		}})
		keys := ids("k", askers)
		all := make([]*actors.Future[number], askers)
		ask := func(i int) {
			all[i] = actors.RequestFuture[number](asker.sys.Root, asker.g.PID("echo", keys[i]), count(1))
		}
		wait := func() {
			t.Helper()
			for _, f := range all {
				if _, err := f.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		for i := range all { // where the owner is, and a worker for each
			ask(i)
		}
		wait()

		mu.Lock()
		clear(sent)
		held["asker"], held["owner"] = make(chan struct{}), make(chan struct{})
		mu.Unlock()
		go ask(0) // which sends it itself
		synctest.Wait()
		for i := 1; i < askers; i++ {
			ask(i)
		}
		for _, from := range []string{"asker", "owner"} {
			synctest.Wait()
			close(held[from])
		}
		wait()
		mu.Lock()
		defer mu.Unlock()
		for _, from := range []string{"asker", "owner"} {
			if sent[from] != 2 {
				t.Errorf("for %d asks %s sent %d frames, want 2", askers, from, sent[from])
			}
		}
	})
}
