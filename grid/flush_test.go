// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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

// TestAsksOfAMomentAreOneFrame: what many ask at a time, and what they are answered, goes in few frames.
func TestAsksOfAMomentAreOneFrame(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // else how many there are is chance
	const askers, each = 64, 20
	var frames atomic.Int64
	asker := onWire(t, &wire{lines: map[grid.Peer]*wireLine{}, sending: func(string) { frames.Add(1) }})
	var all sync.WaitGroup
	for _, id := range ids("k", askers) {
		all.Go(func() {
			for range each {
				if _, err := actors.RequestFuture[number](asker.sys.Root, asker.g.PID("echo", id), count(1)).Wait(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if n := frames.Load(); n > 2*askers*each/4 {
		t.Errorf("%d asks and their answers took %d frames", askers*each, n)
	} else {
		t.Logf("%d asks and their answers took %d frames", askers*each, n)
	}
}
