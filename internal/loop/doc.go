// SPDX-License-Identifier: Apache-2.0

// Package loop is the scheduler of a worker: an event loop whose tasks are
// coroutines. It knows no actors and no result types; package actors is its
// typed face.
//
// # How it works
//
// A [Loop] is a queue and a little state; it has no goroutine while it is
// idle. The post that makes it busy hands it to a runner of its [Pool]. A
// runner is a goroutine (the root) with one coroutine, the pump, which runs
// the loop: it takes entries from the queue and runs each task inline, on
// itself. A task that never awaits therefore costs no switch.
//
//	root ──resume──▶ pump ──runs──▶ task A            (never awaits: no switch)
//	root ◀──yield─── pump, kept by task B             (B awaits)
//	root ──resume──▶ next pump ──resume──▶ B          (what B awaits is done)
//	                 next pump ◀──yield─── B          (B awaits again)
//
// If B ends, its coroutine goes on as the pump, nested in that one: see goOnAsPump.
//
// A task that awaits keeps the coroutine it runs on and yields to the root,
// which goes on with another coroutine as the pump. When what the task awaits
// is done, somebody calls [Task.Wake], and the pump resumes the task's
// coroutine, nested in itself. A task started from a task ([Task.Start]) runs
// its first step nested in its parent, on a coroutine of its own.
//
// # Ownership
//
// All fields of a Loop are owned by whoever runs it, unless noted. Ownership
// passes with the inbox's idle mark, and with the runner's word: user code
// runs between enterUser and leaveUser, and a turn that is stuck there can be taken
// away ([Loop.Takeover]). Whoever comes back from user code calls leaveUser first
// and, if that fails, touches nothing.
package loop
