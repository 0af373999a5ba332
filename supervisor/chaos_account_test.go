package supervisor_test

import (
	"context"
	"errors"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

type flight struct {
	p *chaosPart
	m work
	f *actors.Future[int64]
}

// judge waits for the end of a request and puts it into its bucket.
func (c *chaos) judge(fl flight) {
	v, err := fl.f.Wait(context.Background())
	var far *messages.Failure
	var p *actors.PanicError
	switch {
	case fl.p.plain: // its mailbox may lose requests: then they time out
		c.plain.Add(1)
		if err != nil && !errors.As(err, &far) && !errors.Is(err, actors.ErrTimeout) && !errors.Is(err, actors.ErrDeadLetter) {
			c.Errorf("%s: %v (%T)", fl.p.path, err, err)
		}
	case err == nil && v == fl.m.n && fl.m.end != endsBadly && fl.m.end != endsInPanic:
		c.values.Add(1)
	case errors.As(err, &p) && !errors.Is(err, actors.ErrRestarted) && fl.m.end == endsInPanic, err == errChaos && fl.m.end == endsBadly:
		c.failed.Add(1)
	case errors.Is(err, actors.ErrRestarted), errors.Is(err, actors.ErrStopped):
		c.canceled.Add(1)
	case errors.Is(err, actors.ErrStopping):
		c.refused.Add(1)
	case errors.Is(err, actors.ErrDeadLetter):
		c.dead.Add(1)
	default:
		c.Errorf("%s, end %d: %d, %v (%T)", fl.p.path, fl.m.end, v, err, err)
	}
}

// account compares what the askers saw with what the report says.
func (c *chaos) account(r supervisor.Report, n int) {
	w := &world{}
	if t, ok := c.TB.(*testing.T); ok {
		w.T = t
	}
	w.agrees(r)
	values, failed, canceled, refused := c.values.Load(), c.failed.Load(), c.canceled.Load(), c.refused.Load()
	c.Logf("chaos: values %d, failed %d, canceled %d, refused %d, dead %d, plain %d; %d turns have blocked; %+v",
		values, failed, canceled, refused, c.dead.Load(), c.plain.Load(), c.stuck.Load(), r.Total)
	if seen := values + failed + canceled + refused + c.dead.Load() + c.plain.Load(); seen != int64(n) {
		c.Errorf("%d requests, %d ends", n, seen)
	}
	t := r.Total
	if t.Pending != 0 || t.DeadLettered != 0 {
		c.Errorf("%+v", t)
	}
	// What comes when the worker is gone is not in its account, but for what
	// comes in its last moment: refused there, and a dead letter to its asker.
	late := t.Canceled + t.Abandoned + t.Refused - canceled - refused
	slack := int64(0) // turns that were taken over between the end of their future and their own
	if c.real {
		slack = t.Abandoned
	}
	if t.Finished > values || t.Finished < values-slack || t.Failed > failed || t.Failed < failed-slack || late < 0 || late > c.dead.Load()+slack {
		c.Errorf("the askers saw %d values, %d failures, %d others; the report has %+v", values, failed, canceled+refused, t)
	}
}
