// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

// flight is a request on its way.
type flight struct {
	p       *chaosPart
	m       work
	f       *actors.Future[int64]
	plain   bool
	bounded bool // its asker may end it
}

// askBounded asks a worker with a limit. By chance the time is over before the
// request has got anywhere: then it may be in nobody's account.
func (c *chaos) askBounded(p *chaosPart, m work) flight {
	fl := flight{p: p, m: m, bounded: true}
	fl.f = actors.RequestFuture[int64](c.root, p.pid, m, actors.Timeout(chaosLimit))
	if _, err := fl.f.TryResult(); errors.Is(err, actors.ErrTimeout) {
		c.ends.onTheWay.Add(1)
	}
	return fl
}

// lateFlights are looked at when the tree has stopped.
type lateFlights struct {
	mu  sync.Mutex
	all []flight
}

func (l *lateFlights) add(fl flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fl)
}

// chaosEnds are the ends of requests, as their askers were told.
type chaosEnds struct {
	values, failed, canceled, refused, dead atomic.Int64 // of those to workers
	plain                                   atomic.Int64
	onTheWay                                atomic.Int64 // of canceled: see askBounded
}

// chaosEvents are what the supervisors have told.
type chaosEvents struct {
	failed, hung, restarted, exceeded, abandoned atomic.Int64

	mu   sync.Mutex
	last map[string][]string // of each child, for who has to find out why it is left
}

const chaosLast = 20

func (o *chaosEvents) event(e supervisor.Event) {
	o.mu.Lock()
	if o.last == nil {
		o.last = map[string][]string{}
	}
	at, child := e.Where()
	at += "/" + child
	o.last[at] = append(o.last[at], time.Now().Format("05.000 ")+text(e))
	o.last[at] = o.last[at][max(0, len(o.last[at])-chaosLast):]
	o.mu.Unlock()
	switch e := e.(type) {
	case supervisor.ChildFailed:
		o.failed.Add(1)
		if errors.Is(e.Err, supervisor.ErrStartTimeout) {
			o.hung.Add(1)
		}
	case supervisor.ChildRestarted:
		o.restarted.Add(1)
	case supervisor.BudgetExceeded:
		o.exceeded.Add(1)
	case supervisor.TaskAbandoned:
		o.abandoned.Add(1)
	}
}

// drain judges what was in flight when the tree was told to stop, and what
// workers have asked each other. None of that may be pending, unless a worker that was left
// behind goes on, as it may where time is real and the processors have too much to do.
func (c *chaos) drain(left [][]flight, behind bool) {
	for _, all := range append(left, c.inner.all) {
		for _, fl := range all {
			if _, err := fl.f.TryResult(); err == actors.ErrPending && !fl.plain && !behind {
				c.Errorf("%s, end %d: pending although its worker is gone", fl.p.path, fl.m.end)
			}
			c.judge(fl)
		}
	}
}

// judge waits for the end of a request and puts it into its bucket.
func (c *chaos) judge(fl flight) {
	v, err := fl.f.Wait(context.Background())
	if again, also := fl.f.TryResult(); again != v || also != err {
		c.Errorf("%s: a request ended with %d, %v, and then with %d, %v", fl.p.path, v, err, again, also)
	}
	var far *messages.Failure
	var p *actors.PanicError
	e, end := &c.ends, fl.m.end
	switch {
	case fl.plain: // its mailbox may lose requests: then they time out
		e.plain.Add(1)
		if err != nil && !errors.As(err, &far) && !errors.Is(err, actors.ErrTimeout) && !errors.Is(err, actors.ErrDeadLetter) {
			c.Errorf("%s: %v (%T)", fl.p.path, err, err)
		}
	case err == nil && v == fl.m.n && end != endsBadly && end != endsInPanic && end != endsStubborn:
		e.values.Add(1)
	case err == errChaos && end == endsBadly, errors.Is(err, errChaos) && end == endsAsking && !errors.Is(err, actors.ErrRestarted),
		errors.As(err, &p) && !errors.Is(err, actors.ErrRestarted) && end == endsInPanic:
		e.failed.Add(1)
	case errors.Is(err, actors.ErrRestarted), errors.Is(err, actors.ErrStopped), fl.bounded && (errors.Is(err, actors.ErrTimeout) || errors.Is(err, actors.ErrCanceled)):
		e.canceled.Add(1)
	case errors.Is(err, actors.ErrStopping):
		e.refused.Add(1)
	case errors.Is(err, actors.ErrDeadLetter):
		e.dead.Add(1)
	default:
		c.Errorf("%s, end %d: %d, %v (%T)", fl.p.path, end, v, err, err)
	}
}

// account compares what the askers were told with what the report says.
func (c *chaos) account(r supervisor.Report, n int) {
	(&world{T: c.T}).agrees(r)
	for _, p := range c.workers {
		n += int(p.asks.Load())
	}
	e, o, t := &c.ends, &c.told, r.Total
	values, failed, canceled, refused, dead := e.values.Load(), e.failed.Load(), e.canceled.Load(), e.refused.Load(), e.dead.Load()
	c.Logf("chaos: %d requests, at most %d in flight: values %d, failed %d, canceled %d, refused or never begun %d, dead %d; plain %d",
		n, c.peak.Load(), values, failed, canceled, refused, dead, e.plain.Load())
	c.Logf("chaos: %d failures, %d of them hung starts, %d restarts, %d budgets exceeded, %d tasks abandoned; %+v",
		o.failed.Load(), o.hung.Load(), o.restarted.Load(), o.exceeded.Load(), o.abandoned.Load(), t)
	if seen := values + failed + canceled + refused + dead; seen != int64(n) {
		c.Errorf("%d requests, %d ends", n, seen)
	}
	// A worker that was left behind goes on: what it had not ended is Pending.
	if t.DeadLettered != 0 || t.Pending > 0 && !leftBehind(r) {
		c.Errorf("%+v\n%v", t, r)
	}
	if t.Finished > values || t.Failed > failed || t.Finished+t.Failed+t.Pending < values+failed {
		c.Errorf("the askers were told %d values and %d failures; the report has %+v\n%v", values, failed, t, r)
	}
	// What comes when the worker is gone is not in its account, but for what
	// comes in its last moment: refused there, and a dead letter to its asker.
	// Nor is what a worker refuses that was left behind before.
	least := -t.Pending - e.onTheWay.Load()
	if leftBehind(r) {
		least -= refused
	}
	if late := t.Canceled + t.Abandoned + t.Refused - canceled - refused; late < least || late > dead {
		c.Errorf("the askers were told %d ends from outside, %d of them on the way, and %d dead letters; the report has %+v\n%v", canceled+refused, e.onTheWay.Load(), dead, t, r)
	}
}

// gone waits until the actors of the tree are, and says what is known of those
// that stay.
func (c *chaos) gone() {
	var left []string
	for range 600 {
		if left = testtools.RegisteredIDs(c.sys, "chaos"); len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.Errorf("left: %q\n%v", left, inspect.System(c.sys))
	c.told.mu.Lock()
	defer c.told.mu.Unlock()
	for _, id := range left {
		for at := id; at != ""; at = at[:max(0, strings.LastIndexByte(at, '/'))] {
			for _, e := range c.told.last[at] {
				c.Logf("%s: %s", id, e)
			}
		}
	}
}

// leftBehind reports whether the supervisor has given up on a worker.
func leftBehind(r supervisor.Report) bool {
	var e *supervisor.AbandonedError
	return errors.As(r.Err(), &e) && slices.ContainsFunc(e.Tasks, func(task string) bool { return strings.Contains(task, ": actor chaos/") })
}

// sawAll checks that everything has happened that was to. A tenth of the
// requests is too few for what is rare.
func (c *chaos) sawAll() {
	if testing.Short() {
		return
	}
	e, o := &c.ends, &c.told
	for what, n := range map[string]*atomic.Int64{
		"values": &e.values, "failures": &e.failed, "canceled": &e.canceled, "refused": &e.refused, "dead letters": &e.dead,
		"failed children": &o.failed, "starts that hung": &o.hung, "restarts": &o.restarted, "abandoned tasks": &o.abandoned,
	} {
		if n.Load() == 0 {
			c.Errorf("no %s", what)
		}
	}
}
