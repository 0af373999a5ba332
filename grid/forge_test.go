// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/internal/gridwire"
	"github.com/protoloop/protoloop/messages"
)

// controlMessages are what stops, restarts or controls actors, and batches of it.
func controlMessages() []any {
	return []any{
		&actor.PoisonPill{}, &actor.Stop{}, &actor.Watch{Watcher: actor.NewPID("nonhost", "x")}, &actor.Unwatch{}, &actor.Terminated{},
		&actor.Started{}, &actor.Stopping{}, &actor.Stopped{}, &actor.Restarting{}, &actor.Touched{}, &actor.Touch{}, &actor.Restart{},
		&messages.Stop{Grace: durationpb.New(0)}, &messages.StatusRequest{}, &messages.Failure{},
		&actor.DeadLetterResponse{}, &actor.ReceiveTimeout{},
	}
}

// protoMessages are those of them that can be in a frame.
func protoMessages() (all []proto.Message) {
	for _, m := range controlMessages() {
		if p, is := m.(proto.Message); is {
			all = append(all, p)
		}
	}
	return all
}

// forger is a program that has the certificate of a node, and sends whatever it likes.
type forger struct {
	testing.TB
	line   grid.Line
	self   grid.Peer
	origin uint64

	mu       sync.Mutex
	failures []*messages.Failure
	refusals []gridwire.Refusal
	answers  []gridwire.Answer
	audited  []gridwire.Audited
}

// forger opens a line as m, in a session that the cluster does not know.
func (w *machines) forger(m *machine) *forger {
	w.Helper()
	return w.forgerIn(m, 1<<40, 77)
}

// forgerIn is one in that session, of the process that has that origin.
func (w *machines) forgerIn(m *machine, session, origin uint64) *forger {
	w.Helper()
	f := &forger{TB: w.T, self: grid.Peer{Node: m.Name(), Session: session}, origin: origin}
	line, err := m.Open(w.Context(), f.self, f)
	if err != nil {
		w.Fatal(err)
	}
	f.line = line
	w.Cleanup(func() { line.Close() })
	return f
}

// double is a forger that says that it is m in its present session, and gets nothing of what is sent to that.
func (w *machines) double(m *machine) *forger {
	w.Helper()
	f := w.forger(m)
	f.self = w.peerOf(m)
	return f
}

// peerOf is the node in its present session.
func (w *machines) peerOf(m *machine) grid.Peer {
	w.Helper()
	for _, n := range w.other(m).g.Nodes() {
		if n.Name == m.Name() {
			return grid.Peer{Node: n.Name, Session: n.Session}
		}
	}
	w.Fatalf("%s is not in the cluster", m.Name())
	return grid.Peer{}
}

// frame is the beginning of one.
func (f *forger) frame() []byte { return gridwire.AppendHeader(nil, f.self.Session, f.origin) }

func (f *forger) send(to grid.Peer, frame []byte) {
	f.Helper()
	if err := f.line.Send(to, 1, frame); err != nil {
		f.Fatal(err)
	}
}

// ask appends an ask to a frame.
func (f *forger) ask(frame []byte, id uint64, key string, m proto.Message) []byte {
	f.Helper()
	size := proto.Size(m)
	body, err := gridwire.AppendAskBody(nil, &gridwire.Ask{ID: id, Key: key, Type: []byte(m.ProtoReflect().Descriptor().FullName())}, size, func(b []byte) ([]byte, error) {
		return proto.MarshalOptions{}.MarshalAppend(b, m)
	})
	if err != nil {
		f.Fatal(err)
	}
	return gridwire.AppendAsk(frame, body, time.Minute)
}

// forge sends messages to a key of the owner in a frame that package grid would not make, and returns the failures.
func (w *machines) forge(as, owner *machine, all ...any) []*messages.Failure {
	w.Helper()
	f := w.forger(as)
	frame := f.frame()
	for i, m := range all {
		if p, is := m.(proto.Message); is {
			frame = f.ask(frame, uint64(i+1), "account/k", p)
		}
	}
	f.send(w.peerOf(owner), frame)
	time.Sleep(time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failures
}

func (f *forger) Received(_ string, frame []byte) {
	if err := gridwire.Read(frame, f); err != nil {
		f.Error(err)
	}
}
func (*forger) Undelivered(grid.Peer, uint64) {}
func (*forger) Gone(string)                   {}
func (*forger) Missed()                       {}
func (*forger) Begin(gridwire.Header)         {}
func (*forger) Acks([]uint64)                 {}
func (*forger) Ask(gridwire.Ask)              {}
func (*forger) Cancel([]uint64)               {}
func (*forger) Audit(gridwire.Audit)          {}
func (f *forger) Audited(a gridwire.Audited) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.audited = append(f.audited, a)
}
func (*forger) TooNew(uint64) {}
func (f *forger) Refusal(r gridwire.Refusal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusals = append(f.refusals, r)
}

func (f *forger) Answer(a gridwire.Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = append(f.answers, a)
	if len(a.Failure) > 0 {
		failure := &messages.Failure{}
		if err := proto.Unmarshal(a.Failure, failure); err != nil {
			f.Error(err)
		}
		f.failures = append(f.failures, failure)
	}
}

// TestTrap22MixedVersions: what a later version adds is skipped, and asks in a frame that needs a later version are refused,
// so that they go to another node. Nothing else of that frame is taken.
func TestTrap22MixedVersions(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		f := w.forger(w.other(owner))
		to := w.peerOf(owner)
		// A frame with unknown fields and items.
		frame := f.frame()
		frame = gridwire.AppendUnknown(frame, 99)
		frame = f.ask(frame, 1, "account/k", say("with-unknown"))
		frame = gridwire.AppendUnknown(frame, 1000)
		f.send(to, frame)
		// One that needs a later version.
		frame = gridwire.SetNeeds(f.frame(), gridwire.Version+1)
		frame = f.ask(frame, 2, "account/k", say("too-new"))
		frame = gridwire.AppendCancel(frame, 1)
		f.send(to, frame)
		time.Sleep(time.Second)
		runs.want("with-unknown", 1, 1)
		runs.want("too-new", 0, 0)
		f.mu.Lock()
		if len(f.answers) != 1 || len(f.failures) != 0 || len(f.refusals) != 1 || f.refusals[0].ID != 2 || f.refusals[0].Reason != gridwire.TooNew {
			t.Errorf("answers %v, refusals %v", f.answers, f.refusals)
		}
		f.mu.Unlock()
		if n := owner.g.BadFrames(); n != 0 {
			t.Errorf("%d frames were refused", n)
		}
		// What is no frame at all.
		f.send(to, []byte("GET / HTTP/1.1"))
		f.send(to, nil)
		f.send(to, gridwire.AppendHeader(nil, 0, 1))
		// One in the session of another node.
		forged := gridwire.AppendHeader(nil, to.Session, 77)
		f.send(to, f.ask(forged, 3, "account/k", say("forged")))
		time.Sleep(time.Second)
		runs.want("forged", 0, 0)
		if n := owner.g.BadFrames(); n != 4 {
			t.Errorf("%d frames were refused, want 4", n)
		}
		if _, err := w.ask(w.other(owner), "k", say("after")); err != nil {
			t.Error(err)
		}
	})
}

// TestAnswersOfOthersAreNotTaken: a node that answers what another was asked is not heard.
func TestAnswersOfOthersAreNotTaken(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		f := w.forger(w.other(owner, asker))
		answer := w.future(asker, "k", "true 1s", actors.Timeout(time.Minute))
		time.Sleep(500 * time.Millisecond)
		for id := range uint64(100) {
			item, err := gridwire.AppendAnswer(f.frame(), &gridwire.Answer{ID: id, Rev: 1 << 50, Type: []byte("google.protobuf.StringValue")}, 0, func(b []byte) ([]byte, error) { return b, nil })
			if err != nil {
				t.Fatal(err)
			}
			f.send(w.peerOf(asker), item)
			f.send(w.peerOf(owner), gridwire.AppendCancel(f.frame(), id))
		}
		if got, err := answer.Wait(t.Context()); err != nil || got.Value == "" {
			t.Errorf("answered with %v, %v", got, err)
		}
	})
}

// TestAsksOfOneNodeAreBounded: a node that keeps to no window has as many asks at another as that takes of one. What is more has not
// run, in whatever session it was asked. There is room again for each that is answered or canceled.
func TestAsksOfOneNodeAreBounded(t *testing.T) {
	const window, most = 5, 10
	onNetwork(t, 0, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		w.change = func(o *grid.Options) { o.Window = window }
		owner := w.start()
		w.change = func(o *grid.Options) { o.Kinds[0].Setup = nil } // with the window that is usual
		asker, other := w.startAs("asker"), w.startAs("other")
		time.Sleep(5 * time.Second)
		to := w.peerOf(owner)
		f := []*forger{w.forgerIn(asker, 1<<40, 77), w.forgerIn(asker, 1<<41, 78)}
		asks := func(what string, from, upTo int) {
			for i := from; i < upTo; i++ {
				by := f[i%2]
				by.send(to, by.ask(by.frame(), uint64(i+1), fmt.Sprint("account/k", i), say(fmt.Sprint(what, "-", i, " 10s"))))
				time.Sleep(100 * time.Millisecond) // else those of the two may overtake each other
			}
		}
		refused := func(when string, want int) {
			t.Helper()
			n := 0
			for _, by := range f {
				by.mu.Lock()
				for _, err := range by.failures {
					if n++; !errors.Is(err, actors.ErrUnavailable) || err.Ran || err.MaybeRan || !err.RetrySafe {
						t.Errorf("%s: %v", when, err)
					}
				}
				by.failures = nil
				by.mu.Unlock()
			}
			if n != want {
				t.Errorf("%s: %d are refused, want %d", when, n, want)
			}
		}
		asks("first", 0, most+7)
		refused("at once", 7)
		runs.want(fmt.Sprint("first-", most-1), 1, 1)
		runs.want(fmt.Sprint("first-", most), 0, 0)
		if _, err := w.ask(other, "k", say("other")); err != nil {
			t.Errorf("another node: %v", err)
		}
		if _, err := w.ask(asker, "k", say("asker")); !errors.Is(err, actors.ErrUnavailable) || !actors.RetrySafe(err) {
			t.Errorf("the node itself: %v", err)
		}
		f[0].send(to, gridwire.AppendCancel(f[0].frame(), 1))
		time.Sleep(100 * time.Millisecond)
		asks("second", 100, 103)
		refused("when one is canceled", 2)
		time.Sleep(20 * time.Second)
		asks("third", 200, 200+most+1)
		refused("when all are answered", 1)
		time.Sleep(20 * time.Second)

		var all []*actors.Future[word]
		for i := range most + 3 {
			all = append(all, w.future(asker, fmt.Sprint("k", i), fmt.Sprint("window-", i, " 1s")))
		}
		full := 0
		for i, f := range all {
			if _, err := f.Wait(t.Context()); err == nil {
				runs.want(fmt.Sprint("window-", i), 1, 1)
			} else if full++; !errors.Is(err, actors.ErrUnavailable) || !actors.RetrySafe(err) {
				t.Errorf("number %d: %v", i, err)
			}
		}
		if full != 3 {
			t.Errorf("with a greater window %d are refused, want 3", full)
		}
	})
}

// TestRepeatedAskRunsOnce: an ask that comes again is not run again, as long as the node has it, and is answered again.
func TestRepeatedAskRunsOnce(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		f := w.forger(w.other(owner))
		to := w.peerOf(owner)
		take := func() int {
			time.Sleep(100 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			n := len(f.answers)
			f.answers = nil
			return n
		}
		repeat := func(name string) { f.send(to, f.ask(f.frame(), 1, "account/k", say(name+" 1s"))) }
		repeat("twice")
		repeat("twice")
		if n := take(); n != 0 {
			t.Errorf("%d answers while it runs", n)
		}
		time.Sleep(time.Second)
		if n := take(); n != 1 {
			t.Errorf("%d answers when it has run", n)
		}
		repeat("twice")
		f.send(to, gridwire.AppendAudit(f.frame(), &gridwire.Audit{Number: 1, IDs: []uint64{1}}))
		if n := take(); n != 2 {
			t.Errorf("%d answers to a repeated ask and to an audit", n)
		}
		runs.want("twice", 1, 1)
		f.send(to, gridwire.AppendAcks(f.frame(), []uint64{1}))
		time.Sleep(100 * time.Millisecond)
		if _, answering := owner.g.Tables(); answering != 0 {
			t.Errorf("%d entries are kept of an answer that has come", answering)
		}
		repeat("kept")
		time.Sleep(5 * time.Second)
		if _, answering := owner.g.Tables(); answering == 0 {
			t.Error("an answer is not kept that nobody has acknowledged")
		}
		time.Sleep(8 * time.Second)
		if _, answering := owner.g.Tables(); answering != 0 {
			t.Error("it is kept for ever")
		}
	})
}

// TestKeptAnswersAreBounded: of the answers that nobody has acknowledged so many bytes are kept. Of the oldest beyond that the node
// knows that it has given them, and says so when it is asked, and does not run them again.
func TestKeptAnswersAreBounded(t *testing.T) {
	const size, n = 1_000_000, grid.MaxKept/1_000_000 + 5
	ran := 0
	onNetwork(t, 2, gridtest.Options{}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.Handle(wk, func(*actors.Task, word) (word, error) {
				ran++
				return say(strings.Repeat("x", size)), nil
			})
			return nil
		}
	}, func(t *testing.T, w *machines, _ *runLog) {
		owner := w.owner("k")
		f := w.forger(w.other(owner))
		to := w.peerOf(owner)
		take := func() (answers []uint64, audited []gridwire.Audited) {
			time.Sleep(100 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, a := range f.answers {
				answers = append(answers, a.ID)
			}
			audited, f.answers, f.audited = f.audited, nil, nil
			return answers, audited
		}
		for id := range uint64(n) {
			f.send(to, f.ask(f.frame(), id+1, "account/k", say("much")))
			if got, _ := take(); len(got) != 1 {
				t.Fatalf("ask %d is answered %d times", id, len(got))
			}
		}
		answers, bytes := owner.g.Kept()
		if answers != n || bytes > grid.MaxKept || bytes < grid.MaxKept-2*size {
			t.Errorf("%d answers of %d are kept, with %d bytes", answers, n, bytes)
		}
		gone := n - bytes/size
		if gone < 5 || gone > 7 {
			t.Errorf("%d answers are gone", gone)
		}
		f.send(to, gridwire.AppendAudit(f.frame(), &gridwire.Audit{Number: 1, IDs: []uint64{1, uint64(gone), uint64(gone) + 1, n, n + 1}}))
		again, audited := take()
		// That an ask has never run, as that of number n+1, is not told to a session that is not there.
		if fmt.Sprint(again) != fmt.Sprint([]int{gone + 1, n}) || len(audited) != 1 || fmt.Sprint(audited[0].Forgotten, audited[0].Unknown) != fmt.Sprint([]int{1, gone, n + 1}, []int{}) {
			t.Errorf("answered again %v, audited %+v", again, audited)
		}
		f.send(to, f.ask(f.frame(), 1, "account/k", say("once more")))
		if again, _ := take(); len(again) != 0 || ran != n {
			t.Errorf("an ask whose answer is gone has run again: %v, %d runs", again, ran)
		}
		// What is acknowledged is no longer counted, be it there or not.
		f.send(to, gridwire.AppendAcks(f.frame(), []uint64{1, 2, uint64(gone) + 1}))
		take()
		if a, b := owner.g.Kept(); a != n-3 || b >= bytes || b < bytes-2*size {
			t.Errorf("then %d answers are kept, with %d bytes", a, b)
		}
		time.Sleep(15 * time.Second)
		if a, b := owner.g.Kept(); a != 0 || b != 0 {
			t.Errorf("at last %d answers are kept, with %d bytes", a, b)
		}
	})
}

// TestAnswerOfAnOldOwner: an answer to another node that is given when the lease is over is none, and one with the token of a former
// owner is not taken.
func TestAnswerOfAnOldOwner(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.Handle(wk, func(t *actors.Task, d pause) (word, error) {
				if d.AsDuration() == time.Hour {
					return say("late"), t.Sleep(time.Hour)
				}
				time.Sleep(d.AsDuration()) // its turn lasts, and looks at nothing
				return say("done"), nil
			})
			return nil
		}
	}, func(t *testing.T, w *machines, _ *runLog) {
		owner := w.owner("k")
		f := w.forger(w.other(owner))
		f.send(w.peerOf(owner), f.ask(f.frame(), 1, "account/k", sleeping(2950*time.Millisecond)))
		time.Sleep(time.Second)
		owner.Cut(gridtest.Requests | gridtest.Answers) // its lease is over in 1.4 to 1.8 s
		time.Sleep(time.Second)
		w.mu.Lock()
		owner.held = true
		w.mu.Unlock()
		owner.Suspend()                     // no timer looks at the lease
		time.Sleep(1050 * time.Millisecond) // less than the network would notice
		owner.Resume()
		time.Sleep(100 * time.Millisecond)
		f.mu.Lock()
		if len(f.answers) != 1 || len(f.failures) != 1 || !errors.Is(f.failures[0], actors.ErrFenced) || actors.RetrySafe(f.failures[0]) {
			t.Errorf("it is answered with %v, %v", f.answers, f.failures)
		}
		f.mu.Unlock()
		owner.Heal()
		time.Sleep(10 * time.Second)

		// Now the owner gives an answer of an owner before it.
		owner = w.owner("k")
		asker := w.other(owner)
		if _, err := w.ask(asker, "k", sleeping(0)); err != nil {
			t.Fatal(err)
		}
		answer := actors.RequestFuture[word](asker.sys.Root, asker.g.PID("account", "k"), sleeping(time.Hour))
		time.Sleep(100 * time.Millisecond)
		as := w.double(owner)
		for id := range uint64(50) {
			item, err := gridwire.AppendAnswer(as.frame(), &gridwire.Answer{ID: id, Rev: 1, Type: []byte("google.protobuf.StringValue")}, 0, func(b []byte) ([]byte, error) { return b, nil })
			if err != nil {
				t.Fatal(err)
			}
			as.send(w.peerOf(asker), item)
		}
		_, err := answer.Wait(t.Context())
		wantLost(t, err)
	})
}

// TestAnswersControlNobody: what stops or controls actors is no answer. Its asker is told so, and lives.
func TestAnswersControlNobody(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		control := protoMessages()
		var mu sync.Mutex
		var got []any
		stopped := false
		self := asker.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			mu.Lock()
			defer mu.Unlock()
			switch m := c.Message().(type) {
			case *actor.Started:
				for range control {
					c.Request(asker.g.PID("account", "k"), say("asked 1h"))
				}
			case *actor.Stopping, *actor.Stopped:
				stopped = true
			default:
				got = append(got, m)
			}
		}))
		time.Sleep(time.Second)
		as := w.double(owner)
		for id := range uint64(200) {
			typ := control[id%uint64(len(control))].ProtoReflect().Descriptor().FullName()
			item, err := gridwire.AppendAnswer(as.frame(), &gridwire.Answer{ID: id, Rev: 1 << 50, Type: []byte(typ)}, 0, func(b []byte) ([]byte, error) { return b, nil })
			if err != nil {
				t.Fatal(err)
			}
			as.send(w.peerOf(asker), item)
		}
		time.Sleep(time.Second)
		mu.Lock()
		if stopped || len(got) != len(control) {
			t.Errorf("the asker has got %d answers to %d asks, and is stopped: %v", len(got), len(control), stopped)
		}
		for _, m := range got {
			switch m.(type) {
			case *messages.Failure, *actor.Touched, *actor.Touch, *actor.DeadLetterResponse: // which stop and watch nobody
			default:
				t.Errorf("it has got a %T", m)
			}
		}
		mu.Unlock()
		asker.sys.Root.Stop(self)
	})
}

// TestNumbersOfOthersAreFree: a node that asks with the numbers of another does not take them from it.
func TestNumbersOfOthersAreFree(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		w.warm(asker, "k")
		f := w.forger(w.other(owner, asker))
		f.origin = asker.g.Origin()
		frame := f.frame()
		for id := range uint64(300) {
			frame = f.ask(frame, id, "account/k", say("forged 1h"))
		}
		f.send(w.peerOf(owner), frame)
		time.Sleep(time.Second)
		if _, err := w.future(asker, "k", "own", actors.Timeout(10*time.Second)).Wait(t.Context()); err != nil {
			t.Error(err)
		}
		runs.want("own", 1, 1)
	})
}

// TestManySessionsOfAStranger: a node that speaks in more and more sessions keeps nobody else from being heard or asked.
func TestManySessionsOfAStranger(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		f := w.forger(w.other(owner))
		to := w.peerOf(owner)
		flood := func() {
			for range 3000 {
				f.self.Session++
				f.send(to, f.frame())
			}
			time.Sleep(time.Second)
		}
		w.change = func(o *grid.Options) { o.Kinds[0].Setup = nil }
		next := w.startAs("asker")
		time.Sleep(time.Second)
		flood()
		if _, err := w.future(next, "k", "asked", actors.Timeout(10*time.Second)).Wait(t.Context()); err != nil {
			t.Errorf("asked by one that has joined later: %v", err)
		}
		w.change = nil
		newcomer := w.start()
		time.Sleep(10 * time.Second)
		flood()
		for i := 0; ; i++ {
			id := fmt.Sprint("k", i)
			if w.owner(id) != newcomer {
				continue
			}
			if _, err := w.future(owner, id, "asks", actors.Timeout(10*time.Second)).Wait(t.Context()); err != nil {
				t.Errorf("it asks one that has joined later: %v", err)
			}
			break
		}
		if n := owner.g.Peers(); n > 1100 {
			t.Errorf("it remembers %d peers", n)
		}
	})
}

// TestKeyWithoutAnId is none, whoever names it.
func TestKeyWithoutAnId(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		var got []*messages.Failure
		for _, m := range w.all { // one of them has its shard
			f := w.forger(w.other(m))
			f.send(w.peerOf(m), f.ask(f.frame(), 1, "account/", say("forged")))
			time.Sleep(time.Second)
			f.mu.Lock()
			got = append(got, f.failures...)
			f.mu.Unlock()
		}
		if len(got) != 1 || !errors.Is(got[0], actors.ErrDeadLetter) {
			t.Errorf("the nodes have answered %v", got)
		}
		sys := w.all[0].sys
		own, err := sys.Root.RequestFuture(actor.NewPID(grid.Address, "account/"), say("own"), time.Second).Result()
		if f, is := own.(*messages.Failure); err != nil || !is || !errors.Is(f, actors.ErrDeadLetter) {
			t.Errorf("in the process itself it is answered with %v, %v", own, err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.keys[""] != nil {
			t.Error("a worker of it was started")
		}
	})
}
