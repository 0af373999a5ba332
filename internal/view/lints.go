// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/supervisor"
)

// From when on something is worth a word.
const (
	oldQueue      = time.Second
	oldEnd        = time.Second // for what was told to end and is still here
	oldDown       = time.Second // for a child that is not up
	highIntensity = 0.6
)

// Lints are what is not as it should be, the worst first, and those of a level in this order.
func (s *State) Lints() []Lint {
	all := []Lint{}
	for _, rule := range []func(s *State) Lint{
		blockedTurns, rings, accounts, failedSupervisors, intensities,
		downChildren, oldQueues, toldToEnd, overBudget, fullOffloads, openBreakers, slowClients, lostMessages, deadLetters,
	} {
		if l := rule(s); l.N > 0 {
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(a, b Lint) int { return cmp.Compare(a.Level.rank(), b.Level.rank()) })
	return all
}

func (l Level) rank() int { return slices.Index([]Level{Error, Warning, Note, OK}, l) }

// places collects those of a lint.
type places struct {
	items []LintItem
}

func (p *places) add(i LintItem) { p.items = append(p.items, i) }

// lint is the lint with its worst places; worse says which of two comes first.
func (p *places) lint(l Lint, worse func(a, b *LintItem) int) Lint {
	l.N = len(p.items)
	slices.SortStableFunc(p.items, func(a, b LintItem) int { return worse(&a, &b) })
	l.Items = p.items[:min(len(p.items), maxItems)]
	return l
}

func byTime(a, b *LintItem) int { return cmp.Compare(b.For, a.For) }

// blockedTurns: a worker does nothing but the one turn that lasts.
func blockedTurns(s *State) Lint {
	var p places
	tasks, workers := 0, 0
	for i := range s.Snapshot.Workers {
		w := &s.Snapshot.Workers[i]
		if w.Blocked == nil {
			continue
		}
		item := LintItem{
			Worker: s.Redact.worker(w.PID.Id), Kind: w.Kind, Task: s.Redact.task(w.Blocked.Task),
			Line: LineOf(string(w.Blocked.Stack)), For: s.since(w.Blocked.Since), N: w.Queued,
		}
		if r := s.rootOf(w.PID.Id); r != nil {
			item.Tasks, item.Workers = r.Tasks, r.Workers
		}
		item.Page = pageOf(item.Worker)
		at := ""
		if item.Line != "" {
			at = " at " + item.Line
		}
		item.Text = fmt.Sprintf("%s has been in a turn of %s for %s%s%s", item.Worker, item.Task, briefly(item.For), at, waiting(item.Tasks, item.Workers))
		tasks += item.Tasks
		workers += item.Workers
		p.add(item)
	}
	return p.lint(Lint{
		ID: LintBlocked, Level: Error,
		Title: fmt.Sprintf("%s blocked%s", count(len(p.items), "turn is", "turns are"), waiting(tasks, workers)),
		Hint:  "A handler that computes, sleeps or waits for a lock or a call holds up its worker: use Offload, or await.",
	}, byTime)
}

// oldQueues: messages wait for longer than a second, where no turn is blocked, which says so itself.
func oldQueues(s *State) Lint {
	var p places
	for i := range s.Snapshot.Workers {
		w := &s.Snapshot.Workers[i]
		if w.Queued == 0 || w.OldestWait < oldQueue || w.Blocked != nil {
			continue
		}
		item := LintItem{Worker: s.Redact.worker(w.PID.Id), For: seconds(w.OldestWait), N: w.Queued}
		item.Page = pageOf(item.Worker)
		item.Text = fmt.Sprintf("%s has %s, the first of them for %s%s", item.Worker, count64(w.Queued, "message that waits", "messages that wait"), briefly(item.For), heldBy(w))
		p.add(item)
	}
	return p.lint(Lint{
		ID: LintOldQueue, Level: Warning,
		Title: fmt.Sprintf("%s older than %s", count(len(p.items), "queue is", "queues are"), briefly(oldQueue.Seconds())),
		Hint:  "More comes than is done: look at what its tasks await, at MaxInFlight, and at its busy share.",
	}, byTime)
}

// heldBy says why a worker starts nothing, if that is known.
func heldBy(w *inspect.Worker) string {
	switch {
	case w.Exclusive != "":
		return "; an exclusive task holds them back"
	case w.State == "setup", w.State == "starting":
		return "; its setup has not ended"
	}
	return ""
}

// fullOffloads: functions have no place to run.
func fullOffloads(s *State) Lint {
	var p places
	for i := range s.Snapshot.Workers {
		w := &s.Snapshot.Workers[i]
		if w.OffloadsWaiting == 0 {
			continue
		}
		item := LintItem{Worker: s.Redact.worker(w.PID.Id), N: int64(w.OffloadsWaiting)}
		item.Page = pageOf(item.Worker)
		item.Text = fmt.Sprintf("%s: %s for a place while %d run", item.Worker, count(w.OffloadsWaiting, "function waits", "functions wait"), w.Offloads)
		p.add(item)
	}
	return p.lint(Lint{
		ID: LintOffload, Level: Warning,
		Title: fmt.Sprintf("Offload is full in %s", count(len(p.items), "worker", "workers")),
		Hint:  "What is offloaded takes too long, or MaxOffloads, or a Limiter's number, is too small.",
	}, func(a, b *LintItem) int { return cmp.Compare(b.N, a.N) })
}

// accounts: work has gone missing. That is a fault of protoloop.
func accounts(s *State) Lint {
	var p places
	for i := range s.Snapshot.Workers {
		w := &s.Snapshot.Workers[i]
		if w.Counts.Agree() {
			continue
		}
		item := LintItem{Worker: s.Redact.worker(w.PID.Id)}
		item.Page = pageOf(item.Worker)
		item.Text = fmt.Sprintf("%s: %v", item.Worker, w.Counts)
		p.add(item)
	}
	for i := range s.Consumers {
		if c := &s.Consumers[i]; !c.Stats.Agree() {
			p.add(LintItem{Queue: c.Name, Text: fmt.Sprintf("consumer %s: %v", c.Name, c.Stats), Page: "queues"})
		}
	}
	return p.lint(Lint{
		ID: LintAccount, Level: Error,
		Title: fmt.Sprintf("%s not add up", count(len(p.items), "account does", "accounts do")),
		Hint:  "Work is lost or counted twice: please report it.",
	}, byTime)
}

// rootOf is the root that is a turn of the worker, which a blocked one is; nil: nobody waits for it.
func (s *State) rootOf(worker string) *inspect.Root {
	for i := range s.Snapshot.Roots {
		if r := &s.Snapshot.Roots[i]; r.Is == "turn" && r.Worker.GetId() == worker {
			return r
		}
	}
	return nil
}

// rings: tasks wait for each other, and none of them will ever go on.
func rings(s *State) Lint {
	var p places
	tasks, workers := 0, 0
	for i := range s.Snapshot.Roots {
		if len(s.Snapshot.Roots[i].Ring) == 0 {
			continue
		}
		r := s.root(&s.Snapshot.Roots[i])
		item := LintItem{Text: r.What + waiting(r.Tasks, r.Workers), Tasks: r.Tasks, Workers: r.Workers, For: r.Age, N: int64(len(r.Members)), Page: "waits"}
		item.Worker, item.Kind, item.Task = r.Members[0].Worker, r.Members[0].Kind, r.Members[0].Task
		tasks += r.Tasks
		workers += r.Workers
		p.add(item)
	}
	return p.lint(Lint{
		ID: LintRing, Level: Error,
		Title: fmt.Sprintf("%s that await each other for ever%s", count(len(p.items), "ring of tasks", "rings of tasks"), waiting(tasks, workers)),
		Hint:  "Cancel one of the tasks to go on, and let one of the workers ask without awaiting, or give the call a Timeout.",
	}, func(a, b *LintItem) int { return cmp.Compare(b.Tasks, a.Tasks) })
}

// failedSupervisors: a supervisor ends because of itself.
func failedSupervisors(s *State) Lint {
	var p places
	for i := range s.Supervisors {
		n := &s.Supervisors[i]
		if n.Err == nil || errors.Is(n.Err, supervisor.ErrShutdown) {
			continue
		}
		item := LintItem{Supervisor: s.Redact.worker(n.PID.Id), For: s.since(n.Since), Page: "supervision"}
		item.Text = fmt.Sprintf("%s ends: %s", item.Supervisor, s.Redact.Err(n.Err))
		p.add(item)
	}
	return p.lint(Lint{
		ID: LintFailed, Level: Error,
		Title: fmt.Sprintf("%s failed", count(len(p.items), "supervisor has", "supervisors have")),
		Hint:  "Its children failed more often than it allows: the timeline says of what.",
	}, byTime)
}

// intensities: with a few more restarts a supervisor fails.
func intensities(s *State) Lint {
	var p places
	for i := range s.Supervisors {
		n := &s.Supervisors[i]
		if n.Restarted == 0 || intensityOf(n) <= highIntensity {
			continue
		}
		item := LintItem{Supervisor: s.Redact.worker(n.PID.Id), N: int64(n.Restarted), Page: "supervision"}
		item.Text = fmt.Sprintf("%s: %d of %d restarts within %s", item.Supervisor, n.Restarted, n.MaxRestarts, briefly(n.Within.Seconds()))
		if k := len(n.Restarts); k > 0 {
			last := &n.Restarts[k-1]
			item.Child = s.Redact.worker(last.Child)
			item.Line = LineOf(string(last.Stack))
			item.Text += fmt.Sprintf(", the last of %s", item.Child)
			if last.Err != nil {
				item.Text += ": " + firstLine(s.Redact.Err(last.Err))
			}
		}
		p.add(item)
	}
	return p.lint(Lint{
		ID: LintIntensity, Level: Warning,
		Title: fmt.Sprintf("%s used more than %d %% of the restarts that are allowed", count(len(p.items), "supervisor has", "supervisors have"), int(100*highIntensity)),
		Hint:  "With more than MaxRestarts it stops its children and fails: look at what they fail of.",
	}, func(a, b *LintItem) int { return cmp.Compare(b.N, a.N) })
}

// downChildren: a child is not up for longer than a start takes.
func downChildren(s *State) Lint {
	var p places
	for i := range s.Supervisors {
		n := &s.Supervisors[i]
		if !n.Since.IsZero() { // it stops: that page shows what is left
			continue
		}
		for j := range n.Children {
			k := &n.Children[j]
			down := s.At.Sub(k.Since)
			if k.State == "up" || k.State == "stopping" || k.State == "gone" && k.Err == nil || down < oldDown {
				continue
			}
			item := LintItem{Supervisor: s.Redact.worker(n.PID.Id), Child: s.Redact.worker(k.Name), For: seconds(down), Page: "supervision"}
			item.Text = fmt.Sprintf("%s/%s has been %s for %s", item.Supervisor, item.Child, k.State, briefly(item.For))
			if k.BackoffLeft > 0 {
				item.Text += fmt.Sprintf(", and restarts in %s", briefly(k.BackoffLeft.Seconds()))
			}
			if k.Err != nil {
				item.Text += ": " + firstLine(s.Redact.Err(k.Err))
			}
			p.add(item)
		}
	}
	return p.lint(Lint{
		ID: LintDown, Level: Warning,
		Title: fmt.Sprintf("%s not up", count(len(p.items), "child is", "children are")),
		Hint:  "What the child failed of says why; while it waits for its restart its messages wait, too.",
	}, byTime)
}

// toldToEnd: a worker, or a task by itself, was told to end and is still here.
func toldToEnd(s *State) Lint {
	var p places
	resting := map[string]bool{} // children that have ended, and wait for their restart
	for i := range s.Supervisors {
		n := &s.Supervisors[i]
		for j := range n.Children {
			if n.Children[j].State == "quiesced" {
				resting[n.PID.Id+"/"+n.Children[j].Name] = true
			}
		}
	}
	for i := range s.Snapshot.Workers {
		w := &s.Snapshot.Workers[i]
		// While a worker drains, which its grace bounds, it does what it is to do.
		if resting[w.PID.Id] || w.ToldToEnd.IsZero() || w.State == "stopping" || s.At.Sub(w.ToldToEnd) < oldEnd {
			continue
		}
		item := LintItem{Worker: s.Redact.worker(w.PID.Id), Kind: w.Kind, For: s.since(w.ToldToEnd), N: int64(w.Live)}
		item.Page = pageOf(item.Worker)
		item.Text = fmt.Sprintf("%s was told to end %s ago and is %s: %s left", item.Worker, briefly(item.For), w.State, count(w.Live, "task is", "tasks are"))
		p.add(item)
	}
	s.addTold(&p, func(g *inspect.Group) int { return g.ToldToEnd - g.OverBudget }, "told to end")
	return p.lint(Lint{
		ID: LintTold, Level: Warning,
		Title: "Told to end and still here: " + count(len(p.items), "worker or kind of task", "workers and kinds of tasks"),
		Hint:  "A task that does not look at its context, or blocks, does not hear of its end; one that cleans up needs its time.",
	}, byTime)
}

// overBudget: the time that tasks have is over, and they are still here.
func overBudget(s *State) Lint {
	var p places
	s.addTold(&p, func(g *inspect.Group) int { return g.OverBudget }, "out of their time")
	return p.lint(Lint{
		ID: LintBudget, Level: Warning,
		Title: "Out of their time and still here: " + count(len(p.items), "kind of task", "kinds of tasks"),
		Hint:  "Their askers have been told by now; their turns go on until they await or look at their context.",
	}, byTime)
}

// addTold adds the groups of which n tasks were told to end a while ago.
func (s *State) addTold(p *places, n func(g *inspect.Group) int, what string) {
	for i := range s.Snapshot.Groups {
		g := &s.Snapshot.Groups[i]
		k := n(g)
		if k <= 0 || s.At.Sub(g.FirstTold) < oldEnd {
			continue
		}
		item := LintItem{Worker: s.Redact.Worker(g.Told.Worker, s.home()), Kind: g.Kind, Task: s.Redact.task(g.Task), For: s.since(g.FirstTold), N: int64(k), Line: g.Line}
		item.Page = pageOf(item.Worker)
		item.Text = fmt.Sprintf("%s: %s of %s, %s for up to %s, as in %s", item.Kind, count(k, "task", "tasks"), item.Task, what, briefly(item.For), item.Worker)
		p.add(item)
	}
}

// openBreakers: a consumer has stopped handling, because what its handlers need cannot be had.
func openBreakers(s *State) Lint {
	var p places
	for i := range s.Consumers {
		c := &s.Consumers[i]
		if c.Stats.OpenSince.IsZero() {
			continue
		}
		item := LintItem{Queue: c.Name, For: s.since(c.Stats.OpenSince), N: c.Stats.InFlight, Page: "queues"}
		item.Text = fmt.Sprintf("consumer %s handles nothing for %s: %s", c.Name, briefly(item.For), firstLine(s.Redact.Err(c.OpenCause)))
		p.add(item)
	}
	return p.lint(Lint{
		ID: LintBreaker, Level: Warning,
		Title: fmt.Sprintf("%s open", count(len(p.items), "breaker is", "breakers are")),
		Hint:  "It tries one message now and then, and goes on by itself when that works.",
	}, byTime)
}

// slowClients: more waits to be sent to a client than half of what may, or one was cut off for that in the last
// minute.
func slowClients(s *State) Lint {
	var p places
	for i := range s.Servers {
		l := &s.Servers[i]
		for j := range l.Sessions {
			c := &l.Sessions[j]
			if c.Buffered == 0 || 2*c.Buffered < c.MaxBuffered {
				continue
			}
			item := LintItem{Worker: s.Redact.Worker(c.Worker, s.home()), Socket: c.ID, N: int64(c.Buffered), For: s.since(c.Since), Page: "sockets"}
			item.Text = fmt.Sprintf("session %s of %s: %d of %d bytes wait to be sent", c.ID, s.Redact.Text(RedactSocket, c.Address), c.Buffered, c.MaxBuffered)
			p.add(item)
		}
		if s.Past != nil && i < len(s.Past.Servers) {
			if n := l.Stats.SlowClients - s.Past.Servers[i].Stats.SlowClients; n > 0 {
				p.add(LintItem{N: n, Page: "sockets", Text: fmt.Sprintf("socketio %d: %s cut off in the last minute", i+1, count64(n, "client was", "clients were"))})
			}
		}
	}
	return p.lint(Lint{
		ID: LintSlow, Level: Warning,
		Title: "Slow clients: " + count(len(p.items), "place", "places"),
		Hint:  "They do not read as fast as is sent to them: at MaxBuffered their sessions end. Send less, use Volatile, or await Drain.",
	}, func(a, b *LintItem) int { return cmp.Compare(b.N, a.N) })
}

// lostMessages: the source could not be told what became of a message, in the last minute or before.
func lostMessages(s *State) Lint {
	var p places
	fresh := false
	for i := range s.Consumers {
		c := &s.Consumers[i]
		if c.Stats.Lost == 0 {
			continue
		}
		item := LintItem{Queue: c.Name, N: c.Stats.Lost, Page: "queues"}
		item.Text = fmt.Sprintf("consumer %s: %s", c.Name, count64(c.Stats.Lost, "message", "messages"))
		if n := c.Stats.Lost - s.Past.lostBy(c); n > 0 {
			fresh = true
			item.Text += fmt.Sprintf(", %d of them in the last minute", n)
		}
		p.add(item)
	}
	return p.lint(Lint{
		ID: LintLost, Level: levelOf(fresh),
		Title: fmt.Sprintf("%s not tell the queue what became of messages", count(len(p.items), "consumer could", "consumers could")),
		Hint:  "The queue delivers them again when their lease is over: look at the errors of the source, and at the lease.",
	}, func(a, b *LintItem) int { return cmp.Compare(b.N, a.N) })
}

// lostBy is how many a consumer had lost. s is nil if nothing is known of then; what is lost now is old
// then.
func (s *State) lostBy(c *consumer.Info) int64 {
	if s == nil {
		return c.Stats.Lost
	}
	if o := s.consumerLike(c); o != nil {
		return o.Stats.Lost
	}
	return 0
}

// levelOf is that of what was lost: lately, or a while ago.
func levelOf(fresh bool) Level {
	if fresh {
		return Warning
	}
	return Note
}

// deadLetters: messages reached nobody, or were given up, in the last minute or before.
func deadLetters(s *State) Lint {
	var p places
	fresh := false
	add := func(item LintItem, before int64) {
		item.Text += ": " + count64(item.N, "dead letter", "dead letters")
		if item.N > before {
			fresh = true
			item.Text += fmt.Sprintf(", %d of them in the last minute", item.N-before)
		}
		p.add(item)
	}
	for i := range s.Kinds {
		k := &s.Kinds[i]
		n := k.Counts.DeadLettered
		if n == 0 {
			continue
		}
		before := n // nothing is known of then
		if s.Past != nil {
			before = 0
			if o := s.Past.kind(k.Name); o != nil {
				before = o.Counts.DeadLettered
			}
		}
		add(LintItem{Kind: k.Name, N: n, Page: "workers?q=" + url.QueryEscape(k.Name), Text: k.Name}, before)
	}
	for i := range s.Consumers {
		c := &s.Consumers[i]
		n := c.Stats.DeadLettered
		if n == 0 {
			continue
		}
		before := n
		if s.Past != nil {
			before = 0
			if o := s.Past.consumerLike(c); o != nil {
				before = o.Stats.DeadLettered
			}
		}
		add(LintItem{Queue: c.Name, N: n, Page: "queues", Text: "consumer " + c.Name}, before)
	}
	return p.lint(Lint{
		ID: LintDead, Level: levelOf(fresh),
		Title: fmt.Sprintf("%s dead letters", count(len(p.items), "kind of workers, or consumer, has", "kinds of workers and consumers have")),
		Hint:  "One-way messages that nobody could receive, and messages of a queue that were given up: the log has each.",
	}, func(a, b *LintItem) int { return cmp.Compare(b.N, a.N) })
}

// waiting says how many wait, or nothing.
func waiting(tasks, workers int) string {
	if tasks == 0 {
		return ""
	}
	verb := "waits"
	if tasks > 1 {
		verb = "wait"
	}
	return fmt.Sprintf("; %s of %s %s for it", count(tasks, "task", "tasks"), count(workers, "worker", "workers"), verb)
}

func count(n int, one, more string) string { return count64(int64(n), one, more) }

func count64(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// briefly is a number of seconds with two digits or so.
func briefly(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// firstLine is the first line of a text.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
