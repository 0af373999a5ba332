// SPDX-License-Identifier: Apache-2.0

package view

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/supervisor"
)

// TestLints: each lint where it is to be seen, at its limit, and where it is not.
func TestLints(t *testing.T) {
	worker := func(w inspect.Worker) *State {
		w.PID = pid("w")
		return &State{At: now, Snapshot: inspect.Snapshot{Workers: []inspect.Worker{w}}}
	}
	group := func(g inspect.Group) *State {
		g.Kind, g.Task, g.Told = "k", "t", inspect.TaskRef{Worker: pid("w"), Incarnation: 1, ID: 1}
		g.Example = g.Told
		return &State{At: now, Snapshot: inspect.Snapshot{Groups: []inspect.Group{g}}}
	}
	tree := func(i supervisor.Info) *State {
		i.PID = pid("s")
		return &State{At: now, Supervisors: []supervisor.Info{i}}
	}
	child := func(k supervisor.ChildInfo) *State {
		k.Name = "c"
		return tree(supervisor.Info{Children: []supervisor.ChildInfo{k}})
	}
	queue := func(c consumer.Stats) *State {
		return &State{At: now, Consumers: []consumer.Info{{Name: "q", Workers: []*actor.PID{pid("q")}, Stats: c}}}
	}
	past := func(s, p *State) *State { s.Past = p; return s }
	dead := func(n int64) *State {
		return &State{At: now, Kinds: []inspect.WorkerKind{{Name: "k", Counts: actors.Counts{DeadLettered: n}}}}
	}
	ring := func(n int) *State {
		r := inspect.Root{Is: "ring", Tasks: n, Workers: 2}
		for range n {
			r.Ring = append(r.Ring, inspect.RingMember{Ref: inspect.TaskRef{Worker: pid("w"), Incarnation: 1, ID: 1}, Kind: "k", Task: "t"})
		}
		return &State{At: now, Snapshot: inspect.Snapshot{Roots: []inspect.Root{r}}}
	}
	client := func(buffered int) *State {
		return &State{At: now, Servers: []SocketLook{{Sessions: []socketio.SessionInfo{{ID: "x", Address: "10.0.0.9", Since: now, Buffered: buffered, MaxBuffered: 1000}}}}}
	}
	cut := func(n int64) *State {
		return &State{At: now, Servers: []SocketLook{{Stats: socketio.Stats{SlowClients: n}}}}
	}
	onGrid := func(i grid.Info) *State { return &State{At: now, Grid: &i} }
	failed := errors.New("no disk")
	for name, c := range map[string]struct {
		s     *State
		id    string // "": none
		level Level
		text  string // of the first place
	}{
		"an idle worker":         {s: worker(inspect.Worker{State: "running"})},
		"nothing":                {s: &State{At: now}},
		"a blocked turn":         {worker(inspect.Worker{Blocked: &inspect.Turn{Task: "add", Since: ago(2 * time.Second)}}), LintBlocked, Error, "w has been in a turn of add for 2s"},
		"a blocked turn, stack":  {worker(inspect.Worker{Blocked: &inspect.Turn{Task: "add", Since: ago(2 * time.Second), Stack: []byte(stackOfAdd)}}), LintBlocked, Error, "w has been in a turn of add for 2s at list.go:141 list.(*List).add"},
		"a blocked turn's queue": {worker(inspect.Worker{Blocked: &inspect.Turn{Task: "add", Since: ago(2 * time.Second)}, Queued: 5, OldestWait: time.Minute}), LintBlocked, Error, "w has been in a turn of add for 2s"},
		"a ring of two":          {ring(2), LintRing, Error, "ring: w: t → w: t → w: t; 2 tasks of 2 workers wait for it"},
		"a ring of one":          {ring(1), LintRing, Error, "ring: w: t → w: t; 1 task of 2 workers waits for it"},

		"a new queue":               {s: worker(inspect.Worker{Queued: 5, OldestWait: 999 * time.Millisecond})},
		"an old queue":              {worker(inspect.Worker{Queued: 1, OldestWait: time.Second}), LintOldQueue, Warning, "w has 1 message that waits, the first of them for 1s"},
		"an old queue, emptied":     {s: worker(inspect.Worker{OldestWait: time.Second})},
		"an old queue, exclusive":   {worker(inspect.Worker{Queued: 2, OldestWait: time.Second, Exclusive: "x"}), LintOldQueue, Warning, "w has 2 messages that wait, the first of them for 1s; an exclusive task holds them back"},
		"an old queue, in setup":    {worker(inspect.Worker{State: "setup", Queued: 2, OldestWait: 90 * time.Second}), LintOldQueue, Warning, "w has 2 messages that wait, the first of them for 1m30s; its setup has not ended"},
		"a full mailbox":            {worker(inspect.Worker{MailboxSize: 100, Queued: 90, Counts: actors.Counts{Offered: 107, Accepted: 90, Refused: 17, Pending: 90}}), LintFull, Warning, "w has 90 of 100 messages, and has refused 17 so far"},
		"half a mailbox":            {s: worker(inspect.Worker{MailboxSize: 100, Queued: 89})},
		"a mailbox without a bound": {s: worker(inspect.Worker{Queued: 1 << 20})},
		"a stop": {tree(supervisor.Info{Waits: []supervisor.StopWait{{Ref: supervisor.Ref{Supervisor: "s/t", Child: "c"}, Since: ago(2 * time.Second), GraceLeft: actors.Forever, Pending: 1}}}), LintStop, Note,
			"s/t/c was told to stop 2s ago, and has 1 piece of work; its grace has no end"},
		"a stop's grace": {tree(supervisor.Info{Waits: []supervisor.StopWait{{Ref: supervisor.Ref{Supervisor: "s", Child: "c"}, Since: ago(time.Minute), GraceLeft: 3 * time.Second, Pending: -1}}}), LintStop, Note,
			"s/c was told to stop 1m0s ago; 3s of its grace are left"},
		"a short stop":              {s: tree(supervisor.Info{Waits: []supervisor.StopWait{{Ref: supervisor.Ref{Supervisor: "s", Child: "c"}, Since: ago(500 * time.Millisecond), GraceLeft: 3 * time.Second}}})},
		"full":                      {worker(inspect.Worker{Offloads: 128, OffloadsWaiting: 1}), LintOffload, Warning, "w: 1 function waits for a place while 128 run"},
		"nearly full":               {s: worker(inspect.Worker{Offloads: 128})},
		"a worker that drains":      {s: worker(inspect.Worker{State: "stopping", ToldToEnd: ago(time.Minute)})},
		"a worker that unwinds":     {worker(inspect.Worker{State: "unwinding", ToldToEnd: ago(time.Minute), Live: 2}), LintTold, Warning, "w was told to end 1m0s ago and is unwinding: 2 tasks are left"},
		"a worker that does so":     {s: worker(inspect.Worker{State: "unwinding", ToldToEnd: ago(100 * time.Millisecond)})},
		"a task told to end":        {group(inspect.Group{ToldToEnd: 1, FirstTold: ago(3200 * time.Millisecond)}), LintTold, Warning, "k: 1 task of t, told to end for up to 3.2s, as in w"},
		"a task just told to end":   {s: group(inspect.Group{ToldToEnd: 1, FirstTold: ago(time.Millisecond)})},
		"tasks over budget":         {group(inspect.Group{ToldToEnd: 2, OverBudget: 2, FirstTold: ago(2 * time.Second)}), LintBudget, Warning, "k: 2 tasks of t, out of their time for up to 2s, as in w"},
		"a crowd at a promise":      {group(inspect.Group{State: "awaiting", Awaits: "promise", Tasks: 100, Oldest: time.Minute}), LintPromise, Note, "k: 100 tasks of t, the oldest for 1m0s, as in w"},
		"a crowd for a moment":      {s: group(inspect.Group{State: "awaiting", Awaits: "promise", Tasks: 100_000, Oldest: 59 * time.Second})},
		"a few at a promise":        {s: group(inspect.Group{State: "awaiting", Awaits: "promise", Tasks: 99, Oldest: time.Hour})},
		"a crowd at a worker":       {s: group(inspect.Group{State: "awaiting", Awaits: "promise", Of: "l", Tasks: 100, Oldest: time.Hour})},
		"a crowd at a queue":        {s: group(inspect.Group{State: "awaiting", Awaits: "item of a queue", Tasks: 100, Oldest: time.Hour})},
		"an account that adds up":   {s: worker(inspect.Worker{Counts: balanced(3, 1)})},
		"one that does not":         {worker(inspect.Worker{Counts: actors.Counts{Offered: 2, Accepted: 1}}), LintAccount, Error, "w: " + actors.Counts{Offered: 2, Accepted: 1}.String()},
		"a consumer's":              {queue(consumer.Stats{Received: 1}), LintAccount, Error, "consumer q: " + consumer.Stats{Received: 1}.String()},
		"a consumer's adds up":      {s: queue(consumer.Stats{Received: 1, InFlight: 1})},
		"messages lost a while ago": {queue(consumer.Stats{Received: 1, Lost: 1}), LintLost, Note, "consumer q: 1 message"},
		"messages lost just now":    {past(queue(consumer.Stats{Received: 3, Lost: 3}), queue(consumer.Stats{Received: 1, Lost: 1})), LintLost, Warning, "consumer q: 3 messages, 2 of them in the last minute"},
		"the same as a minute ago":  {past(queue(consumer.Stats{Received: 1, Lost: 1}), queue(consumer.Stats{Received: 1, Lost: 1})), LintLost, Note, "consumer q: 1 message"},
		"dead letters before":       {dead(2), LintDead, Note, "k: 2 dead letters"},
		"dead letters now":          {past(dead(2), dead(1)), LintDead, Warning, "k: 2 dead letters, 1 of them in the last minute"},
		"a consumer's dead":         {queue(consumer.Stats{Received: 1, DeadLettered: 1}), LintDead, Note, "consumer q: 1 dead letter"},
		"an open breaker":           {queue(consumer.Stats{OpenSince: ago(time.Minute)}), LintBreaker, Warning, "consumer q handles nothing for 1m0s: "},

		"a client that reads":    {s: client(499)},
		"a slow client":          {client(500), LintSlow, Warning, "session x of 10.0.0.9: 500 of 1000 bytes wait to be sent"},
		"clients cut off before": {s: past(cut(3), cut(3))},
		"clients cut off now":    {past(cut(3), cut(1)), LintSlow, Warning, "socketio 1: 2 clients were cut off in the last minute"},

		"keys that fail":           {onGrid(grid.Info{Failing: map[string]int{"account": 3, "shop": 0}}), LintKeys, Warning, "account: 3 keys wait to be started again"},
		"a grid where all is well": {s: onGrid(grid.Info{Nodes: 3, Shards: 9, Asking: 7, Failing: map[string]int{"shop": 0}, Topics: grid.TopicCounts{Published: 5, Delivered: 5}})},
		"frames refused before":    {past(onGrid(grid.Info{Frames: 2}), onGrid(grid.Info{Frames: 2})), LintGrid, Note, "frames that no node sends: 2"},
		"frames refused now":       {past(onGrid(grid.Info{Frames: 2}), onGrid(grid.Info{})), LintGrid, Warning, "frames that no node sends: 2, 2 of them in the last minute"},
		"a grid that is new":       {past(onGrid(grid.Info{Unknown: 1}), &State{At: ago(time.Minute)}), LintGrid, Warning, "messages to kinds that there are not: 1, 1 of them in the last minute"},
		"a topic that is too much": {onGrid(grid.Info{Topics: grid.TopicCounts{Full: 4}}), LintGrid, Note, "messages of topics for workers whose mailbox was full: 4"},
		"a topic of another type":  {onGrid(grid.Info{Topics: grid.TopicCounts{Refused: 1}}), LintGrid, Note, "messages of topics of another type: 1"},

		"6 of 10 restarts":           {s: tree(supervisor.Info{MaxRestarts: 10, Restarted: 6, Within: time.Minute})},
		"7 of 10 restarts":           {tree(supervisor.Info{MaxRestarts: 10, Restarted: 7, Within: time.Minute}), LintIntensity, Warning, "s: 7 of 10 restarts within 1m0s"},
		"restarts without a limit":   {s: tree(supervisor.Info{MaxRestarts: -1, Restarted: 0})},
		"a child that is up":         {s: child(supervisor.ChildInfo{State: "up", Since: ago(time.Hour), Err: failed})},
		"a child that starts":        {s: child(supervisor.ChildInfo{State: "starting", Since: ago(time.Millisecond)})},
		"a child that does not":      {child(supervisor.ChildInfo{State: "starting", Since: ago(time.Minute)}), LintDown, Warning, "s/c has been starting for 1m0s"},
		"a child that waits":         {child(supervisor.ChildInfo{State: "failed", Since: ago(2 * time.Second), Err: failed, BackoffLeft: 3 * time.Second}), LintDown, Warning, "s/c has been failed for 2s, and restarts in 3s: no disk"},
		"a child that has ended":     {s: child(supervisor.ChildInfo{State: "gone", Since: ago(time.Minute)})},
		"a child that failed":        {child(supervisor.ChildInfo{State: "gone", Since: ago(time.Minute), Err: failed}), LintDown, Warning, "s/c has been gone for 1m0s: no disk"},
		"a supervisor that stops":    {s: tree(supervisor.Info{Since: ago(time.Minute), Children: []supervisor.ChildInfo{{Name: "c", State: "gone", Since: ago(time.Minute), Err: failed}}})},
		"a supervisor that failed":   {tree(supervisor.Info{Since: ago(time.Minute), Err: failed}), LintFailed, Error, "s ends: no disk"},
		"one that ended as it ought": {s: tree(supervisor.Info{Since: ago(time.Minute), Err: supervisor.ErrShutdown})},
	} {
		t.Run(name, func(t *testing.T) {
			lints := c.s.Lints()
			if c.id == "" {
				if len(lints) != 0 {
					t.Errorf("it says %+v", lints)
				}
				return
			}
			if len(lints) != 1 || lints[0].ID != c.id || lints[0].Level != c.level || lints[0].N != 1 || len(lints[0].Items) != 1 {
				t.Fatalf("it says %+v", lints)
			}
			if got := lints[0].Items[0].Text; got != c.text {
				t.Errorf("%q, want %q", got, c.text)
			}
			if lints[0].Title == "" || lints[0].Hint == "" || lints[0].Items[0].Page == "" {
				t.Errorf("something is missing: %+v", lints[0])
			}
		})
	}
}

// TestLintsAreBounded: of ten thousand places the worst ten are shown, and all are counted.
func TestLintsAreBounded(t *testing.T) {
	s := &State{At: now}
	for i := range 10_000 {
		s.Snapshot.Workers = append(s.Snapshot.Workers, inspect.Worker{PID: pid("w"), Queued: 1, OldestWait: time.Second + time.Duration(i)*time.Millisecond})
	}
	l := s.Lints()
	if len(l) != 1 || l[0].N != 10_000 || len(l[0].Items) != maxItems || l[0].Items[0].For != 10.999 {
		t.Errorf("%+v", l)
	}
	if got := l[0].Title; got != "10000 queues are older than 1s" {
		t.Errorf("%q", got)
	}
}

// TestVerdict: notes are no trouble.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		levels []Level
		want   Verdict
	}{
		{nil, Verdict{Level: OK, Text: "All is well"}},
		{[]Level{Note}, Verdict{Level: OK, Text: "All is well", Notes: 1}},
		{[]Level{Note, Warning, Warning}, Verdict{Level: Warning, Text: "2 warnings", Warnings: 2, Notes: 1}},
		{[]Level{Error, Warning}, Verdict{Level: Error, Text: "1 error, 1 warning", Errors: 1, Warnings: 1}},
	} {
		var lints []Lint
		for _, l := range c.levels {
			lints = append(lints, Lint{Level: l})
		}
		if got := VerdictOf(lints); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.levels, got, c.want)
		}
	}
}
