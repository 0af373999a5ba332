// SPDX-License-Identifier: Apache-2.0

// Package actortest helps to test workers: a quiet actor system in a
// [testing/synctest] bubble, where time is virtual and whatever is left over
// at the end fails the test.
//
//	func TestGreeter(t *testing.T) {
//		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
//			pid := actortest.Spawn(t, sys.Root, "greeter", setup, actors.Options{})
//			op := actortest.Go(t, func() (string, error) {
//				return actors.RequestFuture[string](sys.Root, pid, Hello{"Ada"}).Wait(t.Context())
//			})
//			if !op.Blocked() { // it thinks for two seconds
//				t.Error("the greeter answered at once")
//			}
//			time.Sleep(2 * time.Second) // of virtual time: takes none
//			if got, err := op.Result(); got != "Hello, Ada" || err != nil {
//				t.Error(got, err)
//			}
//		})
//	}
//
// # In a bubble
//
// Everything the test uses has to be made inside: actor systems, channels,
// timers. There is no real network ([net.Pipe] works), no t.Run and no
// t.Parallel. Instead of waiting for something to have happened, let
// everything come to rest by [synctest.Wait], which [Op.Blocked] does, or let
// virtual time pass by [time.Sleep].
//
// # Outside of one
//
// Tests with real sockets make their system by [NewSystem], wait by
// [Eventually], and have [Main] look for goroutines at the end of the
// package.
package actortest
