// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/internal/seeded"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

// ran says whether the handler of a request has begun, given what its asker was
// told.
type ran string

const (
	hasRun   ran = "yes"
	neverRan ran = "no"
	mayHave  ran = "perhaps"
)

// telling is what an asker may be told, and what goes with it: a row of the table
// in docs/errors.md.
type telling struct {
	told    string // as the page writes it
	is      func(err error) bool
	ran     ran
	safe    string // a retry
	buckets string // of the account
	others  string // who else is told
}

func isErr(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

var errAnswer = errors.New("the handler's own")

func init() { messages.RegisterError("test.answer", errAnswer) }

// remoteOnly is told about another machine, as TestRemote in actors shows.
const remoteOnly = "`ErrUnsendable`"

// tellings is the table, in the order in which errors are looked up.
var tellings = []telling{
	{"a value", func(err error) bool { return err == nil }, hasRun, "no", "finished", "nobody"},
	{"`ErrUnavailable`", isErr(actors.ErrUnavailable), neverRan, "yes", "refused, or canceled if it was accepted", "the log, of why"},
	{"`ErrRestarted`", isErr(actors.ErrRestarted), hasRun, "no", "canceled, or abandoned if it does not return",
		"`OnCrash.DeadLetter`, if an earlier try has panicked"},
	{"`*PanicError`", func(err error) bool { return isPanic(err) || failedBy(err, "panic") }, hasRun, "no", "failed",
		"the log; under a supervisor `ChildFailed`, which it logs, and `OnCrash.DeadLetter`"},
	{"`ErrGoexit`", isErr(actors.ErrGoexit), hasRun, "no", "failed", "nobody"},
	{"an error that the handler has returned", isErr(errAnswer), hasRun, "no", "failed", "nobody"},
	{remoteOnly, isErr(actors.ErrUnsendable), mayHave, "no", "none, or failed", "nobody"},
	{"`ErrMailboxFull`", isErr(actors.ErrMailboxFull), neverRan, "yes", "refused", "nobody"},
	{"`ErrStopping`", isErr(actors.ErrStopping), neverRan, "yes", "refused, or canceled if it was accepted", "nobody"},
	{"`ErrDeadLetter`", isErr(actors.ErrDeadLetter), neverRan, "yes", "none, or refused", "the engine's dead letters, of plain requests"},
	{"`ErrStopped`", isErr(actors.ErrStopped), hasRun, "no", "canceled, or abandoned if it does not return",
		"`OnCrash.DeadLetter`, if an earlier try has panicked"},
	{"`ErrTimeout`", isErr(actors.ErrTimeout), mayHave, "no", "canceled, or abandoned if it does not return",
		"`OnCrash.DeadLetter`, if an earlier try has panicked"},
	{"`ErrCanceled`", isErr(actors.ErrCanceled), mayHave, "no", "canceled, or abandoned if it does not return",
		"`OnCrash.DeadLetter`, if an earlier try has panicked"},
}

func failedBy(err error, code string) bool {
	var f *messages.Failure
	return errors.As(err, &f) && f.Code == code
}

func tellingOf(err error) *telling {
	for i := range tellings {
		if tellings[i].is(err) {
			return &tellings[i]
		}
	}
	return nil
}

// TestErrorsPage compares the table of the page with the one that TestEndings
// goes by.
func TestErrorsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	_, table, _ := strings.Cut(string(page), "\n## How a request ends")
	table, _, _ = strings.Cut(table, "\n## ")
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| ") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	want := []string{"| told | did it run? | is a retry safe? | counts as | who else is told |"}
	for _, r := range tellings {
		want = append(want, fmt.Sprintf("| %s | %s | %s | %s | %s |", r.told, r.ran, r.safe, r.buckets, r.others))
	}
	if !slices.Equal(rows, want) {
		t.Errorf("docs/errors.md has\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}

// what a handler does, how its target ends, what the target is, who asks
var (
	doings  = []string{"value", "error", "panic", "panic once", "await", "stash", "offload", "goexit"}
	endings = []string{"none", "stop", "short grace", "forced stop", "poison", "engine stop", "restart"}
	targets = []string{"worker", "event loop", "supervised worker", "supervised event loop", keyTarget}
	askers  = []string{"goroutine", "task", "plain actor"}
	wishes  = []string{"", "cancel", "timeout"} // of who asks
)

// keyTarget is the worker of a key of a grid. There is one grid in a system, and so in a round.
const keyTarget = "key"

var endingsDice = seeded.Flag("endings.seed", "TestEndings")

// endingCase is one request.
type endingCase struct {
	what, asker, wish string
	on                *endingTarget
	runs, panics      atomic.Int32
	done              atomic.Bool
	err               error // told, once done
	failure           *messages.Failure
	answers           atomic.Int32 // of a plain actor
	letters           int
	after             time.Duration // of the wish
}

func (c *endingCase) String() string {
	return fmt.Sprintf("%s, asked by a %s %s, of a %s, %s, Retries %d", c.what, c.asker, c.wish, c.on.kind, c.on.end, c.on.retries)
}

// endingTarget is whom requests go to.
type endingTarget struct {
	kind, end string
	retries   int
	pid       *actor.PID
	sup       *supervisor.Supervisor
	grid      *grid.Grid
	opts      actors.Options
	cases     []*endingCase
	counts    actors.Counts
	counted   bool
	failed    int // ChildFailed of panics
}

// TestEndings crosses what a handler does with how its worker ends, what that is,
// and who asks, in 100,000 cases, a tenth with -short. Each asker has to be told
// once, by a row of the table of docs/errors.md, and all that the row says has to
// hold: whether the handler has begun, what a Failure says of that, what the
// worker's account has, and who else was told.
func TestEndings(t *testing.T) {
	const rounds, each = 500, 25
	seen := map[string]int{}
	told := map[string]int{}
	n := 0
	for _, r := range endingsDice.Rounds(t, rounds) {
		bubble(t, func(w *world) {
			all := endingRound(w, r, each)
			for _, c := range all {
				n++
				row := checkEnding(w, c)
				if row == nil {
					continue
				}
				told[row.told]++
				seen[strings.Join([]string{c.what, c.on.end, c.on.kind, c.asker}, "/")]++
			}
		})
	}
	combinations := len(doings) * len(endings) * len(targets) * len(askers)
	t.Logf("%d cases, %d of %d combinations; told: %v", n, len(seen), combinations, told)
	if !testing.Short() && len(seen) != combinations {
		t.Errorf("%d of %d combinations were met", len(seen), combinations)
	}
	for _, row := range tellings {
		if told[row.told] == 0 && row.told != remoteOnly {
			t.Errorf("nobody was told %s", row.told)
		}
	}
}

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// endingRound makes eight targets, asks each of them, ends them, and returns the
// cases once all is over.
func endingRound(w *world, r *rand.Rand, each int) (all []*endingCase) {
	client := actortest.Spawn(w, w.root, "client", func(*actors.Worker) error { return nil }, actors.Options{})
	var on []*endingTarget
	for i := range 8 {
		x := &endingTarget{kind: targets[i%len(targets)], end: pick(r, endings)}
		x.opts = actors.Options{StopGrace: 20 * time.Millisecond, MaxInFlight: r.IntN(3), MailboxSize: []int{0, 0, 8}[r.IntN(3)]}
		if strings.HasPrefix(x.kind, "supervised") {
			x.retries = r.IntN(3)
		}
		x.spawn(w, i, r.IntN(2) == 0)
		on = append(on, x)
	}
	order := r.Perm(len(on) * each)
	for _, i := range order {
		x := on[i%len(on)]
		c := &endingCase{what: pick(r, doings), asker: pick(r, askers), on: x, after: time.Duration(r.IntN(8)) * time.Millisecond}
		if c.asker != "plain actor" && r.IntN(4) == 0 {
			c.wish = pick(r, wishes)
		}
		x.cases = append(x.cases, c)
		all = append(all, c)
		c.ask(w, client)
		if r.IntN(40) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
	}
	for _, x := range on {
		x.endBy(w)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	for _, x := range on {
		x.account(w)
	}
	synctest.Wait()
	for _, x := range on {
		x.check(w)
	}
	return all
}

func (x *endingTarget) spawn(w *world, i int, waits bool) {
	name := fmt.Sprintf("t%d", i)
	setup := func(aw *actors.Worker) error {
		actors.Handle(aw, func(t *actors.Task, c *endingCase) (int, error) { return c.handle(t) })
		return nil
	}
	props := actors.Props(setup, actors.EventLoop(x.opts))
	if x.kind == keyTarget {
		x.spawnKey(w, setup)
		return
	}
	if strings.HasSuffix(x.kind, "event loop") {
		props = actor.PropsFromFunc(func(ctx actor.Context) {
			if c, ok := ctx.Message().(*endingCase); ok {
				stashed := c.stashes()
				v, err := c.handle(actors.TaskOf(ctx))
				switch {
				case stashed:
				case err != nil && err != errAnswer: // it was ended, and its asker is told so
				case err != nil:
					ctx.Respond(messages.NewFailure(err, true, false))
				default:
					ctx.Respond(v)
				}
			}
		}, actors.EventLoop(x.opts))
	}
	if !strings.HasPrefix(x.kind, "supervised") {
		pid, err := w.root.SpawnNamed(props, name)
		if err != nil {
			w.Fatal(err)
		}
		x.pid = pid
		return
	}
	child := supervisor.Child{Name: "w", Props: props, Shutdown: time.Second, OnCrash: supervisor.CrashPolicy{Retries: x.retries,
		DeadLetter: func(l supervisor.Crash) { l.Message.(*endingCase).letters++ }}}
	if waits {
		child.Backoff.Initial = 3 * time.Millisecond
	}
	s, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: name, MaxRestarts: 6, Children: []supervisor.Child{child},
		OnEvent: func(e supervisor.Event) {
			if e, ok := e.(supervisor.ChildFailed); ok && isPanic(e.Err) {
				x.failed++
			}
		}})
	if err != nil {
		w.Fatal(err)
	}
	x.sup, x.pid = s, s.Child("w")
}

// spawnKey starts the grid of the key. Its worker ends by a drain, within the grace of its options.
func (x *endingTarget) spawnKey(w *world, setup func(*actors.Worker) error) {
	switch x.end {
	case "short grace":
		x.opts.StopGrace = time.Millisecond
	case "forced stop":
		x.opts.StopGrace = actors.NoGrace
	}
	g, err := grid.Start(w.Context(), w.sys, grid.Options{Kinds: []grid.Kind{{
		Name: "t", Setup: func(aw *actors.Worker, _ string) error { return setup(aw) }, Options: x.opts, Share: true,
		Accepts: []grid.Message{grid.MessageOf[*endingCase]()}, Backoff: actors.Backoff{Initial: 3 * time.Millisecond},
	}}})
	if err != nil {
		w.Fatal(err)
	}
	x.grid, x.pid = g, g.PID("t", "key")
}

// stashes reports whether the next run will stash the message.
func (c *endingCase) stashes() bool { return c.what == "stash" && c.runs.Load() == 0 }

// handle is the handler.
func (c *endingCase) handle(t *actors.Task) (int, error) {
	run := c.runs.Add(1)
	switch c.what {
	case "error":
		return 0, errAnswer
	case "panic", "panic once":
		if c.what == "panic" || run == 1 {
			c.panics.Add(1)
			panic("on purpose")
		}
	case "await":
		return 1, t.Sleep(2 * time.Millisecond)
	case "stash":
		if run == 1 {
			t.Stash()
		}
	case "offload":
		return actors.Await(t, actors.Offload(t, func(context.Context) (int, error) { time.Sleep(time.Millisecond); return 1, nil }))
	case "goexit":
		runtime.Goexit()
	}
	return 1, nil
}

func (c *endingCase) tell(err error) { c.err = err; c.done.Store(true) }

// ask asks, and keeps what it is told.
func (c *endingCase) ask(w *world, client *actor.PID) {
	var opts []actors.CallOption
	if c.wish == "timeout" {
		opts = append(opts, actors.Timeout(c.after))
	}
	switch c.asker {
	case "plain actor":
		pid := w.root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case int:
				c.answers.Add(1)
				c.tell(nil)
			case *messages.Failure:
				c.answers.Add(1)
				c.failure = m
				c.tell(m)
			case *actor.DeadLetterResponse:
				c.answers.Add(1)
				c.tell(actors.ErrDeadLetter)
			}
		}))
		w.root.RequestWithCustomSender(c.on.pid, c, pid)
	case "task":
		f := actors.Submit(w.root, client, func(t *actors.Task) (int, error) { return actors.Ask[int](t, c.on.pid, c, opts...) })
		f.OnDone(func(_ int, err error) { c.tell(err) })
		if c.wish == "cancel" {
			time.AfterFunc(c.after+1, func() { f.Cancel() })
		}
	default:
		f := actors.RequestFuture[int](w.root, c.on.pid, c, opts...)
		f.OnDone(func(_ int, err error) { c.tell(err) })
		if c.wish == "cancel" {
			time.AfterFunc(c.after+1, func() { f.Cancel() })
		}
	}
}

// endBy begins the end of the target.
func (x *endingTarget) endBy(w *world) {
	if x.grid != nil {
		switch x.end {
		case "stop", "short grace", "forced stop":
			go func() { _, _ = x.grid.Drain(context.Background()) }() // account has its report
		case "poison": // both are refused
			w.root.Poison(x.pid)
		case "engine stop":
			w.root.Stop(x.pid)
		case "restart": // by its own failure
			c := &endingCase{what: "panic", asker: "goroutine", on: x}
			x.cases = append(x.cases, c)
			c.ask(w, nil)
		}
		return
	}
	if x.sup != nil {
		switch x.end {
		case "forced stop":
			x.sup.EndGrace()
			x.sup.RequestStop()
		case "stop", "short grace":
			x.sup.RequestStop()
		case "poison":
			w.root.Poison(x.pid)
		case "engine stop":
			w.root.Stop(x.pid)
		case "restart":
			go func() { _ = x.sup.Restart(context.Background(), "w") }()
		}
		return
	}
	final := func(grace time.Duration) {
		actors.RequestStop(w.root, x.pid, grace).OnDone(func(s actors.Counts, err error) {
			if err == nil {
				x.counts, x.counted = s, true
			}
		})
	}
	switch x.end {
	case "stop":
		final(time.Second)
	case "short grace":
		final(time.Millisecond)
	case "forced stop":
		final(actors.NoGrace)
	case "poison":
		final(time.Hour)
		w.root.Poison(x.pid)
	case "engine stop":
		final(time.Hour)
		w.root.Stop(x.pid)
	case "restart": // by its own failure
		c := &endingCase{what: "panic", asker: "goroutine", on: x}
		x.cases = append(x.cases, c)
		c.ask(w, nil)
	}
}

// account ends what has not ended, and takes the account.
func (x *endingTarget) account(w *world) {
	if x.grid != nil {
		r, err := x.grid.Drain(w.Context())
		if err != nil {
			w.Error(err)
		}
		x.counts, x.counted = r.Counts(), true
		return
	}
	if x.sup != nil {
		r := w.stop(x.sup)
		x.counts = r.Total
		x.counted = true
		return
	}
	if !x.counted {
		if s, err := actors.Stop(w.Context(), w.root, x.pid, time.Second); err == nil {
			x.counts, x.counted = s, true
		}
	}
}

// check compares the account with what the askers were told, and failures with
// who else was.
func (x *endingTarget) check(w *world) {
	n := map[string]int64{}
	panics := 0
	for _, c := range x.cases {
		panics += int(c.panics.Load())
		if row := tellingOf(c.err); row != nil {
			n[row.told]++
		}
	}
	told := panics
	if x.sup != nil {
		told = x.failed
	} else {
		told = 0
		id := x.pid.Id
		if x.grid != nil {
			id = "grid/" + id
		}
		for _, r := range actortest.LogOf(w.sys).Find(slog.LevelError, "") {
			if x.grid != nil && r.Attr("key") == x.pid.Id && strings.Contains(r.Message, "grid: a worker has failed") {
				told++
			}
			if r.Attr("worker") == id && (strings.Contains(r.Message, "the worker failed") || strings.Contains(r.Message, "a task failed while")) {
				told++
			}
		}
	}
	if told != panics {
		w.Errorf("%s, %s: %d panics, %d were told", x.kind, x.end, panics, told)
	}
	if !x.counted {
		return // it had given itself up, and nobody had asked in time
	}
	c := x.counts
	failed := n["`*PanicError`"] + n["`ErrGoexit`"] + n["an error that the handler has returned"]
	// A task that was cancelled may have been answered in that moment.
	more := c.Finished - n["a value"] + c.Failed - failed
	if !c.Agree() || c.Pending != 0 || c.Finished < n["a value"] || c.Failed < failed || more > x.cancelledAskers() || c.Refused < n["`ErrMailboxFull`"] {
		w.Errorf("%s, %s: the account is %+v, the askers were told %v", x.kind, x.end, c, n)
		for _, c := range x.cases {
			w.Logf("%v: told %v after %d runs", c, c.err, c.runs.Load())
		}
	}
}

// cancelledAskers is how many askers are tasks that were cancelled.
func (x *endingTarget) cancelledAskers() (n int64) {
	for _, c := range x.cases {
		if c.asker == "task" && c.wish == "cancel" && errors.Is(c.err, actors.ErrCanceled) {
			n++
		}
	}
	return n
}

// checkEnding checks one case against the table.
func checkEnding(w *world, c *endingCase) *telling {
	if !c.done.Load() {
		w.Errorf("%v: its asker was told nothing", c)
		return nil
	}
	if c.asker == "plain actor" && c.answers.Load() != 1 {
		w.Errorf("%v: its asker was told %d times", c, c.answers.Load())
	}
	row := tellingOf(c.err)
	if row == nil {
		w.Errorf("%v: its asker was told %v, which is not in the table", c, c.err)
		return nil
	}
	runs := c.runs.Load()
	if row.ran == hasRun && runs == 0 || row.ran == neverRan && runs > 0 {
		w.Errorf("%v: told %v, it has run %d times", c, c.err, runs)
	}
	// A task that has asked returns what it was told, and so to ask for that task again is not safe.
	if safe := row.safe == "yes" && c.asker != "task"; actors.RetrySafe(c.err) != safe {
		w.Errorf("%v: told %v, RetrySafe is %v", c, c.err, actors.RetrySafe(c.err))
	}
	if f := c.failure; f != nil && (f.Ran != (runs > 0) || f.RetrySafe == f.Ran || (row.safe == "yes") != f.RetrySafe) {
		w.Errorf("%v: told %v, ran %v, retry safe %v; it has run %d times", c, f, f.Ran, f.RetrySafe, runs)
	}
	letters := 0
	if handled := c.err == nil || errors.Is(c.err, errAnswer); c.on.sup != nil && c.panics.Load() > 0 && !handled {
		letters = 1
	}
	if c.letters != letters {
		w.Errorf("%v: told %v, %d runs, %d panics: %d dead letters", c, c.err, runs, c.panics.Load(), c.letters)
	}
	return row
}
