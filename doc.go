// SPDX-License-Identifier: Apache-2.0

// Package protoloop is the root of async/await for actors on Proto.Actor. It
// has no code of its own; the packages are
//
//   - [github.com/protoloop/protoloop/actors]: workers, tasks, futures, calls.
//     Begin there: its documentation has the guarantees, by number.
//   - [github.com/protoloop/protoloop/actors/futures]: one future of several.
//   - [github.com/protoloop/protoloop/actors/loopsync]: what the tasks of one worker
//     wait for each other with, as a mutex and a queue, and for channels.
//   - [github.com/protoloop/protoloop/actors/inspect]: what workers are doing, and
//     what goes wrong that nobody is told of.
//   - [github.com/protoloop/protoloop/supervisor]: restarts, and a stop event
//     that accounts for everything.
//   - [github.com/protoloop/protoloop/socketio]: a Socket.IO server whose
//     sessions are workers.
//   - [github.com/protoloop/protoloop/consumer]: a background queue consumer.
//   - [github.com/protoloop/protoloop/actortest]: tests of workers in virtual
//     time, with leak checks.
//   - [github.com/protoloop/protoloop/messages]: the protobuf messages that
//     cross actors and machines, and the errors that survive the trip.
//   - internal/loop and internal/coro: the event loop and its coroutines;
//     internal/supervision joins a supervisor to the mailboxes of its children, and
//     internal/engine reads what Proto.Actor keeps in private fields.
//
// docs/tutorial.md builds a small service step by step; docs/errors.md says what
// each error means, and whether a retry is safe.
//
// # A tour
//
// A worker is an ordinary Proto.Actor actor whose mailbox is an event loop.
// Its handlers are written straight on: while one awaits, the others run, one
// at a time, so its state needs no lock.
//
//	type Quote struct{ Item string }
//
//	func shop(prices *actor.PID) func(w *actors.Worker) error {
//		return func(w *actors.Worker) error { // runs in every incarnation
//			asked := map[string]int{}
//			actors.Handle(w, func(t *actors.Task, q Quote) (int, error) {
//				asked[q.Item]++
//				return actors.Ask[int](t, prices, q) // gives the loop back meanwhile
//			})
//			w.OnStop(func(t *actors.Task) error { return save(t.Context(), asked) })
//			return nil
//		}
//	}
//
//	pid, err := actors.Spawn(ctx, sys.Root, "shop", shop(prices), actors.Options{})
//
//	// Eager: the work starts now, and is awaited later, from anywhere.
//	quote := actors.RequestFuture[int](sys.Root, pid, Quote{"tea"}, actors.Timeout(time.Second))
//	sum := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
//		a := actors.Start(t, brew) // runs at once, up to its first await
//		b := actors.Offload(t, crunch) // blocks, elsewhere
//		vs, err := actors.Await(t, futures.All(a, b))
//		return len(vs), err
//	})
//	price, err := quote.Wait(ctx) // errors, panics and restarts arrive here
//
//	// Accepted work runs on for ten seconds; then it is cut off.
//	account, err := actors.Stop(ctx, sys.Root, pid, 10*time.Second)
//	fmt.Println(account) // 2 offered: 2 finished
package protoloop
