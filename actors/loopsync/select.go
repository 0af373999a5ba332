// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// Case is one of the things that a [Select] waits for. [OnFuture], [OnReceive],
// [OnSend] and [OnTimer] make them. Only one Select at a time may use a Case.
type Case struct {
	future  actors.AnyFuture
	channel channelOp
	never   bool // its channel is nil
	after   time.Duration
	kind    caseKind
}

type caseKind uint8

const (
	noCase caseKind = iota
	futureCase
	channelCase
	timerCase
)

// OnFuture is the case that f is done, however it ended. Its result is f's to tell,
// by TryResult.
func OnFuture(f actors.AnyFuture) Case {
	if f == nil || reflect.ValueOf(f).IsNil() { // a nil *Future[T] is an AnyFuture that is not
		panic("loopsync: OnFuture called with a nil future")
	}
	return Case{kind: futureCase, future: f}
}

// OnReceive is the case that a value is received from ch, or that ch is closed. What
// a receive statement would return goes to v and ok, each of which may be nil. If
// another case is chosen, they stay as they are. As in Go, a nil channel is never
// ready.
func OnReceive[T any](ch <-chan T, v *T, ok *bool) Case {
	return Case{kind: channelCase, channel: &receiving[T]{ch: ch, to: v, toOK: ok}, never: ch == nil}
}

// OnSend is the case that v is sent to ch. As in Go, a nil channel is never ready, and
// a Select panics that chooses a channel which is closed.
func OnSend[T any](ch chan<- T, v T) Case {
	return Case{kind: channelCase, channel: &sending[T]{ch: ch, v: v}, never: ch == nil}
}

// OnTimer is the case that d has passed since the Select began. If d is not positive,
// it is ready at once.
func OnTimer(d time.Duration) Case { return Case{kind: timerCase, after: d} }

// Select waits until one of the cases can happen, lets that one happen, and returns
// its index; the worker goes on meanwhile. If several can, it chooses one at random,
// as Go's select statement does. Without a case that can ever be ready it waits until
// the task is ended.
//
// The error is the reason why the task was ended, or an [*actors.DeadlockError]. Then
// the index is -1 and no case has happened: neither has a value been taken nor sent.
// If one was in that moment, its index is returned, without an error.
//
// A Select that has to wait for channels uses one goroutine, for all of them. For
// futures and timers it needs none. Where all cases are futures it takes part in the
// search for rings; a channel or a timer may become ready whoever else waits.
func Select(t *actors.Task, cases ...Case) (index int, err error) {
	const what = "Select"
	me := taskwait.TaskOf(t).Enter(what)
	for i := range cases {
		if cases[i].kind == noCase {
			panic(fmt.Sprintf("loopsync: %s called with a Case that is zero, at index %d", what, i))
		}
	}
	if me.Ended != nil {
		return -1, me.Ended
	}
	if i := tryCases(me, cases, 0); i >= 0 {
		return i, nil
	}
	s := newSelection(me, what, cases)
	began := time.Now()
	err = me.Caller.WaitForChoice(what, s.spot, s.after)
	if i := s.endAttempt(err); i >= 0 {
		cases[i].channel.finish()
		return i, nil
	}
	if err != nil {
		return -1, err
	}
	if i := tryDone(me, cases, time.Since(began)); i >= 0 {
		return i, nil
	}
	return s.timer, nil // by the loop's clock it is time
}

// tryCases lets one happen that can at once, and returns its index, or -1.
func tryCases(me taskwait.Visit, cases []Case, passed time.Duration) int {
	for _, i := range rand.Perm(len(cases)) {
		c := &cases[i]
		switch {
		case c.kind != channelCase:
			if c.isDone(me, passed) {
				return i
			}
		case !c.never && c.channel.try():
			c.channel.finish()
			return i
		}
	}
	return -1
}

// tryDone is tryCases for futures and timers alone.
func tryDone(me taskwait.Visit, cases []Case, passed time.Duration) int {
	for _, i := range rand.Perm(len(cases)) {
		if cases[i].kind != channelCase && cases[i].isDone(me, passed) {
			return i
		}
	}
	return -1
}

// isDone reports whether a future is done, or a timer has run out.
func (c *Case) isDone(me taskwait.Visit, passed time.Duration) bool {
	if c.kind == timerCase {
		return passed >= c.after
	}
	return me.Caller.IsDone(c.future)
}

// selection is the wait of a Select.
type selection struct {
	spot     taskwait.Spot
	after    time.Duration // until its first timer runs out; 0: it has none
	timer    int           // which that is
	channels []int         // the cases that are channels, not nil
	chosen   int           // which of these the goroutine has done
	attempt  *attempt      // of that goroutine; nil: there is none
}

func newSelection(me taskwait.Visit, what string, cases []Case) *selection {
	s := &selection{timer: -1}
	var futures []any
	for i := range cases {
		switch c := &cases[i]; {
		case c.kind == futureCase:
			futures = append(futures, c.future)
		case c.kind == timerCase:
			if s.timer < 0 || c.after < s.after {
				s.timer, s.after = i, c.after
			}
		case !c.never:
			s.channels = append(s.channels, i)
		}
	}
	s.spot = me.Task.NewChoice(what, futures, s.timer >= 0 || len(s.channels) > 0)
	switch len(s.channels) {
	case 0:
	case 1:
		s.chosen = s.channels[0]
		s.attempt = beginAttempt(s.spot, cases[s.chosen].channel.block)
	default:
		s.attempt = beginAttempt(s.spot, func(giveUp <-chan struct{}) bool { return s.block(cases, giveUp) })
	}
	return s
}

// block does one of several channel operations, on the goroutine.
func (s *selection) block(cases []Case, giveUp <-chan struct{}) bool {
	all := make([]reflect.SelectCase, 0, len(s.channels)+1)
	for _, i := range s.channels {
		all = append(all, cases[i].channel.selectCase())
	}
	all = append(all, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(giveUp)})
	k, v, ok := reflect.Select(all)
	if k == len(s.channels) {
		return false
	}
	s.chosen = s.channels[k]
	cases[s.chosen].channel.selected(v, ok)
	return true
}

// endAttempt ends the goroutine, and returns the case that it has let happen, or -1.
func (s *selection) endAttempt(wait error) int {
	if s.attempt == nil || !s.attempt.endAttempt(wait) {
		return -1
	}
	return s.chosen
}
