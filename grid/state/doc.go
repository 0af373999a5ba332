// SPDX-License-Identifier: Apache-2.0

// Package state keeps the state of the worker of a key in a store, so that it outlives the
// worker: it is loaded in setup, and saved by the handlers.
//
//	accounts := state.Options{Store: store, Kind: "account"}
//
//	func(w *actors.Worker, id string) error { // the Setup of a grid.Kind
//		balance, err := state.Load[Balance](w, id, accounts)
//		if err != nil {
//			return err
//		}
//		actors.Handle(w, func(t *actors.Task, d *pb.Deposit) (*pb.Money, error) {
//			err := balance.Update(t, func(b *Balance) error { b.Cents += d.Cents; return nil })
//			return &pb.Money{Cents: balance.Value().Cents}, err
//		})
//		return nil
//	}
//
// # What holds
//
//   - Update returns when the store has acknowledged the change. So the answer of a handler says
//     that it was saved, unless Options.AnswerFirst is set.
//   - Each Load makes its worker the owner of the key. From then on a save of any owner before it
//     fails with [actors.ErrFenced], and changes nothing, however late it comes.
//   - A save whose answer was lost is made again, and has its effect once.
//   - Updates that come while a save is under way are saved together by the next one.
//   - A save that fails for all of Options.SaveWithin fails the worker, because its memory and
//     the store may differ: the next incarnation loads what is stored. So does a fenced one.
//
// What Value shows may not have been acknowledged yet. A handler that only reads, and whose answer
// must not be taken back, calls Saved first.
//
// # Two forms
//
// [State] saves all of the state each time. [Journal] saves what has changed, and all of it now and
// then: that is for states that are large beside their changes, and for those who want each change.
//
// # Stores
//
// [Memory] is for tests and for one process. A module of its own each have natskv, for JetStream's
// key-value store, and pgstate, for PostgreSQL. A store whose client need not wait for an answer may start its saves: see
// [Starter]. Package statetest has the tests that a store must pass.
package state
