// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// poller is the command that shows a supervised background task: it polls a
// queue, survives the queue's failures, and ends by a stop event.
type poller struct {
	items    int
	every    time.Duration
	faults   float64
	grace    time.Duration
	stubborn bool
	json     bool
}

func (*poller) name() string { return "poller" }

func (*poller) summary() string {
	return `  A background task polls a queue, which fails now and then, and hands what it
  finds to another worker. A supervisor restarts it, after a wait that grows.
  Ctrl-C is the stop event: the task ends between two polls, and a report says
  what has become of everything. Ctrl-C again ends the grace period.`
}

func (p *poller) declare(flags *flag.FlagSet) {
	p.items, p.faults = 0, 0.1
	flags.Var(&count{&p.items, 0, 1_000_000}, "items", "stop after this `number` of items was handled; 0: at Ctrl-C only")
	flags.DurationVar(&p.every, "every", 200*time.Millisecond, "`pause` between two polls")
	flags.Var(&share{&p.faults}, "faults", "`share` of polls and of items that fail, 0 to 0.9")
	flags.DurationVar(&p.grace, "grace", 5*time.Second, "`time` that work in flight has after the stop event")
	flags.BoolVar(&p.stubborn, "stubborn", false, "let the handler of item 3 never return, to see what a stop does about it")
	flags.BoolVar(&p.json, "json", false, "print the report as JSON")
}

func (p *poller) check() error {
	switch {
	case p.every < 0:
		return fmt.Errorf("-every is %v: must not be negative", p.every)
	case p.grace <= 0:
		return fmt.Errorf("-grace is %v: must be more than 0", p.grace)
	}
	return nil
}

// stopGrace is what a task has to return in after the grace.
const stopGrace = time.Second

func (p *poller) run(ctx context.Context, stdout, stderr io.Writer) error {
	out := newConsole(stdout)
	q := newQueue(p.faults)
	sys := newSystem(stderr)
	loop := actors.EventLoop(actors.Options{StopGrace: stopGrace})
	spec := supervisor.Spec{
		Name:        "app",
		MaxRestarts: 1000, Within: time.Minute, // the backoff bounds them, too
		Children: []supervisor.Child{
			{Name: "list", Props: actors.Props(p.list(out), loop), Shutdown: p.grace},
			{Name: "poller", Props: actors.Props(p.poll(q), loop), Shutdown: p.grace, Restart: supervisor.Transient,
				Significant: true, Backoff: actors.Backoff{Initial: 100 * time.Millisecond, Max: 5 * time.Second, Jitter: 0.5}, ResetAfter: time.Second},
		},
		AutoShutdown: supervisor.AnySignificant,
		Logger:       slog.New(slog.DiscardHandler), // the events tell it all
		OnEvent:      func(e supervisor.Event) { tell(out, e) },
	}
	// ctx ends at the first signal; of the second Run is told itself.
	report, err := supervisor.Run(ctx, sys, spec, func(*supervisor.Supervisor) error {
		out.say("polling; Ctrl-C stops it")
		return nil
	})
	if p.json {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s\n", text)
	} else {
		fmt.Fprintf(stdout, "\n%v", report)
	}
	q.restore() // what was in flight when the grace was over
	taken, acked, back := q.sums()
	fmt.Fprintf(stdout, "queue: %d taken, %d handled, %d given back\n", taken, acked, back)
	return errors.Join(err, report.Err())
}

// item is a message of the queue.
type item struct{ n int }

// list is the setup of the worker that keeps what has come.
func (p *poller) list(out *console) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		var items []int
		actors.Handle(w, func(t *actors.Task, it item) (int, error) {
			if p.stubborn && it.n == 3 {
				out.say("item 3 is never handled")
				time.Sleep(time.Hour) // what no task should do: it holds up its worker
			}
			items = append(items, it.n)
			out.say("item_added " + strconv.Itoa(it.n))
			return len(items), nil
		})
		return nil
	}
}

// poll is the setup of the worker with the background task. An error ends an
// incarnation of it; how long to wait before the next is the supervisor's
// business.
func (p *poller) poll(q *queue) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		q.restore() // what the one before had in flight
		w.Main(func(t *actors.Task) error {
			list := actor.NewPID(t.Self().Address, t.Parent().Id+"/list") // the PID outlives restarts
			for {
				// The queue's call blocks, so it runs outside of the loop.
				batch, err := actors.Await(t, actors.Offload(t, q.receive))
				if err != nil {
					return err
				}
				for _, it := range batch {
					if err := q.fault("item", it.n); err != nil {
						return err
					}
					if _, err := actors.Ask[int](t, list, it); err != nil {
						return err
					}
					q.ack(it)
				}
				if _, handled, _ := q.sums(); p.items > 0 && handled >= p.items {
					return nil
				}
				stopping, err := t.SleepOrStop(p.every)
				if stopping || err != nil {
					return err
				}
			}
		})
		return nil
	}
}

// tell prints the events that a spectator wants to see.
func tell(out *console, e supervisor.Event) {
	_, child := e.Where()
	switch e := e.(type) {
	case supervisor.ChildFailed:
		out.say(fmt.Sprintf("%s failed: %v", child, e.Err))
	case supervisor.ChildRestarting:
		out.say(fmt.Sprintf("%s restarts in %v, attempt %d", child, short(e.Delay), e.Attempt))
	case supervisor.StopPhase:
		if child != "" {
			child += " "
		}
		out.say(child + e.Phase)
	case supervisor.TaskAbandoned:
		out.say(fmt.Sprintf("%s: abandoned: %s", child, e.Task))
	}
}
