// SPDX-License-Identifier: Apache-2.0

// Package contract is what package actors promises, seen from outside: a
// function for each numbered guarantee of its package documentation, with a
// check for each sentence, and one for each rule beside them. The checks are
// in the files named after their subjects.
//
// The tests of the module's root run it, so that go test there runs the whole
// contract by name. Nothing but tests may import it.
package contract

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// Turns is guarantee 1.
func Turns(t *testing.T) {
	verify(t, checks{
		"at most one task runs at any instant, and state needs no lock": oneTaskAtATime,
		"another does not start before the turn has ended":              othersWaitForTheTurn,
		"another runs while it awaits":                                  othersRunWhileItAwaits,
	})
}

// Eager is guarantee 2.
func Eager(t *testing.T) {
	verify(t, checks{
		"a task starts whether or not anybody awaits it":                 startsUnawaited,
		"sends, requests and submissions of a root context share a FIFO": fifoOfRoot,
		"sends, requests and submissions of a plain actor share a FIFO":  fifoOfActor,
		"sends, requests and submissions of a task share a FIFO":         fifoOfTask,
		"Start runs the child at once up to its first await":             startRunsAtOnce,
		"what is submitted before setup has ended queues behind it":      setupComesFirst,
	})
}

// ExactlyOnce is guarantee 3.
func ExactlyOnce(t *testing.T) {
	verify(t, checks{
		"every future completes once, and all waiters see the same":  oneResultForAll,
		"none is pending after a forced stop":                        nonePendingAfterForcedStop,
		"none is pending after the grace":                            nonePendingAfterGrace,
		"none is pending after the worker gave up":                   nonePendingAfterFailure,
		"a cancelled future completes at once":                       cancelledAtOnce,
		"a restart completes futures at once":                        restartedAtOnce,
		"what is expired or cancelled before its start never starts": expiredNeverStarts,
	})
}

// ReadyWins is guarantee 4.
func ReadyWins(t *testing.T) {
	verify(t, checks{
		"a completed future wins over an ended context":       readyWins,
		"the end of a context ends the waiting, not the work": waitEndsAlone,
	})
}

// ErrorsTravel is guarantee 5.
func ErrorsTravel(t *testing.T) {
	verify(t, checks{
		"a returned error reaches whoever awaits":          errorsReachWaiters,
		"a panic does, with the task's own stack":          panicsReachWaiters,
		"a plain asker gets a coded Failure":               plainAskerGetsFailure,
		"a Failure says whether it ran and may be retried": failureSaysWhetherItRan,
		"our sentinels survive the wire":                   sentinelsSurvive,
		"registered errors survive the wire":               registeredErrorsSurvive,
	})
}

// Panics is guarantee 6.
func Panics(t *testing.T) {
	verify(t, checks{
		"a panic in a submitted task fails its future only":    submittedPanic,
		"a panic in a started task fails its future only":      startedPanic,
		"a panic in a handler fails the worker":                handlerPanic,
		"a panic in a one-way handler fails the worker":        onewayPanic,
		"a Background or Main that fails fails the worker":     backgroundFails,
		"under a plain parent its strategy decides":            parentDecides,
		"without a parent it restarts itself 10 times in 10 s": restartsItselfTenTimes,
		"a handler's returned error is an answer":              returnedErrorIsAnswer,
		"on a one-way message it is logged and counted":        onewayErrorIsLogged,
	})
	t.Run("a failed future that nobody looked at is logged", unobservedIsLogged)
}

// Restart is guarantee 7.
func Restart(t *testing.T) {
	verify(t, checks{
		"the mailbox is suspended in the turn of the failure":      suspendedAtOnce,
		"tasks in flight are cancelled and fail with ErrRestarted": inFlightRestarted,
		"what had not started keeps its order":                     queueSurvivesRestart,
		"the new incarnation starts after the old tasks ended":     restartWaitsForTasks,
		"or after they were abandoned":                             restartAbandons,
		"the PID stays":                                            pidStays,
		"late replies, timers and results touch nothing":           lateResultsTouchNothing,
		"nor does a late ReceiveTimeout":                           lateReceiveTimeout,
	})
}

// Stop is guarantee 8.
func Stop(t *testing.T) {
	verify(t, checks{
		"requests from outside are refused with ErrStopping":   stoppingRefuses,
		"work in flight keeps Start and the loop's primitives": stoppingKeepsPrimitives,
		"what was accepted runs on in order":                   acceptedRunsOn,
		"a failure meanwhile fails its own task alone":         drainSurvivesFailures,
		"so does one under a supervisor":                       supervisedDrain,
		"at the end of the grace the rest is cut off":          graceCutsOff,
		"what does not return is abandoned and named":          stopAbandons,
		"the account holds at every moment":                    accountHolds,
		"engine Stop is a forced stop":                         engineStopIsForced,
		"engine Poison drains within StopGrace":                enginePoisonDrains,
	})
}

// EndedStaysEnded is guarantee 9.
func EndedStaysEnded(t *testing.T) {
	verify(t, checks{
		"after a cancel":                         endedByCancel,
		"after a restart":                        endedByRestart,
		"after a forced stop":                    endedByStop,
		"a value taken by Receive is returned":   receiveReturnsTaken,
		"unwinding is by error":                  unwindsByError,
		"Cleanup has a live context for a while": cleanupLives,
		"Cleanup ends with its grace":            cleanupEnds,
	})
}

// Clean is guarantee 10.
func Clean(t *testing.T) {
	verify(t, checks{
		"no registry entry remains":   registryClean,
		"only abandoned tasks remain": abandonedRemain,
		"many workers start and stop": startStopStress,
	})
	t.Run("no goroutine or coroutine remains", goroutinesClean)
	t.Run("no timer holds what has stopped", timersClean)
}

// BlockedTurns is guarantee 11.
func BlockedTurns(t *testing.T) {
	verify(t, checks{
		"a blocked turn is logged while it lasts, and counted": blockedTurnLogged,
		"its stack is in the record, whatever else runs":       blockedTurnStack,
		"it is never killed":                              blockedTurnGoesOn,
		"the loop of an abandoned task goes on elsewhere": loopGoesOnElsewhere,
		"awaits and replies of an abandoned task fail":    abandonedAwaitsFail,
	})
}

// Bounds is guarantee 12.
func Bounds(t *testing.T) {
	verify(t, checks{
		"a full mailbox fails futures at once":            fullMailboxRefuses,
		"a full mailbox makes a plain Send a dead letter": fullMailboxDeadLetters,
		"what has started does not count":                 startedDoesNotCount,
		"replies, timers and stop signals never count":    internalsNeverCount,
		"at MaxInFlight messages wait in the mailbox":     maxInFlightWaits,
	})
}

// CancelAndBudgets is how work is cancelled, and what it inherits.
func CancelAndBudgets(t *testing.T) {
	verify(t, checks{
		"a cancel reaches work two hops away":                    cancelReachesWork,
		"so does the end of a context":                           contextReachesWork,
		"a budget ends the work and its context":                 timeoutEndsWork,
		"work inherits the smaller budget":                       smallerBudget,
		"a child outlives its parent's return, not its cancel":   childOutlivesReturn,
		"what is offloaded ends with the task":                   offloadEnds,
		"a cancelled All cancels its members, a failed one none": allCancels,
		"the values of WithContext's context reach the work":     contextValues,
		"a request to a worker waits until its handler returns":  workerAnswers,
		"a request to a plain actor fails after 30 s":            plainActorTimesOut,
	})
}

// Exclusive is handlers that nothing else may interrupt, and rings of workers that wait for each other.
func Exclusive(t *testing.T) {
	verify(t, checks{
		"nothing else runs until it returns":               exclusiveHolds,
		"the end of what it watches waits for it, too":     exclusiveHoldsTerminated,
		"what it starts runs":                              exclusiveStarts,
		"it starts in queue order":                         exclusiveOrder,
		"it lets go when it is cancelled, fails or panics": exclusiveLetsGo,
		"a ring of one fails at once":                      ringOfOne,
		"a ring of two fails at once":                      ringOfTwo,
		"a request that would close one never runs":        ringRequestNeverRuns,
		"a ring through a worker at MaxInFlight":           ringAtMaxInFlight,
		"a wait that is no ring is none":                   noRing,
	})
}

// Hooks is what a worker does at its end.
func Hooks(t *testing.T) {
	verify(t, checks{
		"OnStop runs once per incarnation, the last first":        hooksOrder,
		"its context lives, and StopReason says why":              hooksContext,
		"its context ends with the remaining grace, and says why": hooksGrace,
		"at a graceful stop it has what is left of the grace":     hooksHaveTheGrace,
		"a forced stop leaves it StopGrace":                       hooksAreCutShort,
		"a hook that fails does not keep the others from running": hooksFail,
		"none runs if setup failed":                               hooksNeedSetup,
		"a plain actor may await but at its end":                  plainActorAwaits,
	})
}

// checks are the sentences of one guarantee, each with its check.
type checks map[string]func(t *testing.T, sys *actor.ActorSystem)

// verify runs each check as a subtest, in a bubble and an actor system of its
// own.
func verify(t *testing.T, cs checks) {
	for sentence, check := range cs {
		t.Run(sentence, func(t *testing.T) { actortest.Run(t, check) })
	}
}

// none is the result of work that has none.
type none = struct{}

// do submits f.
func do(s actor.SenderContext, pid *actor.PID, f func(t *actors.Task) error, opts ...actors.CallOption) *actors.Future[none] {
	return actors.Submit(s, pid, func(t *actors.Task) (none, error) { return none{}, f(t) }, opts...)
}

// run submits f and waits for it.
func run(t *testing.T, s actor.SenderContext, pid *actor.PID, f func(t *actors.Task) error) {
	t.Helper()
	if _, err := do(s, pid, f).Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// bare is the setup of a worker that only runs submissions.
func bare(*actors.Worker) error { return nil }

// wantErr fails the test unless err matches each of targets.
func wantErr(t *testing.T, what string, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%s: error %v, want %v", what, err, target)
		}
	}
}

// wantDone fails the test unless f is done and its error matches target.
func wantDone[T any](t *testing.T, what string, f *actors.Future[T], target error) {
	t.Helper()
	_, err := f.TryResult()
	wantErr(t, what, err, target)
}

// wantCounts compares accounts.
func wantCounts(t *testing.T, got, want actors.Counts) {
	t.Helper()
	want.Accepted = want.Finished + want.Failed + want.Canceled + want.Abandoned + want.DeadLettered + want.Pending
	want.Offered = want.Accepted + want.Refused
	if got != want {
		t.Errorf("account %+v\n   want %+v", got, want)
	}
}

// stopwatch reads virtual time.
type stopwatch time.Time

func newStopwatch() stopwatch { return stopwatch(time.Now()) }

func (s stopwatch) want(t *testing.T, what string, d time.Duration) {
	t.Helper()
	if got := time.Since(time.Time(s)); got != d {
		t.Errorf("%s after %v, want %v", what, got, d)
	}
}
