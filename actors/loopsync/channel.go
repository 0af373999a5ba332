// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"reflect"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// Receive waits for a value from ch, and the worker goes on meanwhile. ok is false
// when ch is closed.
//
// The error is the reason why the task was ended. Then nothing has been taken from
// ch: a value that was taken in that moment is returned, without an error.
func Receive[T any](t *actors.Task, ch <-chan T) (v T, ok bool, err error) {
	const what = "Receive"
	me := taskwait.TaskOf(t).Enter(what)
	if me.Ended != nil {
		return v, false, me.Ended
	}
	select {
	case v, ok = <-ch:
		return v, ok, nil
	default:
	}
	r := &receiving[T]{ch: ch}
	err = waitForChannel(me, what, r)
	return r.v, r.ok, err
}

// Send sends v to ch. It waits until somebody receives it, or the buffer has room,
// and the worker goes on meanwhile.
//
// The error is the reason why the task was ended. Then v has not been sent and will
// not be: where it was sent in that moment there is no error. Send panics if ch is
// closed, as a send statement does.
func Send[T any](t *actors.Task, ch chan<- T, v T) error {
	const what = "Send"
	me := taskwait.TaskOf(t).Enter(what)
	if me.Ended != nil {
		return me.Ended
	}
	select {
	case ch <- v:
		return nil
	default:
	}
	return waitForChannel(me, what, &sending[T]{ch: ch, v: v})
}

// waitForChannel is the wait of a task for one operation.
func waitForChannel(me taskwait.Visit, what string, op channelOp) error {
	spot := me.Task.NewSpot(nil)
	a := beginAttempt(spot, op.block)
	err := me.Caller.Wait(what, spot)
	if a.endAttempt(err) {
		return nil
	}
	return err
}

// channelOp is one operation on a channel.
type channelOp interface {
	// try does it if that is possible at once.
	try() bool
	// block does it, and reports false if giveUp was closed before that.
	block(giveUp <-chan struct{}) bool
	// selectCase and selected do it by a reflect.Select.
	selectCase() reflect.SelectCase
	selected(v reflect.Value, ok bool)
	// finish is called in the task's turn when it was done.
	finish()
}

// receiving is one receive.
type receiving[T any] struct {
	ch   <-chan T
	v    T
	ok   bool
	to   *T    // where v goes, or nil
	toOK *bool // where ok goes, or nil
}

func (r *receiving[T]) try() bool {
	select {
	case r.v, r.ok = <-r.ch:
		return true
	default:
		return false
	}
}

func (r *receiving[T]) block(giveUp <-chan struct{}) bool {
	select {
	case r.v, r.ok = <-r.ch:
		return true
	case <-giveUp:
		return false
	}
}

func (r *receiving[T]) selectCase() reflect.SelectCase {
	return reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(r.ch)}
}

func (r *receiving[T]) selected(v reflect.Value, ok bool) {
	reflect.ValueOf(&r.v).Elem().Set(v)
	r.ok = ok
}

// finish is the only one to write where the user has said: another task may read
// there until the turn has come.
func (r *receiving[T]) finish() {
	if r.to != nil {
		*r.to = r.v
	}
	if r.toOK != nil {
		*r.toOK = r.ok
	}
	var none T
	r.v = none
}

// sending is one send.
type sending[T any] struct {
	ch chan<- T
	v  T
}

func (s *sending[T]) try() bool {
	select {
	case s.ch <- s.v:
		return true
	default:
		return false
	}
}

func (s *sending[T]) block(giveUp <-chan struct{}) bool {
	select {
	case s.ch <- s.v:
		return true
	case <-giveUp:
		return false
	}
}

func (s *sending[T]) selectCase() reflect.SelectCase {
	return reflect.SelectCase{Dir: reflect.SelectSend, Chan: reflect.ValueOf(s.ch), Send: reflect.ValueOf(&s.v).Elem()}
}

func (s *sending[T]) selected(reflect.Value, bool) {}

func (s *sending[T]) finish() {}

// attempt is a goroutine that blocks on channels for a task.
type attempt struct {
	giveUp   chan struct{} // closed by the task
	over     chan struct{} // closed by the goroutine, which has written the rest then
	done     bool
	panicked any
}

// beginAttempt calls block on a goroutine of its own, and wakes spot when that has
// returned.
func beginAttempt(spot taskwait.Spot, block func(giveUp <-chan struct{}) bool) *attempt {
	a := &attempt{giveUp: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer func() {
			a.panicked = recover() // a send to a closed channel: the task's to hear of
			close(a.over)
			spot.Wake()
		}()
		a.done = block(a.giveUp)
	}()
	return a
}

// endAttempt ends the attempt when the wait of the task is over, and reports whether
// something was done. The goroutine decides that: only it knows. So end waits for it,
// which is no time to speak of, because it is told to give up.
func (a *attempt) endAttempt(wait error) (done bool) {
	close(a.giveUp)
	<-a.over
	if a.panicked != nil && wait == nil {
		panic(a.panicked)
	}
	return a.done
}
