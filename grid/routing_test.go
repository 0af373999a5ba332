// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/internal/ownership"
)

// keysOf are n keys, each of another shard, that belong to a node of two.
func keysOf(node, other string, n int) (found []string) {
	shards := map[int]bool{}
	for i := 0; len(found) < n; i++ {
		id := fmt.Sprint("k", i)
		shard := ownership.ShardOf("account/"+id, machineShards)
		if !shards[shard] && ownership.Score(shard, ownership.HashName(node)) > ownership.Score(shard, ownership.HashName(other)) {
			shards[shard] = true
			found = append(found, id)
		}
	}
	return found
}

// onTwoAndAnAsker calls f with a node that has everything, and an asker with room for five of each. f starts the newcomer.
func onTwoAndAnAsker(t *testing.T, settle time.Duration, f func(w *machines, runs *runLog, asker *machine)) {
	onNetwork(t, 0, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		w.change = func(o *grid.Options) { o.Window = 5; o.Kinds[0].Setup = nil }
		asker := w.startAs("asker")
		w.change = func(o *grid.Options) { o.Settle = settle }
		w.startAs("first")
		time.Sleep(5 * time.Second)
		f(w, runs, asker)
	})
}

// TestShardGoesOnAfterAFullWindow: the message that tries who has a shard may itself find no room. Those behind it are tried.
func TestShardGoesOnAfterAFullWindow(t *testing.T) {
	onTwoAndAnAsker(t, time.Hour, func(w *machines, runs *runLog, asker *machine) {
		own, moves := keysOf("first", "newcomer", 1)[0], keysOf("newcomer", "first", 1)[0]
		w.startAs("newcomer")
		time.Sleep(time.Second)
		for i := range 5 {
			asker.sys.Root.Send(asker.g.PID("account", own), say(fmt.Sprint("fills-", i)))
		}
		asker.sys.Root.Send(asker.g.PID("account", moves), say("plain")) // the newcomer has it not yet
		time.Sleep(10 * time.Millisecond)
		if _, err := w.future(asker, moves, "asked", actors.Timeout(10*time.Second)).Wait(w.Context()); err != nil {
			w.Error(err)
		}
		runs.want("plain", 1, 1)
	})
}

// TestRoomForWhatWaits: no more asks than the window wait for somebody who has their keys, but those that were sent already.
func TestRoomForWhatWaits(t *testing.T) {
	onTwoAndAnAsker(t, 0, func(w *machines, runs *runLog, asker *machine) {
		two := keysOf("newcomer", "first", 2)
		for _, id := range two {
			w.future(asker, id, "busy 20s")
		}
		w.startAs("newcomer")
		time.Sleep(5 * time.Second) // both shards are being handed over: nobody takes anything
		for i := range 5 {
			w.future(asker, two[0], fmt.Sprint("waits-", i))
		}
		time.Sleep(time.Second)
		sent := w.future(asker, two[1], "sent") // to the first, which refuses it
		if _, err := w.future(asker, two[0], "full").Wait(w.Context()); !errors.Is(err, actors.ErrMailboxFull) || !actors.RetrySafe(err) {
			w.Errorf("with five that wait: %v", err)
		}
		if _, err := sent.Wait(w.Context()); err != nil {
			w.Errorf("one that was sent: %v", err)
		}
		runs.want("full", 0, 0)
		runs.want("sent", 1, 1)
	})
}
