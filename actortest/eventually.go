// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"testing"
	"time"

	"github.com/protoloop/protoloop/internal/testtools"
)

// eventuallyGiveUp is generous, for machines that are far slower than others: it is only ever waited for when a test fails.
const eventuallyGiveUp = 2 * time.Minute

// Eventually waits until cond holds and fails the test at once if it does not
// within two minutes; what names it in the message. It is for tests that
// depend on real time, on the garbage collector or on a network. In a bubble
// [testing/synctest.Wait] says when there is nothing left to wait for.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	if !testtools.Poll(eventuallyGiveUp, cond) {
		t.Fatalf("actortest: not within %v: %s", eventuallyGiveUp, what)
	}
}
