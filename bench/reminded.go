// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer/jetstream/reminders"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/remind"
)

const (
	remindBatch = 1000 // set, and delivered, before the next: the server looks what is due four times a second
	remindAsks  = 64   // of them are being set at a time
)

// remindCases are about reminders that are due at once: a message that the server schedules and that is taken and acked, and
// a reminder, which has a record beside it, by which it is cancelled and done once, and a worker.
func remindCases() []*benchCase {
	return []*benchCase{
		{"remind/bare", "a bare scheduled message, published, taken and acked", remindBatch, scheduleBare},
		{"remind/key", "… a reminder of a key, set and handled", remindBatch, remindKeys},
	}
}

func remindRules() []rule {
	return []rule{{of: "remind/key", against: "remind/bare", as: "bare message", figure: wall}}
}

// inBatches has set called for all of a batch, so many at a time, and waits until each has come, by the function that it is
// called with.
func inBatches(set func(ctx context.Context, i int, serial uint64) error, came <-chan int) run {
	var serial atomic.Uint64
	return func(n int) (sum int, err error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour) // else the client's own, of seconds
		defer cancel()
		for range n / remindBatch {
			var next atomic.Int64
			errs := make([]error, remindAsks)
			var wg sync.WaitGroup
			for g := range errs {
				wg.Go(func() {
					for i := int(next.Add(1)) - 1; i < remindBatch && errs[g] == nil; i = int(next.Add(1)) - 1 {
						errs[g] = set(ctx, i, serial.Add(1))
					}
				})
			}
			wg.Wait()
			if err := errors.Join(errs...); err != nil {
				return 0, err
			}
			var has [remindBatch]bool
			for got := 0; got < remindBatch; {
				if i := <-came; !has[i] { // one that is delivered twice counts once
					has[i] = true
					sum += i
					got++
				}
			}
		}
		return sum, nil
	}
}

func scheduleBare(e *env) (run, error) {
	nc, err := embeddedServer(false)(e)
	if err != nil {
		return nil, err
	}
	js, err := natsjs.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.CreateStream(e.ctx, natsjs.StreamConfig{
		Name: "BARE", Subjects: []string{"bare.>"}, AllowMsgSchedules: true, AllowRollup: true, Retention: natsjs.WorkQueuePolicy, MaxMsgsPerSubject: 1,
	})
	if err != nil {
		return nil, err
	}
	due, err := stream.CreateConsumer(e.ctx, natsjs.ConsumerConfig{FilterSubject: "bare.due.>", AckPolicy: natsjs.AckExplicitPolicy, MaxAckPending: -1})
	if err != nil {
		return nil, err
	}
	came := make(chan int, 2*remindBatch)
	taking, err := due.Consume(func(m natsjs.Msg) {
		i, err := strconv.Atoi(string(m.Data()))
		if err == nil && m.Ack() == nil {
			came <- i
		}
	})
	if err != nil {
		return nil, err
	}
	e.onClose(func() error { taking.Stop(); return nil })
	return inBatches(func(ctx context.Context, i int, serial uint64) error {
		m := nats.NewMsg(fmt.Sprint("bare.timer.", serial))
		m.Data = strconv.AppendInt(nil, int64(i), 10)
		m.Header.Set(natsjs.ScheduleHeader, "@at "+time.Now().UTC().Format(time.RFC3339Nano))
		m.Header.Set(natsjs.ScheduleTargetHeader, fmt.Sprint("bare.due.", serial))
		_, err := js.PublishMsg(ctx, m)
		return err
	}, came), nil
}

func remindKeys(e *env) (run, error) {
	nc, err := embeddedServer(false)(e)
	if err != nil {
		return nil, err
	}
	store, err := reminders.New(nc, reminders.Options{})
	if err != nil {
		return nil, err
	}
	came := make(chan int, 2*remindBatch)
	g, err := grid.Start(e.ctx, e.sys, grid.Options{Logger: quiet(), Kinds: []grid.Kind{{
		Name: "reminded", Accepts: []grid.Message{grid.MessageOf[number]()}, Setup: func(w *actors.Worker, _ string) error {
			actors.Handle(w, func(_ *actors.Task, n number) (number, error) { came <- int(n.Value); return n, nil })
			return nil
		},
	}}})
	if err != nil {
		return nil, err
	}
	e.onClose(func() error { _, err := g.Drain(e.ctx); return err })
	rs, err := remind.New(remind.Options{Store: store, Grid: g})
	if err != nil {
		return nil, err
	}
	if _, err := e.spawn("reminders", rs.Setup); err != nil {
		return nil, err
	}
	return inBatches(func(ctx context.Context, i int, serial uint64) error {
		return rs.Set(ctx, remind.Reminder{
			Kind: "reminded", ID: strconv.Itoa(i % remindAsks), Name: strconv.FormatUint(serial, 10), At: time.Now(), Message: wrapperspb.Int64(int64(i)),
		})
	}, came), nil
}
