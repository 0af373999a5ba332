// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"
	"strings"

	"github.com/protoloop/protoloop/messages"
)

// Counts is an account of the work that was offered to a worker, or to many.
// At every moment its sums hold: see [Counts.Agree].
//
// A request counts as what its asker was told, each once. One that has
// answered and then does not return is Finished, or Failed, and is named among
// the abandoned tasks all the same; nobody was told of a one-way message, which
// is Abandoned. A request that comes from another machine, or was passed on by
// another actor when its asker had been told already, counts as its handler ends:
// what its asker has heard is not known to the worker.
type Counts struct {
	Offered      int64 `json:"offered"`       // sent to the worker
	Accepted     int64 `json:"accepted"`      // taken into its mailbox
	Refused      int64 `json:"refused"`       // turned away there: full, or stopping
	Finished     int64 `json:"finished"`      // answered with a value, or returned without an error
	Failed       int64 `json:"failed"`        // answered with an error, or panicked
	Canceled     int64 `json:"canceled"`      // ended from outside: by its asker, a restart, the end of the grace
	Abandoned    int64 `json:"abandoned"`     // neither answered nor returned when it was told to end
	DeadLettered int64 `json:"dead_lettered"` // one-way messages that nobody could receive
	Pending      int64 `json:"pending"`       // has not ended
}

// Agree reports whether Offered = Accepted + Refused, and Accepted = Finished +
// Failed + Canceled + Abandoned + DeadLettered + Pending.
func (c Counts) Agree() bool {
	return c.Offered == c.Accepted+c.Refused &&
		c.Accepted == c.Finished+c.Failed+c.Canceled+c.Abandoned+c.DeadLettered+c.Pending
}

// Plus is the sum of two accounts.
func (c Counts) Plus(d Counts) Counts {
	return Counts{
		Offered: c.Offered + d.Offered, Accepted: c.Accepted + d.Accepted, Refused: c.Refused + d.Refused,
		Finished: c.Finished + d.Finished, Failed: c.Failed + d.Failed, Canceled: c.Canceled + d.Canceled,
		Abandoned: c.Abandoned + d.Abandoned, DeadLettered: c.DeadLettered + d.DeadLettered, Pending: c.Pending + d.Pending,
	}
}

// String is the account in words, without what is zero: "7 offered: 5 finished, 2
// refused". The parts add up to what was offered.
func (c Counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d offered", c.Offered)
	sep := ": "
	for _, part := range []struct {
		n    int64
		what string
	}{
		{c.Finished, "finished"}, {c.Failed, "failed"}, {c.Canceled, "canceled"}, {c.Abandoned, "abandoned"},
		{c.DeadLettered, "dead-lettered"}, {c.Pending, "pending"}, {c.Refused, "refused"},
	} {
		if part.n != 0 {
			fmt.Fprintf(&b, "%s%d %s", sep, part.n, part.what)
			sep = ", "
		}
	}
	return b.String()
}

// message is the account as it travels.
func (c Counts) message() *messages.Counts {
	return &messages.Counts{
		Offered: c.Offered, Accepted: c.Accepted, Refused: c.Refused,
		Finished: c.Finished, Failed: c.Failed, Canceled: c.Canceled,
		Abandoned: c.Abandoned, DeadLettered: c.DeadLettered, Pending: c.Pending,
	}
}

// countsOf is an account that has travelled.
func countsOf(m *messages.Counts) Counts {
	return Counts{
		Offered: m.GetOffered(), Accepted: m.GetAccepted(), Refused: m.GetRefused(),
		Finished: m.GetFinished(), Failed: m.GetFailed(), Canceled: m.GetCanceled(),
		Abandoned: m.GetAbandoned(), DeadLettered: m.GetDeadLettered(), Pending: m.GetPending(),
	}
}
