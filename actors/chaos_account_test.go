// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/messages"
)

// judge puts the end of a future into the tally, and fails the test if it is
// one that cannot be.
func (c *chaos) judge(fl *flight, v uint64, err error) {
	c.checked.Add(1)
	if err == nil && v != fl.job.id {
		c.Errorf("job %d was answered with %d", fl.job.id, v)
	}
	var own *jobError
	var paniced *actors.PanicError
	_, isOwn := actors.Unreturned(err).(*jobError) // and not because of one
	_, isPanic := err.(*actors.PanicError)
	_, isFailure := err.(*messages.Failure)
	isFailure = isFailure && (fl.to == nil || fl.to.dropIn) // what a plain actor has answered
	var count *tally
	if count = new(tally); fl.to != nil {
		count = &fl.to.tally
	}
	switch {
	case errors.Is(err, futuretest.ErrHang):
		c.Errorf("job %d, end %d, never ended", fl.job.id, fl.job.end)
	case err == nil:
		count.values.Add(1)
	case isOwn && toldToEnd(err):
		count.told.Add(1)
	case isOwn, isPanic, isFailure, err == actors.ErrGoexit:
		count.failed.Add(1)
	case errors.Is(err, actors.ErrMailboxFull):
		count.full.Add(1)
	case errors.Is(err, actors.ErrDeadLetter):
		count.dead.Add(1)
	case fl.neverRan && errors.Is(err, actors.ErrTimeout):
		count.unsent.Add(1)
	case errors.Is(err, actors.ErrStopping), toldToEnd(err):
		count.ended.Add(1)
	case errors.As(err, &own), errors.As(err, &paniced):
		c.Errorf("job %d: %v of type %T", fl.job.id, err, err)
	default:
		c.Errorf("job %d ended with %v of type %T", fl.job.id, err, err)
	}
}

// toldToEnd reports whether err says that a task was told to end. A job that
// returns such an error may have been told, and then counts as canceled, or
// whom it asked, and then it has failed.
func toldToEnd(err error) bool {
	for _, end := range []error{actors.ErrStopped, actors.ErrRestarted, actors.ErrCanceled, actors.ErrTimeout} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// add adds the final account of one of the slot's workers.
func (s *slot) add(a actors.Counts) {
	checkCounts(s.c, a)
	s.total = s.total.Plus(a)
}

// account compares what the workers say with what their askers saw.
func (s *slot) account() {
	t, y := s.total, &s.tally
	sent, plain := y.sent.Load(), y.plain.Load()
	values, failed, told, ended := y.values.Load(), y.failed.Load(), y.told.Load(), y.ended.Load()
	s.c.Logf("%-9s %3d workers, %4d starts: sent %6d+%d: values %d failed %d or told to end %d full %d dead %d unsent %d ended %d; %v",
		s.name, s.lives.Load(), s.starts.Load(), sent, plain, values, failed, told, y.full.Load(), y.dead.Load(), y.unsent.Load(), ended, t)
	within := func(what string, got, least, most int64) {
		if got < least || got > most {
			s.c.Errorf("%s: %s is %d; its askers say %d to %d", s.name, what, got, least, most)
		}
	}
	if seen := values + failed + told + y.full.Load() + y.dead.Load() + y.unsent.Load() + ended; seen != sent {
		s.c.Errorf("%s: %d futures sent, %d seen", s.name, sent, seen)
	}
	// What came when the worker was gone is not in its account; nor is what
	// had ended before it was sent, as some of the tasks' own requests had.
	within("offered", t.Offered, sent-y.dead.Load()-y.unsent.Load()-ended, sent+plain)
	within("refused", t.Refused, y.full.Load(), y.full.Load()+y.dead.Load()+ended+plain)
	if s.dropIn {
		return // a plain actor does not say whether it failed
	}
	within("finished", t.Finished, values, values+plain)
	within("failed", t.Failed, failed, failed+told+plain)
	if !s.blocks {
		within("abandoned", t.Abandoned, 0, 0)
	}
}
