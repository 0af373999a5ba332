// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/testtools"
)

// Run runs f in a synctest bubble with an actor system of its own, made by
// [NewSystem] with opts. When f and its cleanups have returned the actors that
// are left are stopped. The test fails if one does not stop within a minute
// of virtual time, if the process registry is not what it was, and if a
// goroutine or coroutine stays: the bubble then cannot end.
//
// What f started and blocked in real earnest, such as a task that receives
// from a channel without loopsync.Receive, f has to release.
func Run(t *testing.T, f func(t *testing.T, sys *actor.ActorSystem), opts ...actor.ConfigOption) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var sys *actor.ActorSystem
		t.Cleanup(func() { // the last one
			// The first dead letter of a second leaves a goroutine of the
			// engine's for as long.
			time.Sleep(sys.Config.DeadLetterThrottleInterval + time.Millisecond)
			synctest.Wait()
		})
		sys = NewSystem(t, opts...)
		f(t, sys)
	})
}

// NewSystem returns an actor system that logs to a [Log] of its own, see
// [LogOf], and only if the test fails to the test's. At the end of the test,
// after cleanups that were registered later, the actors that are left are
// stopped; the test fails if one does not stop within a minute, or if the
// process registry is not what it was. In a bubble use [Run].
func NewSystem(t testing.TB, opts ...actor.ConfigOption) *actor.ActorSystem {
	t.Helper()
	log := NewLog()
	logger := actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(log) })
	sys := actor.NewActorSystem(append([]actor.ConfigOption{logger}, opts...)...)
	shrinkRegistry(sys)
	before := testtools.RegisteredIDs(sys, "")
	t.Cleanup(func() {
		t.Helper()
		if left := stopAll(sys, before); len(left) > 0 {
			t.Errorf("actortest: still in the process registry a minute after the test: %s", strings.Join(left, ", "))
		}
		if !sys.IsStopped() { // the engine's Shutdown panics when called twice
			sys.Shutdown()
		}
		if t.Failed() && log.Len() > 0 {
			t.Logf("actortest: the actor system's log:\n%s", log)
		}
	})
	return sys
}

// ownProcesses are those that a new system has.
var ownProcesses = []string{"deadletter", "eventstream"}

// shrinkRegistry leaves a new system one of the 1024 buckets of its registry, each
// of which has 32 locks. Whoever looks for what is left takes all of them. Under the
// race detector that took longer than most tests.
func shrinkRegistry(sys *actor.ActorSystem) {
	r := sys.ProcessRegistry
	own := map[string]actor.Process{}
	for _, id := range ownProcesses {
		own[id], _ = r.GetLocal(id)
	}
	r.LocalPIDs.LocalPIDs = slices.Clone(r.LocalPIDs.LocalPIDs[:1])
	for id, p := range own {
		r.Add(p, id)
	}
}

// stopGiveUp is how long the end of a test waits for actors to stop, and for
// the engine's own futures to expire.
const stopGiveUp = time.Minute

// stopAll stops what is not in before, and returns the ids of what stays.
func stopAll(sys *actor.ActorSystem, before []string) []string {
	told := map[string]bool{}
	var left []string
	testtools.Poll(stopGiveUp, func() bool {
		left = slices.DeleteFunc(testtools.RegisteredIDs(sys, ""), func(id string) bool {
			return slices.Contains(before, id) || infrastructure(id)
		})
		for _, id := range left {
			p, ok := sys.ProcessRegistry.GetLocal(id)
			if _, isActor := p.(*actor.ActorProcess); !ok || !isActor || told[id] || hasParent(id, left) {
				continue
			}
			told[id] = true
			sys.Root.Stop(sys.NewLocalPID(id))
		}
		return len(left) == 0
	})
	return left
}

// infrastructure reports whether a process lives as long as its system, and
// is made at its first use.
func infrastructure(id string) bool {
	return strings.HasPrefix(id, "guardian$") || strings.HasPrefix(id, "protoloop-reply")
}

// hasParent reports whether the actor is a child of one of ids: its parent
// stops it, and a child that was stopped by somebody else might be started
// again.
func hasParent(id string, ids []string) bool {
	return slices.ContainsFunc(ids, func(p string) bool { return strings.HasPrefix(id, p+"/") })
}
