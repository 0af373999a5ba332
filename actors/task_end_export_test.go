// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"testing"

	"github.com/protoloop/protoloop/internal/life"
)

// TestOutcomeOfATaskThatWasEndedTwice: a task whose restart has ended it says so, and expires in
// this moment, before its asker has heard of either. What decides its future is the end.
func TestOutcomeOfATaskThatWasEndedTwice(t *testing.T) {
	restarted := because(ErrRestarted, ErrUnhandled)
	for _, test := range []struct {
		says error
		want life.How
	}{
		{restarted, life.HowCut},
		{ErrTimeout, life.HowCut},
		{ErrUnhandled, life.HowFailed},
	} {
		inc := &incarnation{}
		inc.endIncarnation(restarted)
		u := &Task{inc: inc}
		expired := ErrTimeout
		u.scope().cause.Store(&endNote{why: expired})
		if u.noteOutcome(true, test.says); u.how != test.want {
			t.Errorf("what says %v has ended as %v, want %v", test.says, u.how, test.want)
		}
	}
}
