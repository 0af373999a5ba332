// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/supervisor"
)

// From when on something is worth a word.
const (
	oldQueue      = time.Second
	oldEnd        = time.Second // for what was told to end and is still here
	oldDown       = time.Second // for a child that is not up
	oldPromise    = time.Minute // for the oldest of manyPromised tasks of a group
	manyPromised  = 100
	nearlyFull    = 0.9 // of a mailbox: what is refused leaves it at less for a moment
	highIntensity = 0.6
)

// rule is how a lint is found.
type rule struct {
	id    string
	level Level  // if find names none
	title string // with the number of places for %s …
	one   string // … which is of one of these
	more  string // … or of several
	hint  string
	by    func(a, b *LintItem) int // which is worse, and comes first
	find  func(s *State, p *places)
}

// rules are all lints, in the order in which those of a level are shown.
var rules = []rule{
	{
		LintBlocked, Error, "%s blocked", "turn is", "turns are",
		"A handler that computes, sleeps or waits for a lock or a call holds up its worker: use Offload, or await.", byTime, blockedTurns,
	},
	{
		LintRing, Error, "%s that await each other for ever", "ring of tasks", "rings of tasks",
		"Cancel one of the tasks to go on, and let one of the workers ask without awaiting, or give the call a Timeout.", byTasks, rings,
	},
	{
		LintAccount, Error, "%s not add up", "account does", "accounts do",
		"Work is lost or counted twice: please report it.", byTime, accounts,
	},
	{
		LintFailed, Error, "%s failed", "supervisor has", "supervisors have",
		"Its children failed more often than it allows: the timeline says of what.", byTime, failedSupervisors,
	},
	{
		LintIntensity, Warning, fmt.Sprintf("%%s used more than %.0f %% of the restarts that are allowed", 100*highIntensity), "supervisor has", "supervisors have",
		"With more than MaxRestarts it stops its children and fails: look at what they fail of.", byNumber, intensities,
	},
	{
		LintDown, Warning, "%s not up", "child is", "children are",
		"What the child failed of says why; while it waits for its restart its messages wait, too.", byTime, downChildren,
	},
	{
		LintFull, Warning, "%s full", "mailbox is", "mailboxes are",
		"At MailboxSize messages are refused: who has asked gets ErrMailboxFull, and what nobody waits for is lost. Send less, or look at what holds up the worker.", byNumber, fullMailboxes,
	},
	{
		LintOldQueue, Warning, "%s older than " + briefly(oldQueue.Seconds()), "queue is", "queues are",
		"More comes than is done: look at what its tasks await, at MaxInFlight, and at its busy share.", byTime, oldQueues,
	},
	{
		LintTold, Warning, "Told to end and still here: %s", "worker or kind of task", "workers and kinds of tasks",
		"A task that does not look at its context, or blocks, does not hear of its end; one that cleans up needs its time.", byTime, toldToEnd,
	},
	{
		LintBudget, Warning, "Out of their time and still here: %s", "kind of task", "kinds of tasks",
		"Their askers have been told by now; their turns go on until they await or look at their context.", byTime, overBudget,
	},
	{
		LintOffload, Warning, "Offload is full in %s", "worker", "workers",
		"What is offloaded takes too long, or MaxOffloads, or a Limiter's number, is too small.", byNumber, fullOffloads,
	},
	{
		LintBreaker, Warning, "%s open", "breaker is", "breakers are",
		"It tries one message now and then, and goes on by itself when that works.", byTime, openBreakers,
	},
	{
		LintKeys, Warning, "%s some that fail", "kind of keys has", "kinds of keys have",
		"Each waits for its Backoff and is then started by its next message; until then askers get ErrUnavailable: the log says what its workers fail of.", byNumber, failingKeys,
	},
	{
		LintSlow, Warning, "Slow clients: %s", "place", "places",
		"They do not read as fast as is sent to them: at MaxBuffered their sessions end. Send less, use Volatile, or await Drain.", byNumber, slowClients,
	},
	{
		LintLost, Note, "%s not tell the queue what became of messages", "consumer could", "consumers could",
		"The queue delivers them again when their lease is over: look at the errors of the source, and at the lease.", byNumber, lostMessages,
	},
	{
		LintGrid, Note, "%s by the grid", "kind of message was refused, or not delivered,", "kinds of messages were refused, or not delivered,",
		"Nodes do not agree on a frame or on the type of a topic, ask for a kind that nobody has, or workers do not keep up with a topic.", byNumber, lostOnGrid,
	},
	{
		LintDead, Note, "%s dead letters", "kind of workers, or consumer, has", "kinds of workers and consumers have",
		"One-way messages that nobody could receive, and messages of a queue that were given up: the log has each.", byNumber, deadLetters,
	},
	{
		LintPromise, Note, "%s a promise that nobody completes", "kind of task waits for", "kinds of tasks wait for",
		"Anybody may complete a promise, so nobody knows whether somebody will: if their number only grows, bound the wait, as by futures.WithTimeout.", byNumber, promised,
	},
	{
		LintStop, Note, "%s to stop, and not ended", "child was told", "children were told",
		"The page Stop has what each still waits for. Within its grace that is as it should be; to end the grace makes it go on.", byTime, stops,
	},
}

// Lints are what is not as it should be, the worst first.
func (s *State) Lints() []Lint {
	all := []Lint{}
	for i := range rules {
		if l := rules[i].lint(s); l.N > 0 {
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
	fresh bool // something has come in the last minute: it is a [Warning]
}

func (p *places) add(i LintItem, format string, args ...any) {
	i.Text = fmt.Sprintf(format, args...)
	p.items = append(p.items, i)
}

// lint is the lint with its worst places.
func (r *rule) lint(s *State) Lint {
	var p places
	r.find(s, &p)
	l := Lint{ID: r.id, Level: r.level, Hint: r.hint, N: len(p.items)}
	if p.fresh {
		l.Level = Warning
	}
	tasks, workers := 0, 0
	for i := range p.items {
		tasks += p.items[i].Tasks
		workers += p.items[i].Workers
	}
	l.Title = strings.ReplaceAll(r.title, "%s", count(l.N, r.one, r.more)) + waiting(tasks, workers)
	slices.SortStableFunc(p.items, func(a, b LintItem) int { return r.by(&a, &b) })
	l.Items = p.items[:min(len(p.items), maxItems)]
	return l
}

func byTime(a, b *LintItem) int   { return cmp.Compare(b.For, a.For) }
func byNumber(a, b *LintItem) int { return cmp.Compare(b.N, a.N) }
func byTasks(a, b *LintItem) int  { return cmp.Compare(b.Tasks, a.Tasks) }

// eachAt visits the workers that are as said, each with a place that is there: of most there is nothing to say, and a place takes
// longer than to look.
func (s *State) eachAt(is func(w *inspect.Worker) bool, f func(w *inspect.Worker, i LintItem)) {
	for k := range s.Snapshot.Workers {
		w := &s.Snapshot.Workers[k]
		if !is(w) {
			continue
		}
		i := LintItem{Worker: s.Redact.worker(w.PID.Id), Kind: w.Kind}
		i.Page = pageOf(i.Worker)
		f(w, i)
	}
}

// atSupervisor is a place at a supervisor, or at a child of it.
func (s *State) atSupervisor(n *supervisor.Info, child string) LintItem {
	i := LintItem{Supervisor: s.Redact.worker(n.PID.Id), Child: s.Redact.worker(child)}
	at := i.Supervisor
	if child != "" {
		at += "/" + i.Child
	}
	i.Page = "supervision#" + url.PathEscape(at)
	return i
}

// atConsumer is a place at a consumer, with a number.
func atConsumer(c *consumer.Info, n int64) LintItem {
	return LintItem{Queue: Named(c.Name), N: n, Page: "queues#" + url.PathEscape(Named(c.Name))}
}

// blockedTurns: a worker does nothing but the one turn that lasts.
func blockedTurns(s *State, p *places) {
	s.eachAt(func(w *inspect.Worker) bool { return w.Blocked != nil }, func(w *inspect.Worker, i LintItem) {
		i.Task, i.Line, i.For, i.N = s.Redact.task(w.Blocked.Task), LineOf(string(w.Blocked.Stack)), s.since(w.Blocked.Since), w.Queued
		if r := s.rootOf(w.PID.Id); r != nil {
			i.Tasks, i.Workers = r.Tasks, r.Workers
		}
		at := ""
		if i.Line != "" {
			at = " at " + i.Line
		}
		p.add(i, "%s has been in a turn of %s for %s%s%s", i.Worker, i.Task, briefly(i.For), at, waiting(i.Tasks, i.Workers))
	})
}

// oldQueues: messages wait for longer than a second, where no turn is blocked, which says so itself.
func oldQueues(s *State, p *places) {
	old := func(w *inspect.Worker) bool { return w.Queued > 0 && w.OldestWait >= oldQueue && w.Blocked == nil }
	s.eachAt(old, func(w *inspect.Worker, i LintItem) {
		i.For, i.N = seconds(w.OldestWait), w.Queued
		p.add(i, "%s has %s, the first of them for %s%s", i.Worker, count64(w.Queued, "message that waits", "messages that wait"), briefly(i.For), heldBy(w))
	})
}

// fullMailboxes: a mailbox has as many messages as it takes, or nearly so.
func fullMailboxes(s *State, p *places) {
	full := func(w *inspect.Worker) bool {
		return w.MailboxSize > 0 && float64(w.Queued) >= nearlyFull*float64(w.MailboxSize)
	}
	s.eachAt(full, func(w *inspect.Worker, i LintItem) {
		i.N = w.Counts.Refused
		p.add(i, "%s has %d of %s, and has refused %d so far", i.Worker, w.Queued, count64(w.MailboxSize, "message", "messages"), i.N)
	})
}

// stops: a child drains or unwinds, and so holds up the stop of those that started before it.
func stops(s *State, p *places) {
	for k := range s.Supervisors {
		n := &s.Supervisors[k]
		for j := range n.Waits {
			c := &n.Waits[j]
			if s.At.Sub(c.Since) < oldEnd {
				continue
			}
			i := s.atSupervisor(n, c.Ref.Child)
			i.Supervisor, i.Page = s.Redact.worker(c.Ref.Supervisor), "stop"
			i.For, i.N = s.since(c.Since), c.Pending
			left := ""
			if c.Pending >= 0 {
				left = ", and has " + count64(c.Pending, "piece of work", "pieces of work")
			}
			grace := "; its grace has no end"
			switch {
			case c.GraceLeft == 0:
				grace = "; its grace is over"
			case c.GraceLeft != actors.Forever:
				grace = fmt.Sprintf("; %s of its grace are left", briefly(c.GraceLeft.Seconds()))
			}
			p.add(i, "%s/%s was told to stop %s ago%s%s", i.Supervisor, i.Child, briefly(i.For), left, grace)
		}
	}
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
func fullOffloads(s *State, p *places) {
	s.eachAt(func(w *inspect.Worker) bool { return w.OffloadsWaiting > 0 }, func(w *inspect.Worker, i LintItem) {
		i.N = int64(w.OffloadsWaiting)
		for k := range s.Snapshot.Roots {
			if r := &s.Snapshot.Roots[k]; r.Is == "offload" && r.Worker.GetId() == w.PID.Id {
				i.Tasks, i.Workers = i.Tasks+r.Tasks, max(i.Workers, r.Workers)
			}
		}
		p.add(i, "%s: %s for a place while %d run%s", i.Worker, count64(i.N, "function waits", "functions wait"), w.Offloads, waiting(i.Tasks, i.Workers))
	})
}

// accounts: work has gone missing. That is a fault of protoloop.
func accounts(s *State, p *places) {
	s.eachAt(func(w *inspect.Worker) bool { return !w.Counts.Agree() }, func(w *inspect.Worker, i LintItem) {
		p.add(i, "%s: %v", i.Worker, w.Counts)
	})
	for k := range s.Consumers {
		if c := &s.Consumers[k]; !c.Stats.Agree() {
			p.add(atConsumer(c, 0), "consumer %s: %v", Named(c.Name), c.Stats)
		}
	}
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
func rings(s *State, p *places) {
	for k := range s.Snapshot.Roots {
		if len(s.Snapshot.Roots[k].Ring) == 0 {
			continue
		}
		r := s.root(&s.Snapshot.Roots[k])
		first := r.Members[0]
		p.add(LintItem{
			Worker: first.Worker, Kind: first.Kind, Task: first.Task, Tasks: r.Tasks, Workers: r.Workers, For: r.Age, N: int64(len(r.Members)), Page: "waits",
		}, "%s%s", r.What, waiting(r.Tasks, r.Workers))
	}
}

// failedSupervisors: a supervisor ends because of itself.
func failedSupervisors(s *State, p *places) {
	for k := range s.Supervisors {
		n := &s.Supervisors[k]
		if n.Err == nil || errors.Is(n.Err, supervisor.ErrShutdown) {
			continue
		}
		i := s.atSupervisor(n, "")
		i.For = s.since(n.Since)
		p.add(i, "%s ends: %s", i.Supervisor, s.Redact.Err(n.Err))
	}
}

// intensities: with a few more restarts a supervisor fails.
func intensities(s *State, p *places) {
	for k := range s.Supervisors {
		n := &s.Supervisors[k]
		if n.Restarted == 0 || intensityOf(n) <= highIntensity {
			continue
		}
		i, last := s.atSupervisor(n, ""), ""
		if len(n.Restarts) > 0 {
			r := &n.Restarts[len(n.Restarts)-1]
			i = s.atSupervisor(n, r.Child)
			i.Line = LineOf(string(r.Stack))
			last = ", the last of " + i.Child + s.because(r.Err)
		}
		i.N = int64(n.Restarted)
		p.add(i, "%s: %d of %d restarts within %s%s", i.Supervisor, n.Restarted, n.MaxRestarts, briefly(n.Within.Seconds()), last)
	}
}

// because is the first line of an error, behind a colon.
func (s *State) because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + firstLine(s.Redact.Err(err))
}

// downChildren: a child is not up for longer than a start takes.
func downChildren(s *State, p *places) {
	for k := range s.Supervisors {
		n := &s.Supervisors[k]
		if !n.Since.IsZero() { // it stops: that page shows what is left
			continue
		}
		for j := range n.Children {
			c := &n.Children[j]
			down := s.At.Sub(c.Since)
			if c.State == "up" || c.State == "stopping" || c.State == "gone" && c.Err == nil || down < oldDown {
				continue
			}
			i, restarts := s.atSupervisor(n, c.Name), ""
			i.For = seconds(down)
			if c.BackoffLeft > 0 {
				restarts = ", and restarts in " + briefly(c.BackoffLeft.Seconds())
			}
			p.add(i, "%s/%s has been %s for %s%s%s", i.Supervisor, i.Child, c.State, briefly(i.For), restarts, s.because(c.Err))
		}
	}
}

// toldToEnd: a worker, or a task by itself, was told to end and is still here.
func toldToEnd(s *State, p *places) {
	// While a worker drains, which its grace bounds, it does what it is to do, and one that waits for its restart has ended.
	late := func(w *inspect.Worker) bool {
		return !w.ToldToEnd.IsZero() && w.State != "stopping" && w.State != "quiesced" && s.At.Sub(w.ToldToEnd) >= oldEnd
	}
	s.eachAt(late, func(w *inspect.Worker, i LintItem) {
		i.For, i.N = s.since(w.ToldToEnd), int64(w.Live)
		p.add(i, "%s was told to end %s ago and is %s: %s left", i.Worker, briefly(i.For), w.State, count(w.Live, "task is", "tasks are"))
	})
	s.addTold(p, func(g *inspect.Group) int { return g.ToldToEnd - g.OverBudget }, "told to end")
}

// overBudget: the time that tasks have is over, and they are still here.
func overBudget(s *State, p *places) {
	s.addTold(p, func(g *inspect.Group) int { return g.OverBudget }, "out of their time")
}

// addTold adds the groups of which n tasks were told to end a while ago.
func (s *State) addTold(p *places, n func(g *inspect.Group) int, what string) {
	for k := range s.Snapshot.Groups {
		g := &s.Snapshot.Groups[k]
		if told := n(g); told > 0 && s.At.Sub(g.FirstTold) >= oldEnd {
			s.addGroup(p, g, g.Told.Worker, told, s.since(g.FirstTold), what+" for up to")
		}
	}
}

// promised: many tasks of a group have waited for long for a promise, of which nobody knows who will complete it. That
// may be as it should be, as of clients that poll, or a leak: only whoever has written it knows, so the level is that of a
// [Note]. A task that awaits a queue, an event or a lock is none of these.
func promised(s *State, p *places) {
	for k := range s.Snapshot.Groups {
		if g := &s.Snapshot.Groups[k]; g.Awaits == "promise" && g.Of == "" && g.Tasks >= manyPromised && g.Oldest >= oldPromise {
			s.addGroup(p, g, g.Example.Worker, g.Tasks, seconds(g.Oldest), "the oldest for")
		}
	}
}

// addGroup adds n tasks of a group, for so many seconds, with a worker that has one of them.
func (s *State) addGroup(p *places, g *inspect.Group, worker *actor.PID, n int, long float64, what string) {
	i := LintItem{Worker: s.Redact.Worker(worker, s.home()), Kind: g.Kind, Task: s.Redact.task(g.Task), For: long, N: int64(n), Line: g.Line}
	i.Page = pageOf(i.Worker)
	p.add(i, "%s: %s of %s, %s %s, as in %s", i.Kind, count(n, "task", "tasks"), i.Task, what, briefly(i.For), i.Worker)
}

// openBreakers: a consumer has stopped handling, because what its handlers need cannot be had.
func openBreakers(s *State, p *places) {
	for k := range s.Consumers {
		c := &s.Consumers[k]
		if c.Stats.OpenSince.IsZero() {
			continue
		}
		i := atConsumer(c, c.Stats.InFlight)
		i.For = s.since(c.Stats.OpenSince)
		p.add(i, "consumer %s handles nothing for %s: %s", Named(c.Name), briefly(i.For), firstLine(s.Redact.Err(c.OpenCause)))
	}
}

// slowClients: more waits to be sent to a client than half of what may, or one was cut off for that in the last
// minute.
func slowClients(s *State, p *places) {
	for k := range s.Servers {
		l := &s.Servers[k]
		for j := range l.Sessions {
			c := &l.Sessions[j]
			if c.Buffered == 0 || 2*c.Buffered < c.MaxBuffered {
				continue
			}
			p.add(LintItem{Worker: s.Redact.Worker(c.Worker, s.home()), Socket: c.ID, N: int64(c.Buffered), For: s.since(c.Since), Page: "sockets"},
				"session %s of %s: %d of %d bytes wait to be sent", c.ID, s.Redact.Text(RedactSocket, c.Address), c.Buffered, c.MaxBuffered)
		}
		if s.Past != nil && k < len(s.Past.Servers) {
			if n := l.Stats.SlowClients - s.Past.Servers[k].Stats.SlowClients; n > 0 {
				p.add(LintItem{N: n, Page: "sockets"}, "socketio %d: %s cut off in the last minute", k+1, count64(n, "client was", "clients were"))
			}
		}
	}
}

// addLost adds i.N of what was lost, which were before a minute ago; negative: nothing is known of then, and all is old.
func (p *places) addLost(i LintItem, before int64, text string) {
	if n := i.N - before; before >= 0 && n > 0 {
		p.fresh = true
		text += fmt.Sprintf(", %d of them in the last minute", n)
	}
	if i.N > 0 {
		p.add(i, "%s", text)
	}
}

// before is what a consumer had in the last minute's oldest look: see addLost.
func (s *State) before(c *consumer.Info, of func(s *consumer.Stats) int64) int64 {
	if s.Past == nil {
		return -1
	}
	if o := s.Past.consumerLike(c); o != nil {
		return of(&o.Stats)
	}
	return 0
}

// lostMessages: the source could not be told what became of a message, in the last minute or before.
func lostMessages(s *State, p *places) {
	for k := range s.Consumers {
		c := &s.Consumers[k]
		n := c.Stats.Lost
		p.addLost(atConsumer(c, n), s.before(c, func(s *consumer.Stats) int64 { return s.Lost }), "consumer "+Named(c.Name)+": "+count64(n, "message", "messages"))
	}
}

// failingKeys: keys have no worker, because their last ones failed.
func failingKeys(s *State, p *places) {
	if s.Grid == nil {
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Grid.Failing)) {
		if n := s.Grid.Failing[kind]; n > 0 {
			p.add(LintItem{Kind: kind, N: int64(n), Page: "workers?q=" + url.QueryEscape(kind)}, "%s: %s", kind, count(n, "key waits to be started again", "keys wait to be started again"))
		}
	}
}

// lostOnGrid: what came from other nodes, or was published, did not get to where it should, in the last minute or before.
func lostOnGrid(s *State, p *places) {
	if s.Grid == nil {
		return
	}
	for _, of := range []struct {
		what string
		n    func(g *grid.Info) int64
	}{
		{"frames that no node sends", func(g *grid.Info) int64 { return g.Frames }},
		{"messages to kinds that there are not", func(g *grid.Info) int64 { return g.Unknown }},
		{"messages of topics for workers whose mailbox was full", func(g *grid.Info) int64 { return g.Topics.Full }},
		{"messages of topics of another type", func(g *grid.Info) int64 { return g.Topics.Refused }},
	} {
		n, before := of.n(s.Grid), int64(-1)
		if s.Past != nil {
			before = 0
			if s.Past.Grid != nil {
				before = of.n(s.Past.Grid)
			}
		}
		p.addLost(LintItem{N: n, Page: "workers"}, before, fmt.Sprintf("%s: %d", of.what, n))
	}
}

// deadLetters: messages reached nobody, or were given up, in the last minute or before.
func deadLetters(s *State, p *places) {
	letters := func(name string, n int64) string { return name + ": " + count64(n, "dead letter", "dead letters") }
	for k := range s.Kinds {
		kind := &s.Kinds[k]
		n, before := kind.Counts.DeadLettered, int64(-1)
		if s.Past != nil {
			before = 0
			if o := s.Past.kind(kind.Name); o != nil {
				before = o.Counts.DeadLettered
			}
		}
		p.addLost(LintItem{Kind: kind.Name, N: n, Page: "workers?q=" + url.QueryEscape(kind.Name)}, before, letters(kind.Name, n))
	}
	for k := range s.Consumers {
		c := &s.Consumers[k]
		n := c.Stats.DeadLettered
		p.addLost(atConsumer(c, n), s.before(c, func(s *consumer.Stats) int64 { return s.DeadLettered }), letters("consumer "+Named(c.Name), n))
	}
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
