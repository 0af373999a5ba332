// SPDX-License-Identifier: Apache-2.0

package actors

// AwaitDone awaits a future that was done after Await had looked.
func AwaitDone(t *Task, f *Future[int]) error { return t.suspend(&f.core, 0) }
