// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/futuretest"
)

func TestAllKeepsTheOrderOfItsMembers(t *testing.T) {
	ps, fs := futuretest.Promises(3)
	all := futures.All(fs...)
	for i, at := range []int{1, 0, 2} {
		futuretest.WantPending(t, "All", all)
		ps[at].Resolve(10 * at)
		if i == 2 {
			futuretest.WantNow(t, "All", all, []int{0, 10, 20})
		}
	}
}

func TestAllFailsWithTheFirstFailure(t *testing.T) {
	ps, fs := futuretest.Promises(3)
	all := futures.All(fs...)
	ps[2].Reject(errRight)
	futuretest.WantFailed(t, "All", all, errRight)
	ps[0].Reject(errLeft)
	futuretest.WantFailed(t, "All", all, errRight)
	futuretest.WantPending(t, "a member", fs[1])
}

func TestAllFailsWhenAMemberIsCancelled(t *testing.T) {
	_, fs := futuretest.Promises(2)
	all := futures.All(fs...)
	fs[0].Cancel()
	futuretest.WantFailed(t, "All", all, actors.ErrCanceled)
	futuretest.WantPending(t, "the other member", fs[1])
}

func TestSettledTellsHowEachEnded(t *testing.T) {
	ps, fs := futuretest.Promises(3)
	settled := futures.Settled(fs...)
	ps[2].Reject(errRight)
	ps[0].Resolve(1)
	futuretest.WantPending(t, "Settled", settled)
	fs[1].Cancel()
	futuretest.WantNow(t, "Settled", settled, []futures.Outcome[int]{{Value: 1}, {Err: actors.ErrCanceled}, {Err: errRight}})
}
