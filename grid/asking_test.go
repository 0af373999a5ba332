// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/messages"
)

// onNetwork calls f with n nodes that ask each other. Their kind notes what it runs in runs.
func onNetwork(t *testing.T, n int, o gridtest.Options, change func(k *grid.Kind), f func(t *testing.T, w *machines, runs *runLog)) {
	t.Helper()
	runs := &runLog{count: map[string]int{}, ended: map[string]error{}}
	onCluster(t, n, o, true, func(k *grid.Kind) {
		k.Setup = runs.setup
		if change != nil {
			change(k)
		}
	}, func(w *machines) {
		runs.T = w.T
		f(w.T, w, runs)
	})
}

// runLog is what the handlers of all nodes have done, by the text of the request.
type runLog struct {
	*testing.T
	mu    sync.Mutex
	count map[string]int
	ended map[string]error // of those that have ended, why their wait was cut off
}

// setup is that of a kind whose handler is asked "name how long": it waits that long, and answers with its key and
// the token of its shard.
func (r *runLog) setup(wk *actors.Worker, id string) error {
	actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
		name, text, _ := strings.Cut(m.Value, " ")
		wait, _ := time.ParseDuration(text)
		r.note(name)
		err := error(nil)
		if wait > 0 {
			err = t.Sleep(wait)
		}
		r.mu.Lock()
		r.ended[name] = err
		r.mu.Unlock()
		if err != nil {
			return nil, err
		}
		token, err := grid.TokenOf(t)
		return say(fmt.Sprint(id, " ", token.Rev)), err
	})
	return nil
}

func (r *runLog) note(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[name]++
}

func (r *runLog) runs(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[name]
}

// endOf is why the wait of a request was cut off, nil if it was not, and whether it has ended.
func (r *runLog) endOf(name string) (why error, ended bool) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	why, ended = r.ended[name]
	return why, ended
}

// want checks how often a request has run.
func (r *runLog) want(name string, least, most int) {
	r.Helper()
	if n := r.runs(name); n < least || n > most {
		r.Errorf("%s has run %d times, want %d to %d", name, n, least, most)
	}
}

func (w *machines) future(m *machine, id, text string, opts ...actors.CallOption) *actors.Future[word] {
	return actors.RequestFuture[word](m.sys.Root, m.g.PID("account", id), say(text), opts...)
}

// owner is the machine that owns a key.
func (w *machines) owner(id string) *machine {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, m := range w.all {
		if m.dead {
			continue
		}
		name, token, err := m.g.Where(ctx, "account", id)
		if err != nil || token.Rev == 0 {
			w.Fatalf("%s does not know where %s is: %v, %v", m.Name(), id, token, err)
		}
		for _, o := range w.all {
			if o.Name() == name && !o.dead {
				return o
			}
		}
		w.Fatalf("%s is on %q", id, name)
	}
	return nil
}

// other is a machine that runs and is none of these.
func (w *machines) other(not ...*machine) *machine {
	w.Helper()
next:
	for _, m := range w.all {
		for _, n := range not {
			if m == n {
				continue next
			}
		}
		if !m.dead {
			return m
		}
	}
	w.Fatal("there is no other machine")
	return nil
}

// crash ends the process of m.
func (w *machines) crash(m *machine) {
	w.mu.Lock()
	m.dead = true
	w.mu.Unlock()
	m.Crash()
}

// wantLost checks that err says that the work may have run.
func wantLost(t testing.TB, err error) {
	t.Helper()
	var f *messages.Failure
	if !errors.Is(err, actors.ErrNodeLost) || actors.RetrySafe(err) || !errors.As(err, &f) || !f.MaybeRan {
		t.Errorf("got %v, want node_lost, which may have run", err)
	}
}

// TestAskAnyKeyFromAnyNode: the answer, an error of the handler, and what is no message of the kind come from wherever the key is.
func TestAskAnyKeyFromAnyNode(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		used := map[string]bool{}
		for _, id := range ids("k", 20) {
			used[w.owner(id).Name()] = true
			for _, m := range w.all {
				got, err := w.ask(m, id, say("hello"))
				if err != nil || !strings.HasPrefix(got, id+" ") {
					t.Errorf("%s of %s: %q, %v", id, m.Name(), got, err)
				}
			}
		}
		if len(used) != 3 {
			t.Errorf("20 keys are on %d nodes", len(used))
		}
		runs.want("hello", 60, 60)
		owner := w.owner("k")
		if _, err := w.ask(w.other(owner), "k", count(1)); !errors.Is(err, actors.ErrUnhandled) {
			t.Errorf("a message without a handler: %v", err)
		}
		if _, err := w.ask(w.other(owner), "k", messages.NewFailure(errRefused, false, false)); !errors.Is(err, actors.ErrUnhandled) {
			t.Errorf("a message that the kind does not accept: %v", err)
		}
	})
}

// TestPlainActorsAskOtherNodes: the engine's own request reaches a key of another node, and a plain send does.
func TestPlainActorsAskOtherNodes(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.other(w.owner("k"))
		got, err := asker.sys.Root.RequestFuture(asker.g.PID("account", "k"), say("plain"), time.Minute).Result()
		if answer, is := got.(word); err != nil || !is || !strings.HasPrefix(answer.Value, "k ") {
			t.Errorf("%v, %v", got, err)
		}
		asker.sys.Root.Send(asker.g.PID("account", "k"), say("sent"))
		time.Sleep(time.Second)
		runs.want("sent", 1, 1)
	})
}

// TestTrap1ControlMessages: nothing stops or controls a worker from another node, whatever the sender puts into a frame.
func TestTrap1ControlMessages(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		if _, err := w.ask(asker, "k", say("before")); err != nil {
			t.Fatal(err)
		}
		for _, m := range controlMessages() {
			if _, err := w.ask(asker, "k", m); !errors.Is(err, actors.ErrUnhandled) {
				t.Errorf("%T: %v", m, err)
			}
		}
		refused := owner.g.Kinds()[0].Counts.Refused
		answers := w.forge(asker, owner, controlMessages()...)
		if len(answers) != len(protoMessages()) {
			t.Errorf("%d answers to %d forged asks", len(answers), len(protoMessages()))
		}
		for _, f := range answers {
			if !errors.Is(f, actors.ErrUnhandled) || f.Ran {
				t.Errorf("a forged frame is answered with %v", f)
			}
		}
		if now := owner.g.Kinds()[0].Counts.Refused; now-refused != int64(len(answers)) {
			t.Errorf("%d of %d are counted", now-refused, len(answers))
		}
		before := w.keys["k"].runs
		if _, err := w.ask(asker, "k", say("after")); err != nil || w.keys["k"].runs != before {
			t.Errorf("the worker does not live: %v, %d starts", err, w.keys["k"].runs-before)
		}
	})
}

// TestTrap6RestartUnderLoad: a process that is started anew under its name gets nothing that was sent to the former,
// and no answer of the former counts.
func TestTrap6RestartUnderLoad(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		old := w.future(asker, "k", "old 1h")
		time.Sleep(time.Second)
		w.crash(owner)
		time.Sleep(50 * time.Millisecond)
		begun := time.Now()
		late := w.future(asker, "k", "late")
		next := w.startAs(owner.Name())
		_, err := old.Wait(t.Context())
		wantLost(t, err)
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("it was told after %v that the process is another", took)
		}
		if _, err := late.Wait(t.Context()); err != nil {
			t.Errorf("asked while nobody was there: %v", err)
		}
		runs.want("old", 1, 1)
		runs.want("late", 1, 1)
		time.Sleep(5 * time.Second)
		if at := w.owner("k"); at != next {
			t.Errorf("the key is on %s", at.Name())
		}
	})
}

// TestGoneIsNotTold: the word that a node is gone may be lost as any frame. Those that wait for it find out by what comes back, before its
// lease is over. One that only has another connection is not taken for lost.
func TestGoneIsNotTold(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{GoneLoss: 1}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		stays := w.future(asker, "k", "stays 5s")
		time.Sleep(time.Second)
		for range 3 {
			owner.Reconnect(150 * time.Millisecond)
			for range 10 {
				time.Sleep(30 * time.Millisecond)
				w.future(asker, "k", "on its way") // it may come back
			}
		}
		if _, err := stays.Wait(t.Context()); err != nil {
			t.Errorf("the owner had another connection, and the asker is told: %v", err)
		}
		runs.want("stays", 1, 1)

		waits := w.future(asker, "k", "waits 1h")
		again := w.future(asker, "k", "again 10s", actors.Idempotent())
		time.Sleep(time.Second)
		w.crash(owner)
		begun := time.Now()
		_, err := waits.Wait(t.Context())
		wantLost(t, err)
		if took := time.Since(begun); took > 1200*time.Millisecond { // 0.5 s until it is asked for, 0.25 s apart, and the ticks
			t.Errorf("it was told after %v", took)
		}
		if _, err := again.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		runs.want("again", 2, 2)
	})
}

// TestTrap7StaleAnswer: an owner is held past its lease and goes on. Its answer does not count any more.
func TestTrap7StaleAnswer(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
			owner := w.owner("k")
			asker := w.other(owner)
			_, before, _ := owner.g.Where(t.Context(), "account", "k")
			var opts []actors.CallOption
			if idempotent {
				opts = append(opts, actors.Idempotent())
			}
			f := w.future(asker, "k", "held 2s", opts...)
			time.Sleep(time.Second)
			w.pause(owner) // the handler goes on here, and what it answers is sent when the process goes on
			time.Sleep(7 * time.Second)
			owner.Resume()
			got, err := f.Wait(t.Context())
			switch {
			case !idempotent:
				wantLost(t, err)
				runs.want("held", 1, 1)
			case err != nil:
				t.Errorf("the idempotent one has failed: %v", err)
			default:
				_, text, _ := strings.Cut(got.Value, " ")
				if rev, _ := strconv.ParseUint(text, 10, 64); rev <= before.Rev {
					t.Errorf("answered with the token %d, and the one before was %d", rev, before.Rev)
				}
				runs.want("held", 2, 2)
			}
		})
	}
}

// TestTrap8CrashOfTheOwner: who is asked and dies is known soon, and the key answers again when its lease is over.
func TestTrap8CrashOfTheOwner(t *testing.T) {
	onNetwork(t, 4, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		f := w.future(asker, "k", "asked 1h")
		again := w.future(asker, "k", "idem 1s", actors.Idempotent())
		time.Sleep(500 * time.Millisecond)
		w.crash(owner)
		begun := time.Now()
		_, err := f.Wait(t.Context())
		wantLost(t, err)
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("it has taken %v", took)
		}
		if _, err := w.ask(asker, "k", say("next")); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("the key answers again after %v", took)
		}
		if _, err := again.Wait(t.Context()); err != nil {
			t.Errorf("idempotent: %v", err)
		}
		runs.want("asked", 1, 1)
		runs.want("next", 1, 1)
		runs.want("idem", 1, 2)
	})
}

// TestTrap9ServerDies: what a dead server has swallowed on either side is found, and all asks end.
func TestTrap9ServerDies(t *testing.T) {
	for _, whose := range []string{"asker", "owner", "both"} {
		onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
			owner := w.owner("k")
			asker := w.other(owner)
			w.warm(asker, "k")
			var all []*actors.Future[word]
			for i := range 64 {
				all = append(all, w.future(asker, "k", fmt.Sprintf("%s-%d", whose, i)))
				if i == 32 {
					time.Sleep(200 * time.Microsecond)
				}
			}
			if whose != "owner" {
				asker.Reconnect(30 * time.Millisecond)
			}
			if whose != "asker" {
				owner.Reconnect(30 * time.Millisecond)
			}
			begun := time.Now()
			for i, f := range all {
				name := fmt.Sprintf("%s-%d", whose, i)
				if _, err := f.Wait(t.Context()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				runs.want(name, 1, 1)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("%s: all have ended after %v", whose, took)
			}
		})
	}
}

// warm lets m know where a key is.
func (w *machines) warm(m *machine, id string) {
	w.Helper()
	if _, err := w.ask(m, id, say("warm")); err != nil {
		w.Fatal(err)
	}
}

// TestTrap10ExpiredNeverStarts: what was on its way for longer than its budget does not begin, be it held by the network or
// by a process that stood still.
func TestTrap10ExpiredNeverStarts(t *testing.T) {
	for _, how := range []string{"cut", "slow", "paused"} {
		onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
			owner := w.owner("k")
			asker := w.other(owner)
			w.warm(asker, "k")
			switch how {
			case "cut":
				asker.Cut(gridtest.Frames)
			case "slow":
				owner.Slow(gridtest.FramesIn, 900*time.Millisecond, 900*time.Millisecond)
			case "paused":
				w.pause(owner)
			}
			begun := time.Now()
			_, err := w.future(asker, "k", how, actors.Timeout(500*time.Millisecond)).Wait(t.Context())
			if !errors.Is(err, actors.ErrTimeout) || time.Since(begun) != 500*time.Millisecond {
				t.Errorf("%s: %v after %v", how, err, time.Since(begun))
			}
			time.Sleep(400 * time.Millisecond)
			owner.Resume()
			asker.Heal()
			owner.Slow(gridtest.FramesIn, 0, 0)
			time.Sleep(5 * time.Second)
			runs.want(how, 0, 0)
			if _, err := w.ask(asker, "k", say("after-"+how)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTrap11SlowNode: a node that takes nothing loses frames without a word. All asks end with a code.
func TestTrap11SlowNode(t *testing.T) {
	// 1,000 asks do not fit, and one frame, of 32 KiB, does: else what is asked again at a time would be lost for ever.
	onNetwork(t, 3, gridtest.Options{Room: 40_000}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		w.warm(asker, "k")
		w.pause(owner)
		text := func(i int) string { return fmt.Sprint("slow-", i, strings.Repeat("x", 200)) }
		var all []*actors.Future[word]
		for i := range 1000 {
			all = append(all, w.future(asker, "k", text(i), actors.Timeout(20*time.Second)))
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(500 * time.Millisecond)
		owner.Resume()
		ran := 0
		for i, f := range all {
			_, err := f.Wait(t.Context())
			switch n := runs.runs(text(i)); {
			case err == nil && n == 1:
				ran++
			case n > 1, err == nil, actors.RetrySafe(err) && n > 0:
				t.Errorf("%d has run %d times and ended with %v", i, n, err)
			}
		}
		if ran < 900 {
			t.Errorf("%d of 1000 were answered", ran)
		}
	})
}

// TestTrap12RetryOfWhatMayHaveRun: only an idempotent ask is made again after a node was lost.
func TestTrap12RetryOfWhatMayHaveRun(t *testing.T) {
	onNetwork(t, 5, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.all[0]
		var mu sync.Mutex
		told := map[string]error{}
		var wg sync.WaitGroup
		for i := range 200 {
			id, name := fmt.Sprint("k", i%40), fmt.Sprint("once-", i)
			opts := []actors.CallOption{actors.Timeout(30 * time.Second)}
			if i%2 == 0 {
				name, opts = fmt.Sprint("idem-", i), append(opts, actors.Idempotent())
			}
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond)
				_, err := w.future(asker, id, name+" 30ms", opts...).Wait(t.Context())
				mu.Lock()
				defer mu.Unlock()
				told[name] = err
			})
		}
		for _, m := range w.all[1:3] {
			time.Sleep(1111 * time.Millisecond)
			w.crash(m)
		}
		wg.Wait()
		doubles, lost := 0, 0
		for name, err := range told {
			n := runs.runs(name)
			idem := strings.HasPrefix(name, "idem")
			switch {
			case idem && (err != nil || n < 1):
				t.Errorf("%s has run %d times: %v", name, n, err)
			case idem:
				doubles += n - 1
			case n > 1, err == nil && n != 1, err != nil && actors.RetrySafe(err) && n > 0:
				t.Errorf("%s has run %d times: %v", name, n, err)
			case err != nil && !actors.RetrySafe(err):
				wantLost(t, err)
				lost++
			}
		}
		t.Logf("%d have run again, %d were lost", doubles, lost)
		if lost == 0 {
			t.Error("no ask was in flight at a node that has crashed")
		}
	})
}

// TestTrap12AskerThatDoesNotKnowItsEnd: the session of an asker is over, and with it what it was answered, and it does not know yet. That a
// node knows nothing of its ask does not say that this has not run.
func TestTrap12AskerThatDoesNotKnowItsEnd(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.other(w.owner("k"))
		w.warm(asker, "k")
		f := w.future(asker, "k", "once 100ms")
		time.Sleep(50 * time.Millisecond)
		asker.Cut(gridtest.Answers | gridtest.Notices | gridtest.FramesIn) // the answer is lost
		time.Sleep(100 * time.Millisecond)
		asker.Expire()
		time.Sleep(100 * time.Millisecond)
		asker.Cut(gridtest.Answers | gridtest.Notices)
		_, err := f.Wait(t.Context())
		wantLost(t, err)
		time.Sleep(time.Second)
		runs.want("once", 1, 1)
		asker.Heal()
	})
}

// TestTrap13PIDOverManyMoves: a PID is good for whoever has the key.
func TestTrap13PIDOverManyMoves(t *testing.T) {
	moves := 100
	if testing.Short() {
		moves = 10
	}
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.other(w.owner("k"))
		pid := asker.g.PID("account", "k")
		w.change = func(o *grid.Options) { o.Settle = -1 }
		places := map[string]bool{}
		for i := range moves {
			if _, err := actors.Call[word](t.Context(), asker.sys.Root, pid, say(fmt.Sprint("move-", i))); err != nil {
				t.Fatalf("after %d moves: %v", i, err)
			}
			runs.want(fmt.Sprint("move-", i), 1, 1)
			owner := w.owner("k")
			places[owner.Name()] = true
			if owner == asker {
				w.start()
				time.Sleep(200 * time.Millisecond)
				continue
			}
			owner.dead = true
			w.drain(owner)
		}
		if len(places) < moves/4 {
			t.Errorf("it was in %d places", len(places))
		}
	})
}

// TestTrap20NothingIsShared: a message is one of its own at its handler, and the answer at its asker, also if both are here.
func TestTrap20NothingIsShared(t *testing.T) {
	var got, answered word
	onNetwork(t, 2, gridtest.Options{}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
				got, answered = m, say("answer")
				return answered, nil
			})
			return nil
		}
	}, func(t *testing.T, w *machines, _ *runLog) {
		for _, asker := range w.all {
			sent := say("sent")
			f := actors.RequestFuture[word](asker.sys.Root, asker.g.PID("account", "k"), sent)
			answer, err := f.Wait(t.Context())
			if err != nil || answer.Value != "answer" || got.Value != "sent" {
				t.Fatal(err)
			}
			if got == sent || answer == answered {
				t.Errorf("asked by %s, a pointer is shared", asker.Name())
			}
		}
	})
}

// TestCancelReachesTheFarTask soon, be it the future's, the end of a context, or a budget.
func TestCancelReachesTheFarTask(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.other(w.owner("k"))
		ctx, cancel := context.WithCancel(t.Context())
		for name, end := range map[string]func(f *actors.Future[word]){
			"cancel":  func(f *actors.Future[word]) { f.Cancel() },
			"context": func(*actors.Future[word]) { cancel() },
			"budget":  func(*actors.Future[word]) { time.Sleep(time.Second) },
		} {
			opts := []actors.CallOption{actors.Timeout(time.Minute)}
			switch name {
			case "context":
				opts = append(opts, actors.WithContext(ctx))
			case "budget":
				opts = []actors.CallOption{actors.Timeout(2 * time.Second)}
			}
			f := w.future(asker, "k", name+" 1h", opts...)
			time.Sleep(time.Second)
			runs.want(name, 1, 1)
			end(f)
			time.Sleep(50 * time.Millisecond)
			if why, ended := runs.endOf(name); !ended || why == nil {
				t.Errorf("%s has not reached the handler: %v", name, why)
			}
		}
	})
}

// TestCancelReachesWhereItWasForwarded: a request that was forwarded, to a key of the same node or of a third one, is canceled
// there, too, and so it is when its asker is lost. Nothing is left in the tables.
func TestCancelReachesWhereItWasForwarded(t *testing.T) {
	var runs *runLog
	onNetwork(t, 3, gridtest.Options{}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.On(wk, func(t *actors.Task, m word) error {
				next, rest, passed := strings.Cut(m.Value, ">")
				if passed && next != id {
					t.Forward(actor.NewPID(grid.Address, "account/"+next))
					return nil
				}
				runs.note(rest)
				err := t.Sleep(time.Hour)
				runs.mu.Lock()
				defer runs.mu.Unlock()
				runs.ended[rest] = err
				return err
			})
			return nil
		}
	}, func(t *testing.T, w *machines, r *runLog) {
		runs = r
		first := w.owner("k")
		asker := w.other(first)
		third := w.other(first, asker)
		on := func(m *machine, not string) string {
			for i := 0; ; i++ {
				if id := fmt.Sprint("to", i); id != not && w.owner(id) == m {
					return id
				}
			}
		}
		for name, to := range map[string]string{"same": on(first, "k"), "third": on(third, ""), "back": on(asker, "")} {
			f := w.future(asker, "k", to+">"+name, actors.Timeout(time.Minute))
			time.Sleep(time.Second)
			runs.want(name, 1, 1)
			f.Cancel()
			time.Sleep(50 * time.Millisecond)
			if why, ended := runs.endOf(name); !ended || why == nil {
				t.Errorf("%s: the cancel has not reached the handler: %v", name, why)
			}
		}
		time.Sleep(15 * time.Second)
		for _, m := range w.all {
			if asking, answering := m.g.Tables(); asking != 0 || answering != 0 {
				t.Errorf("%s has %d and %d in its tables", m.Name(), asking, answering)
			}
		}
		w.future(asker, "k", on(third, "")+">lost", actors.Timeout(time.Hour))
		time.Sleep(time.Second)
		runs.want("lost", 1, 1)
		asker.Crash()
		asker.dead = true
		time.Sleep(5 * time.Second)
		if why, ended := runs.endOf("lost"); !ended || why == nil {
			t.Errorf("the asker is lost, and the handler goes on: %v", why)
		}
	})
}

// TestCancelIsSentAgain: one that was lost on the way reaches the handler after all, and the asker remembers none for longer than
// it has to.
func TestCancelIsSentAgain(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.other(w.owner("k"))
		f := w.future(asker, "k", "work 1h", actors.Timeout(2*time.Hour))
		time.Sleep(time.Second)
		asker.Cut(gridtest.FramesOut)
		f.Cancel()
		time.Sleep(800 * time.Millisecond) // less than the network needs to notice
		if _, ended := runs.endOf("work"); ended {
			t.Error("the cancel was not lost")
		}
		asker.Heal()
		time.Sleep(time.Second)
		if why, ended := runs.endOf("work"); !ended || why == nil {
			t.Errorf("the cancel has not reached the handler: %v", why)
		}
		time.Sleep(time.Second)
		if n := asker.g.Canceled(); n != 0 {
			t.Errorf("%d cancels are remembered that have come", n)
		}
		// A connection is lost, and with it the cancel.
		f = w.future(asker, "k", "again 1h", actors.Timeout(2*time.Hour))
		time.Sleep(time.Second)
		asker.Reconnect(300 * time.Millisecond)
		f.Cancel()
		time.Sleep(2 * time.Second)
		if why, ended := runs.endOf("again"); !ended || why == nil {
			t.Errorf("the cancel has not reached the handler: %v", why)
		}
		// The node is gone for good, and a budget ends: nothing is left.
		f = w.future(asker, "k", "gone 1h", actors.Timeout(2*time.Hour))
		short := w.future(asker, "k", "short 1h", actors.Timeout(2*time.Second))
		time.Sleep(time.Second)
		owner := w.owner("k")
		owner.Cut(gridtest.All)
		f.Cancel()
		time.Sleep(1100 * time.Millisecond)
		if !short.Done() || asker.g.Canceled() != 1 {
			t.Errorf("remembered while the node may live: %d", asker.g.Canceled())
		}
		time.Sleep(10 * time.Second)
		if n := asker.g.Canceled(); n != 0 {
			t.Errorf("%d cancels are remembered of a node that is lost", n)
		}
		owner.Heal()
		time.Sleep(10 * time.Second)
	})
}

// TestBudgetShrinksOverNodes: who is asked by the one that is asked has what is left.
func TestBudgetShrinksOverNodes(t *testing.T) {
	var mu sync.Mutex
	left := map[string]time.Duration{}
	var w *machines
	onNetwork(t, 3, gridtest.Options{FrameLatency: 10 * time.Millisecond}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
				at, _ := t.Context().Deadline()
				mu.Lock()
				left[id] = time.Until(at)
				mu.Unlock()
				next, rest, _ := strings.Cut(m.Value, " ")
				if next == "" {
					return say("end"), t.Sleep(time.Hour)
				}
				if err := t.Sleep(100 * time.Millisecond); err != nil {
					return nil, err
				}
				return actors.Ask[word](t, actor.NewPID(grid.Address, "account/"+next), say(rest))
			})
			return nil
		}
	}, func(t *testing.T, made *machines, _ *runLog) {
		w = made
		var path []string // keys of three nodes
		for i := 0; len(path) < 3; i++ {
			if id := fmt.Sprint("k", i); w.owner(id) == w.all[len(path)] {
				path = append(path, id)
			}
		}
		begun := time.Now()
		asker := w.all[2]
		_, err := w.future(asker, path[0], path[1]+" "+path[2], actors.Timeout(time.Second)).Wait(t.Context())
		if !errors.Is(err, actors.ErrTimeout) || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		time.Sleep(50 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		a, b, c := left[path[0]], left[path[1]], left[path[2]]
		if a > time.Second || a < 970*time.Millisecond || b > a-100*time.Millisecond || c > b-100*time.Millisecond || c < 700*time.Millisecond {
			t.Errorf("budgets are %v, %v, %v", a, b, c)
		}
	})
}

// TestWindow: one ask more than the window to a node fails at once, and has not run.
func TestWindow(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		w.change = func(o *grid.Options) { o.Window = 10; o.Kinds[0].Setup = nil }
		asker := w.startAs("asker")
		time.Sleep(time.Second)
		for _, m := range asker.g.Nodes() {
			if len(m.Kinds) > 0 == (m.Name == "asker") {
				t.Errorf("%s has workers of %v", m.Name, m.Kinds)
			}
		}
		var all []*actors.Future[word]
		for i := range 12 {
			all = append(all, w.future(asker, "k", fmt.Sprint("window-", i, " 1s")))
		}
		for i, f := range all {
			_, err := f.Wait(t.Context())
			if i < 10 && err != nil || i >= 10 && (!errors.Is(err, actors.ErrMailboxFull) || !actors.RetrySafe(err)) {
				t.Errorf("number %d: %v", i, err)
			}
		}
		runs.want("window-11", 0, 0)
	})
}

// TestNobodyHasTheKey: without a node that has workers an ask waits for as long as its budget, and has not run.
func TestNobodyHasTheKey(t *testing.T) {
	onNetwork(t, 0, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		w.change = func(o *grid.Options) { o.Kinds[0].Setup = nil }
		asker := w.startAs("asker")
		begun := time.Now()
		_, err := w.future(asker, "k", "nobody", actors.Timeout(actors.Forever)).Wait(t.Context())
		if took := time.Since(begun); !errors.Is(err, actors.ErrUnavailable) || !actors.RetrySafe(err) || took < 30*time.Second || took > 31*time.Second {
			t.Errorf("without a budget: %v after %v", err, took)
		}
		f := w.future(asker, "k", "somebody", actors.Timeout(time.Minute))
		time.Sleep(10 * time.Second)
		w.change = nil
		w.start()
		if _, err := f.Wait(t.Context()); err != nil {
			t.Errorf("one that has come meanwhile: %v", err)
		}
	})
}

// TestDrainWaitsForItsAsks: what a node that drains has asked others is answered before it leaves.
func TestDrainWaitsForItsAsks(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.other(w.owner("k"))
		f := w.future(asker, "k", "asked 10s")
		long := w.future(asker, "k", "long 1h", actors.Timeout(actors.Forever))
		time.Sleep(time.Second)
		begun := time.Now()
		asker.dead = true
		w.drain(asker)
		if _, err := f.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		_, err := long.Wait(t.Context())
		wantLost(t, err)
		if took := time.Since(begun); took < 30*time.Second || took > 32*time.Second {
			t.Errorf("the drain has taken %v, with a StopGrace of 30 s", took)
		}
		time.Sleep(3 * time.Second)
		if why, ended := runs.endOf("long"); !ended || why == nil {
			t.Errorf("what nobody waits for any more goes on: %v, %v", why, ended)
		}
		if _, err := w.future(asker, "k", "late").Wait(t.Context()); !errors.Is(err, actors.ErrStopping) || !actors.RetrySafe(err) {
			t.Errorf("asked by a node that is drained: %v", err)
		}
	})
}

// TestDrainOutsideOfTheCluster: a node that is cut off, and drains before it has joined again, joins for what it has asked, and owns nothing
// from then on. It leaves when that has ended, or by itself when nobody lets it join.
func TestDrainOutsideOfTheCluster(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.other(w.owner("k"))
		asked := w.future(asker, "k", "again 3s", actors.Idempotent(), actors.Timeout(20*time.Second))
		time.Sleep(time.Second)
		asker.Cut(gridtest.All)
		time.Sleep(2 * machineLease)
		asker.dead = true
		left := make(chan time.Time, 1)
		go func() {
			w.drain(asker)
			left <- time.Now()
		}()
		time.Sleep(time.Second)
		asker.Heal()
		joined := 0
		for range 100 { // it runs "again" for 3 s
			time.Sleep(20 * time.Millisecond)
			for _, n := range w.other(asker).g.Nodes() {
				if n.Name == asker.Name() {
					if joined++; len(n.Kinds) > 0 {
						t.Fatalf("it takes part again: %+v", n)
					}
				}
			}
		}
		if joined == 0 {
			t.Error("it has not joined again")
		}
		if _, err := asked.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		ended := time.Now()
		if after := (<-left).Sub(ended); after > 100*time.Millisecond {
			t.Errorf("it has left %v after its last ask has ended", after)
		}
	})
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.other(w.owner("k"))
		asked := w.future(asker, "k", "never 1h", actors.Idempotent(), actors.Timeout(10*time.Second))
		begun := time.Now()
		time.Sleep(time.Second)
		asker.Cut(gridtest.All)
		time.Sleep(2 * machineLease)
		asker.dead = true
		w.drain(asker)
		if took := time.Since(begun); took < 10*time.Second || took > 10100*time.Millisecond {
			t.Errorf("it has left after %v, and what it has asked had 10 s", took)
		}
		if _, err := asked.Wait(t.Context()); !errors.Is(err, actors.ErrTimeout) {
			t.Error(err)
		}
		idle := w.other(w.owner("k"))
		idle.Cut(gridtest.All)
		time.Sleep(2 * machineLease)
		begun, idle.dead = time.Now(), true
		if w.drain(idle); time.Since(begun) > 0 {
			t.Errorf("one that has asked nothing has left after %v", time.Since(begun))
		}
	})
}

// TestHandOverKeepsAsks: while nodes drain and come, no ask fails that has a budget, and none runs twice.
func TestHandOverKeepsAsks(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		asker := w.all[0]
		var wg sync.WaitGroup
		for i := range 400 {
			name := fmt.Sprint("moved-", i)
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond)
				begun := time.Now()
				if _, err := w.future(asker, fmt.Sprint("k", i%50), name+" 10ms", actors.Timeout(10*time.Second)).Wait(t.Context()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if took := time.Since(begun); took > time.Second {
					t.Errorf("%s has taken %v", name, took)
				}
				runs.want(name, 1, 1)
			})
		}
		time.Sleep(time.Second)
		w.all[1].dead = true
		w.drain(w.all[1])
		w.start()
		time.Sleep(4 * time.Second)
		w.start()
		wg.Wait()
	})
}
