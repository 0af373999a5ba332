// SPDX-License-Identifier: Apache-2.0

package loop

import "unsafe"

// Waiter is an entry of a list of those that wait for something. The list is somebody else's: this package
// has the memory of that of a task, in its coroutine. It is a part of what else waits.
type Waiter struct {
	Prev, Next *Waiter
	Seq        uint32 // of a task: the await from which it is to be woken
	IsTask     bool   // it is that of a task; constant
	Linked     bool   // it is in a list
}

// Task is the one that waits, of a Waiter that IsTask, while it is Linked.
func (w *Waiter) Task() *Task {
	c := (*coroutine)(unsafe.Add(unsafe.Pointer(w), -int(unsafe.Offsetof(coroutine{}.wait))))
	return c.task
}
