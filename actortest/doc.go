// SPDX-License-Identifier: Apache-2.0

// Package actortest helps to test workers. A test gets an actor system in a
// [testing/synctest] bubble. Time is virtual there, the log is printed only if the
// test fails, and whatever is left over at the end fails the test.
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
// Make everything that the test uses inside the bubble: actor systems, channels,
// timers. There is no real network ([net.Pipe] works), no t.Run and no
// t.Parallel. To wait for something, call [synctest.Wait], which returns when
// every other goroutine of the bubble is blocked; [Op.Blocked] calls it, too. Or
// let virtual time pass by [time.Sleep].
//
// # Outside of a bubble
//
// Tests with real sockets make their system by [NewSystem], wait by
// [Eventually], and have [Main] look for goroutines at the end of the
// package.
package actortest
