// SPDX-License-Identifier: Apache-2.0

package view

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/supervisor"
)

// now is when the states of the tests were seen.
var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func pid(id string) *actor.PID { return actor.NewPID("nonhost", id) }

// stackOfAdd is that of a turn that sleeps, as package runtime writes it.
const stackOfAdd = `time.Sleep(0x12a05f200)
	/usr/local/go/src/runtime/time.go:363 +0x158
example.com/shop/list.(*List).add(0xc000012345, {0xc0000a4000, 0x5})
	/src/shop/list/list.go:141 +0x1d4
github.com/protoloop/protoloop/actors.(*messageBody).run(...)
	/src/protoloop/actors/run.go:88
created by github.com/protoloop/protoloop/internal/loop.(*Pool).wake in goroutine 1
	/src/protoloop/internal/loop/pool.go:99 +0x1a
`

// balanced is an account that adds up.
func balanced(finished, pending int64) actors.Counts {
	n := finished + pending
	return actors.Counts{Offered: n, Accepted: n, Finished: finished, Pending: pending}
}

// shop is the state of a service in trouble: a turn is blocked, two tasks await each other, and a child
// restarts again and again.
func shop() *State {
	blocked := &inspect.Turn{Task: "add item", Since: ago(3200 * time.Millisecond), Stack: []byte(stackOfAdd)}
	list := inspect.Worker{
		PID: pid("shop/list"), Kind: "list", State: "running", Incarnation: 1, Queued: 12, OldestWait: 3 * time.Second,
		Live: 1, Blocked: blocked, BlockedTurns: 1, Counts: balanced(100, 13),
	}
	a := inspect.Worker{PID: pid("shop/prices"), Kind: "prices", State: "running", Incarnation: 2, Live: 1, Counts: balanced(10, 1)}
	b := inspect.Worker{PID: pid("shop/stock"), Kind: "stock", State: "running", Incarnation: 1, Live: 1, Offloads: 4, OffloadsWaiting: 3, Counts: balanced(20, 1)}
	cart := inspect.Worker{PID: pid("shop/cart"), Kind: "cart", State: "unwinding", Incarnation: 7, ToldToEnd: ago(5 * time.Second), Live: 41, Queued: 2, OldestWait: 2 * time.Second, Counts: balanced(7, 43)}

	ring := []inspect.RingMember{
		{Ref: inspect.TaskRef{Worker: pid("shop/prices"), Incarnation: 2, ID: 9}, Kind: "prices", Task: "price of"},
		{Ref: inspect.TaskRef{Worker: pid("shop/stock"), Incarnation: 1, ID: 4}, Kind: "stock", Task: "reserve"},
	}
	var wait, turn inspect.Histogram
	wait.Counts[10], wait.Counts[14], wait.Counts[30] = 70, 25, 5
	turn.Counts[9], turn.Counts[12] = 90, 10
	failed := inspect.PastFailure{At: ago(20 * time.Second), Worker: pid("shop/cart"), Task: "checkout", Kind: inspect.WorkerFailure, Err: "payment: no route to host", Stack: []byte(stackOfAdd)}
	before := &State{At: ago(time.Second), Snapshot: inspect.Snapshot{Workers: []inspect.Worker{
		{PID: pid("shop/cart"), Counts: balanced(7, 43)}, {PID: pid("shop/list"), Counts: balanced(50, 63)},
	}}, Kinds: []inspect.WorkerKind{{Name: "cart"}, {Name: "list", Counts: balanced(50, 63)}}}
	return &State{
		Seq: 7, At: now, Before: before, Past: &State{Kinds: []inspect.WorkerKind{{Name: "cart", Counts: actors.Counts{DeadLettered: 1}}}},
		About:      About{PID: 4711, Command: "shop", Started: ago(time.Hour), Go: "go1.26.1", Version: "v1.2.3", GOMAXPROCS: 2, Address: "nonhost", Host: "web-1"},
		Goroutines: 62,
		Snapshot: inspect.Snapshot{
			At: now, Workers: []inspect.Worker{cart, list, a, b},
			Groups: []inspect.Group{
				{Kind: "cart", Task: "checkout", State: "awaiting", Awaits: "add item", Of: "list", Line: "cart.go:52", Tasks: 41, Workers: 1, Oldest: 3 * time.Second, Example: inspect.TaskRef{Worker: pid("shop/cart"), Incarnation: 7, ID: 2},
					ToldToEnd: 5, OverBudget: 2, FirstTold: ago(5 * time.Second), Told: inspect.TaskRef{Worker: pid("shop/cart"), Incarnation: 7, ID: 2}},
				{Kind: "list", Task: "add item", State: "running", Tasks: 1, Workers: 1, Example: inspect.TaskRef{Worker: pid("shop/list"), Incarnation: 1, ID: 0}},
				{Kind: "prices", Task: "price of", State: "awaiting", Awaits: "reserve", Of: "stock", Tasks: 1, Workers: 1, Oldest: 9 * time.Second, Example: ring[0].Ref},
				{Kind: "stock", Task: "reserve", State: "awaiting", Awaits: "price of", Of: "prices", Tasks: 1, Workers: 1, Oldest: 9 * time.Second, Example: ring[1].Ref},
			},
			Roots: []inspect.Root{
				{Is: "turn", Worker: pid("shop/list"), Kind: "list", Name: "add item", Age: 0, Blocked: blocked, Tasks: 41, Workers: 1, Queued: 12},
				{Is: "ring", Tasks: 2, Workers: 2, Ring: ring},
			},
		},
		Kinds: []inspect.WorkerKind{
			{Name: "cart", Workers: 1, Queued: 2, OldestWait: 2 * time.Second, Counts: actors.Counts{Offered: 55, Accepted: 55, Finished: 7, DeadLettered: 5, Pending: 43}, Restarts: 6, Failed: 6, QueueWait: wait, TurnTime: turn, Failures: []inspect.PastFailure{failed}},
			{Name: "list", Workers: 1, Blocked: 1, Queued: 12, OldestWait: 3 * time.Second, Counts: balanced(100, 13), BlockedTurns: 1},
			{Name: "prices", Workers: 1, Counts: balanced(10, 1)},
			{Name: "stock", Workers: 1, Offloads: 4, OffloadsWaiting: 3, Counts: balanced(20, 1)},
		},
		Shares: []inspect.Share{{Kind: "list", Worker: pid("shop/list"), Task: "add item", Busy: 1}},
		Supervisors: []supervisor.Info{{
			Ref: supervisor.Ref{Supervisor: "shop", Start: 1}, PID: pid("shop"), State: "running", MaxRestarts: 10, Within: time.Minute, Restarted: 7, RestartsTotal: 6,
			Len: 4, States: map[string]int{"up": 3, "stopping": 1},
			Children: []supervisor.ChildInfo{
				{Name: "list", PID: pid("shop/list"), Kind: supervisor.KindWorker, State: "up", Since: ago(time.Hour), Ref: supervisor.Ref{Supervisor: "shop", Child: "list", Start: 2}, Shutdown: 5 * time.Second},
				{Name: "prices", PID: pid("shop/prices"), Kind: supervisor.KindWorker, State: "up", Since: ago(time.Minute), Restarts: 1, Ref: supervisor.Ref{Supervisor: "shop", Child: "prices", Start: 9}, Shutdown: actors.Forever},
				{Name: "mail", Kind: supervisor.KindSupervisor, PID: pid("shop/mail"), State: "up", Since: ago(time.Hour), Ref: supervisor.Ref{Supervisor: "shop", Child: "mail", Start: 4}, Shutdown: actors.Forever},
				{Name: "cart", PID: pid("shop/cart"), Kind: supervisor.KindWorker, State: "stopping", Since: ago(5 * time.Second), Restarts: 6, Err: errors.New("payment: no route to host"), Ref: supervisor.Ref{Supervisor: "shop", Child: "cart", Start: 12}, Shutdown: 10 * time.Second, GraceLeft: 5 * time.Second},
			},
			Restarts: []supervisor.RestartRecord{{At: ago(20 * time.Second), Child: "cart", Err: errors.New("payment: no route to host"), Stack: []byte(stackOfAdd), Task: "checkout", Attempt: 6, Delay: 800 * time.Millisecond, Counted: true}},
			Waits: []supervisor.StopWait{{
				Ref: supervisor.Ref{Supervisor: "shop", Child: "cart", Start: 12}, Path: "cart", PID: pid("shop/cart"), Kind: supervisor.KindWorker,
				Since: ago(5 * time.Second), GraceLeft: 5 * time.Second, Pending: 43,
			}},
		}, {
			Ref: supervisor.Ref{Supervisor: "shop/mail", Start: 5}, PID: pid("shop/mail"), Parent: pid("shop"), Dynamic: true, State: "running", MaxRestarts: -1, States: map[string]int{"failed": 1}, Len: 1,
			Children: []supervisor.ChildInfo{
				{Name: "ann", Kind: supervisor.KindWorker, State: "failed", Since: ago(4 * time.Second), Restarts: 3, Err: errors.New("smtp: 451\ntry later"), BackoffLeft: 2500 * time.Millisecond, Ref: supervisor.Ref{Supervisor: "shop/mail", Child: "ann", Start: 11}, Restart: supervisor.Transient, Shutdown: actors.NoGrace},
			},
		}},
		Consumers: []consumer.Info{{
			Name: "orders", Workers: []*actor.PID{pid("shop/orders")}, Concurrency: 4, Prefetch: 8, MaxTries: 5, LastPoll: ago(time.Second), LastReceive: ago(2 * time.Second), QueueTime: 40 * time.Millisecond,
			Stats:     consumer.Stats{Received: 20, Acked: 12, Retried: 3, DeadLettered: 2, Lost: 1, InFlight: 2, Running: 1, Failures: 5, OpenSince: ago(6 * time.Second), Outages: 1},
			OpenCause: errors.New("payment: no route to host"),
			InFlight: []consumer.MessageInfo{
				{ID: "17", KeyHash: 0xabc, Task: "orders: message order", Worker: pid("shop/orders"), Tries: 2, State: "running", Age: 4 * time.Second},
				{ID: "19", Task: "orders: message", Worker: pid("shop/orders"), State: "waiting", Age: time.Second},
			},
			Errors: []consumer.ErrorRecord{{At: ago(6 * time.Second), Message: "17", Try: 1, Err: errors.New("payment: no route to host")}},
		}},
		Servers: []SocketLook{{
			Stats:  socketio.Stats{Sessions: 2, WebSockets: 1, Sockets: map[string]int{"/": 2, "/admin": 0}, Events: 40, BytesIn: 1000, BytesOut: 9000},
			Events: []socketio.EventStats{{Namespace: "/", Event: "add", Count: 40, Failed: 1, Timed: 2, Time: 6 * time.Millisecond}},
			Sessions: []socketio.SessionInfo{
				{ID: "s1", Worker: pid("socketio-1/1"), Transport: "websocket", Address: "10.0.0.7", Since: ago(time.Minute), Buffered: 3 << 20, MaxBuffered: 4 << 20, Sockets: []socketio.SocketInfo{{ID: "a1", Namespace: "/", Rooms: 1}}},
				{ID: "s2", Worker: pid("socketio-1/2"), Transport: "polling", Address: "10.0.0.8", Since: ago(time.Hour), MaxBuffered: 4 << 20, Sockets: []socketio.SocketInfo{{ID: "b2", Namespace: "/"}}},
			},
			Rooms: map[string]map[string]int{"/": {"lobby": 1}}, RoomsOf: map[string][]string{"a1": {"a1", "lobby"}, "b2": {"b2"}},
		}},
		Minute: Minute{
			Age: []float64{1, 0}, Finished: []float64{0, 50}, Failed: []float64{0, 0}, Queued: []float64{10, 14}, Oldest: []float64{2, 3},
			Tasks: []float64{44, 44}, Busy: []float64{0, 0.5}, Restarts: []float64{0, 1},
		},
	}
}

// listWithTasks is what a look at one worker of the shop has.
func cartWithTasks(s *State) *inspect.Worker {
	w := *s.worker("shop/cart")
	w.Tasks = []inspect.Task{{
		Ref: inspect.TaskRef{Worker: pid("shop/cart"), Incarnation: 7, ID: 2}, Name: "checkout", State: "awaiting", Awaits: "add item", On: pid("shop/list"),
		Age: 3 * time.Second, Budget: 27 * time.Second, Creator: "visit", CreatorWorker: pid("shop/web"), ToldToEnd: ago(5 * time.Second),
	}, {
		Ref: inspect.TaskRef{Worker: pid("shop/cart"), Incarnation: 7, ID: 3}, Name: "checkout", State: "awaiting", Awaits: "answer to mail", On: actor.NewPID("10.0.0.9:4000", "mailer"), Age: time.Second,
	}}
	return &w
}
