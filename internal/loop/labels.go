// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"context"
	"runtime/pprof"
)

// ForgetLabels takes the pprof labels from the goroutine, which has those of
// whoever made it. It is for goroutines that go on to work for others: profiles
// would name the one who happened to need a goroutine first.
func ForgetLabels() { pprof.SetGoroutineLabels(context.Background()) }

// HasLabels reports whether the coroutine that the task runs on has labels of SetLabels: of the task before, when
// a task begins. For the task itself.
func (t *Task) HasLabels() bool { return t.co.labelled }

// SetLabels gives the coroutine that the task runs on the pprof labels of ctx. They stay
// there while it is suspended, and until others are set. For the task itself.
func (t *Task) SetLabels(ctx context.Context) {
	t.co.labelled = true
	pprof.SetGoroutineLabels(ctx)
}

// DropLabels takes them off.
func (t *Task) DropLabels() {
	t.co.labelled = false
	ForgetLabels()
}
