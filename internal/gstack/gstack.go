// SPDX-License-Identifier: Apache-2.0

// Package gstack tells how deep the stack of a goroutine is, and which
// goroutine that is.
//
// Callbacks that complete futures whose callbacks complete futures go through
// users' functions, and so nothing can be handed down from one to the next. The
// runtime knows how deep they are and has no function that says it.
// [runtime.Callers] walks the stack, which costs as much as it is deep.
package gstack

// Here returns what no other goroutine has while the calling one lives, and how
// many bytes of its stack are used. On other processors than amd64 the second
// is always 0.
func Here() (id, used uintptr) { return here() }
