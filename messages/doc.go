// SPDX-License-Identifier: Apache-2.0

// Package messages has the protobuf messages that cross actors and machines: [Failure], [Stop], [Stopped],
// [StatusRequest], [Status] and [Counts].
//
// # Errors on the wire
//
// A Go error does not survive a trip to another process, but its identity can. [RegisterError] gives an error value a
// code; both sides register the same pair, usually in an init function beside the value:
//
//	var ErrSoldOut = errors.New("shop: sold out")
//
//	func init() { messages.RegisterError("shop.sold_out", ErrSoldOut) }
//
// [NewFailure] turns an error into a *Failure that lists the codes of the registered errors that the error matches. A
// *Failure is itself an error. On the far side errors.Is(failure, ErrSoldOut) holds again, and errors.As finds the *Failure
// with what it says about the failed work. A code that the far side does not know is kept, and matches nothing there.
package messages

//go:generate ./generate.sh
