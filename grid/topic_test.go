// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/internal/gridwire"
	"github.com/protoloop/protoloop/messages"
	"github.com/protoloop/protoloop/supervisor"
)

var (
	words   = grid.TopicOf[word]("words")
	others  = grid.TopicOf[word]("others.* >")
	numbers = grid.TopicOf[number]("numbers")
)

// ears is what workers have heard, by their names.
type ears struct {
	mu    sync.Mutex
	heard map[string][]string
}

func (e *ears) note(who, what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.heard == nil {
		e.heard = map[string][]string{}
	}
	e.heard[who] = append(e.heard[who], what)
}

// of is what a worker has heard since the last time.
func (e *ears) of(who string) string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.heard[who]
	delete(e.heard, who)
	return strings.Join(all, ", ")
}

func (e *ears) count(who string) int {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.heard[who])
}

// spawn starts a worker that hears words, and if it is told to panic it does.
func (e *ears) spawn(t *testing.T, sys *actor.ActorSystem, name string, o actors.Options) *actor.PID {
	t.Helper()
	pid, err := actors.Spawn(t.Context(), sys.Root, name, e.setup(name), o)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (e *ears) setup(name string) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		n := 0 // of this incarnation
		words.On(w, func(t *actors.Task, m word) error {
			if m.Value == "panic" {
				panic("as it was told")
			}
			n++
			e.note(name, fmt.Sprint(m.Value, " ", n))
			if d, err := time.ParseDuration(m.Value); err == nil {
				return t.Sleep(d)
			}
			m.Value = "changed"
			return nil
		})
		return nil
	}
}

// TestPublishInOneProcess: without a Net each worker that has subscribed hears its own copy, in order.
func TestPublishInOneProcess(t *testing.T) {
	run(t, nil, func(w *world) {
		e := &ears{}
		a := e.spawn(w.T, w.sys, "a", actors.Options{})
		e.spawn(w.T, w.sys, "b", actors.Options{})
		m := say("hello")
		for range 3 {
			if err := words.Publish(w.root, m); err != nil {
				t.Error(err)
			}
		}
		for _, who := range []string{"a", "b"} {
			if got := e.of(who); got != "hello 1, hello 2, hello 3" {
				t.Errorf("%s has heard %s", who, got)
			}
		}
		if m.Value != "hello" {
			t.Errorf("a worker had what was published itself, and not a copy: %q", m.Value)
		}
		if _, err := actors.Stop(w.Context(), w.root, a, actors.Forever); err != nil {
			t.Error(err)
		}
		_ = words.Publish(w.root, say("one"))
		if got := e.of("a") + "/" + e.of("b"); got != "/one 4" {
			t.Errorf("after the stop of a: %s", got)
		}
	})
}

// TestPublishToOtherNodes: a worker on another node hears it, once, and so does each worker of the own.
func TestPublishToOtherNodes(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		e := &ears{}
		for _, m := range w.all {
			for i := range 3 {
				e.spawn(t, m.sys, fmt.Sprint(m.Name(), "/", i), actors.Options{})
			}
		}
		time.Sleep(10 * time.Millisecond)
		for i := range 5 {
			if err := words.Publish(w.all[0].sys.Root, say(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(10 * time.Millisecond)
		for _, m := range w.all {
			for i := range 3 {
				if got := e.of(fmt.Sprint(m.Name(), "/", i)); got != "0 1, 1 2, 2 3, 3 4, 4 5" {
					t.Errorf("%s/%d has heard %s", m.Name(), i, got)
				}
			}
		}
	})
}

// countingNet counts the subscriptions of the lines of a Net; without topics its lines have none.
type countingNet struct {
	grid.Net
	begun, open atomic.Int64
	withoutAny  bool
}

func (n *countingNet) Open(ctx context.Context, self grid.Peer, to grid.Receiver) (grid.Line, error) {
	l, err := n.Net.Open(ctx, self, to)
	if err != nil || n.withoutAny {
		return struct{ grid.Line }{l}, err
	}
	return countingLine{l.(grid.TopicLine), n}, nil
}

type countingLine struct {
	grid.TopicLine
	n *countingNet
}

func (l countingLine) Subscribe(topic string, to grid.TopicReceiver) (func(), error) {
	end, err := l.TopicLine.Subscribe(topic, to)
	l.n.begun.Add(1)
	l.n.open.Add(1)
	return func() {
		end()
		l.n.open.Add(-1)
	}, err
}

// counted starts a node with a countingNet.
func (w *machines) counted(withoutAny bool) (*machine, *countingNet) {
	w.Helper()
	n := &countingNet{withoutAny: withoutAny}
	w.change = func(o *grid.Options) {
		n.Net = o.Net
		o.Net = n
	}
	defer func() { w.change = nil }()
	return w.start(), n
}

// TestOneSubscriptionOfTheWire: many workers of a node are one subscription of the network, which ends with the last.
func TestOneSubscriptionOfTheWire(t *testing.T) {
	onNetwork(t, 1, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		m, n := w.counted(false)
		time.Sleep(5 * time.Second)
		e := &ears{}
		var all []*actor.PID
		for i := range 100 {
			all = append(all, e.spawn(t, m.sys, fmt.Sprint("worker-", i), actors.Options{}))
		}
		info := m.g.Topics()
		if n.begun.Load() != 1 || len(info) != 1 || info[0].Name != "words" || info[0].Workers != 100 {
			t.Errorf("%d subscriptions for 100 workers, %v", n.begun.Load(), info)
		}
		_ = words.Publish(w.all[0].sys.Root, say("hello"))
		time.Sleep(10 * time.Millisecond)
		if r := m.g.Report(); r.Topics != (grid.TopicCounts{Received: 1, Delivered: 100}) {
			t.Errorf("counted: %+v", r.Topics)
		}
		for i, pid := range all {
			if open := n.open.Load(); open != 1 {
				t.Errorf("%d subscriptions when %d of 100 workers have ended", open, i)
			}
			if _, err := actors.Stop(t.Context(), m.sys.Root, pid, actors.NoGrace); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if open, info := n.open.Load(), m.g.Topics(); open != 0 || len(info) != 0 {
			t.Errorf("%d subscriptions when all workers have ended, %v", open, info)
		}
		e.spawn(t, m.sys, "again", actors.Options{})
		time.Sleep(10 * time.Millisecond)
		_ = words.Publish(w.all[0].sys.Root, say("hello"))
		time.Sleep(10 * time.Millisecond)
		if got := e.of("again"); got != "hello 1" || n.begun.Load() != 2 || n.open.Load() != 1 {
			t.Errorf("a later worker has heard %q; subscriptions: %d, of %d", got, n.open.Load(), n.begun.Load())
		}
	})
}

// TestNetWithoutTopics: with a Net that has none, who publishes is told that only this process has heard it.
func TestNetWithoutTopics(t *testing.T) {
	onNetwork(t, 1, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		m, _ := w.counted(true)
		e := &ears{}
		e.spawn(t, m.sys, "here", actors.Options{})
		if err := words.Publish(m.sys.Root, say("hello")); !errors.Is(err, grid.ErrHereOnly) || actors.RetrySafe(err) {
			t.Error(err)
		}
		if got := e.of("here"); got != "hello 1" {
			t.Errorf("heard %q", got)
		}
	})
}

// TestPublishWithoutGrid: workers may subscribe before the grid is started, and hear what is published in the process.
func TestPublishWithoutGrid(t *testing.T) {
	onNetwork(t, 1, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		node := w.store.Node("late")
		m := &machine{Node: node, sys: actortest.NewSystem(t)}
		e := &ears{}
		e.spawn(t, m.sys, "early", actors.Options{})
		if err := words.Publish(m.sys.Root, say("none")); !errors.Is(err, grid.ErrHereOnly) {
			t.Error(err)
		}
		g, err := grid.Start(w.Context(), m.sys, w.options(m))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		if err := words.Publish(w.all[0].sys.Root, say("afar")); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Millisecond)
		if got := e.of("early"); got != "none 1, afar 2" {
			t.Errorf("heard %q", got)
		}
		if _, err := g.Drain(w.Context()); err != nil {
			t.Error(err)
		}
		if err := words.Publish(m.sys.Root, say("drained")); !errors.Is(err, grid.ErrHereOnly) || e.of("early") != "drained 3" {
			t.Errorf("published when the grid was drained: %v", err)
		}
		// The next grid of the process has what the workers have subscribed to.
		m.Node = w.store.Node("later")
		if g, err = grid.Start(w.Context(), m.sys, w.options(m)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		_ = words.Publish(w.all[0].sys.Root, say("again"))
		time.Sleep(10 * time.Millisecond)
		if got := e.of("early"); got != "again 4" {
			t.Errorf("after another start: heard %q", got)
		}
		if _, err := g.Drain(w.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestSubscriptionIsTheIncarnations: a restart subscribes anew, what is published meanwhile is lost, and what was queued is not. One
// that subscribes to something else, or whose setup fails, hears nothing more.
func TestSubscriptionIsTheIncarnations(t *testing.T) {
	run(t, nil, func(w *world) {
		e := &ears{}
		var lives atomic.Int32
		sup, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: "app", MaxRestarts: 10, Within: time.Minute, Children: []supervisor.Child{{
			Name: "w", Backoff: actors.Backoff{Initial: 100 * time.Millisecond}, Props: actors.Props(func(wk *actors.Worker) error {
				switch lives.Add(1) {
				case 1, 2:
					return e.setup("w")(wk)
				case 3:
					_ = e.setup("w")(wk)
					return errRefused
				case 4:
					others.On(wk, func(_ *actors.Task, m word) error {
						if m.Value == "panic" {
							panic("as it was told")
						}
						e.note("others", m.Value)
						return nil
					})
				}
				return nil
			})}}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := sup.Stop(w.Context()); err != nil {
				t.Error(err)
			}
		}()
		publish := func(text string) { _ = words.Publish(w.root, say(text)) }
		publish("one")
		publish("panic")
		publish("queued")
		if got := e.of("w"); got != "one 1" || lives.Load() != 1 {
			t.Errorf("before the restart: %q, %d lives", got, lives.Load())
		}
		publish("meanwhile")
		time.Sleep(time.Second)
		publish("two")
		if got := e.of("w"); got != "queued 1, two 2" || lives.Load() != 2 {
			t.Errorf("after a restart: %q, %d lives", got, lives.Load())
		}
		publish("panic")
		time.Sleep(3 * time.Second) // the next setup fails, and another follows
		publish("three")
		_ = others.Publish(w.root, say("hello"))
		if got, other := e.of("w"), e.of("others"); got != "" || other != "hello" || lives.Load() != 4 {
			t.Errorf("after a setup that has subscribed to another topic: %q, %q, %d lives", got, other, lives.Load())
		}
		_ = others.Publish(w.root, say("panic"))
		time.Sleep(3 * time.Second)
		_ = others.Publish(w.root, say("again"))
		if got := e.of("others"); got != "" || lives.Load() != 5 || len(w.g.Topics()) != 0 {
			t.Errorf("after a setup that has subscribed to nothing: %q, %d lives, %v", got, lives.Load(), w.g.Topics())
		}
	})
}

// TestSubscriptionOfAFailedSetup ends with the worker, and so does that of a worker that is stopped at once. A setup that was abandoned
// subscribes to nothing.
func TestSubscriptionOfAFailedSetup(t *testing.T) {
	run(t, nil, func(w *world) {
		e := &ears{}
		_, err := actors.Spawn(w.Context(), w.root, "fails", func(wk *actors.Worker) error {
			_ = e.setup("fails")(wk)
			return errRefused
		}, actors.Options{})
		synctest.Wait()
		if !errors.Is(err, errRefused) || len(w.g.Topics()) != 0 {
			t.Errorf("after a setup that has failed, with %v: %v", err, w.g.Topics())
		}
		pid := e.spawn(w.T, w.sys, "busy", actors.Options{})
		_ = words.Publish(w.root, say("1h"))
		synctest.Wait()
		if _, err := actors.Stop(w.Context(), w.root, pid, actors.NoGrace); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if left := w.g.Topics(); len(left) != 0 {
			t.Errorf("after a forced stop: %v", left)
		}
		goOn, ended := make(chan struct{}), make(chan struct{})
		go func() {
			_, _ = actors.Spawn(w.Context(), w.root, "stuck", func(wk *actors.Worker) error {
				defer close(ended)
				<-goOn
				return e.setup("stuck")(wk)
			}, actors.Options{})
		}()
		synctest.Wait()
		w.root.Stop(w.sys.NewLocalPID("stuck"))
		time.Sleep(time.Hour)
		close(goOn)
		<-ended
		_ = words.Publish(w.root, say("hello"))
		if got, left := e.of("stuck"), w.g.Topics(); got != "" || len(left) != 0 {
			t.Errorf("after a setup that was abandoned: %q, %v", got, left)
		}
		for _, id := range w.sys.ProcessRegistry.LocalPIDs.LocalPIDs {
			for name := range id.Items() {
				if strings.HasPrefix(name, "grid-topics") {
					t.Errorf("a process is left: %s", name)
				}
			}
		}
	})
}

// TestWorkersOfKeysSubscribe, as others do, until they end because they are idle. Nothing that is published starts them.
func TestWorkersOfKeysSubscribe(t *testing.T) {
	e := &ears{}
	run(t, func(k *grid.Kind) {
		k.Idle = time.Minute
		k.Setup = func(wk *actors.Worker, id string) error {
			numbers.On(wk, func(_ *actors.Task, n number) error {
				e.note(id, fmt.Sprint(n.Value))
				return nil
			})
			actors.On(wk, func(*actors.Task, word) error { return nil })
			return nil
		}
	}, func(w *world) {
		for _, id := range []string{"a", "b"} {
			w.root.Send(w.pid(id), say("be there"))
		}
		synctest.Wait()
		_ = numbers.Publish(w.root, count(1))
		if got := e.of("a") + e.of("b"); got != "11" {
			t.Errorf("heard %s", got)
		}
		time.Sleep(30 * time.Second)
		_ = numbers.Publish(w.root, count(2)) // which is something to do
		if got := e.of("a") + e.of("b"); got != "22" {
			t.Errorf("heard %s", got)
		}
		time.Sleep(59 * time.Second)
		if n := w.g.Topics()[0].Workers; n != 2 {
			t.Errorf("%d workers have subscribed before they were idle", n)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		_ = numbers.Publish(w.root, count(3))
		if got, left := e.of("a")+e.of("b"), w.g.Topics(); got != "" || len(left) != 0 || w.info().Active != 0 {
			t.Errorf("after an idle end: %q, %v, %v", got, left, w.info())
		}
		w.root.Send(w.pid("a"), say("be there again"))
		synctest.Wait()
		_ = numbers.Publish(w.root, count(4))
		if got := e.of("a") + e.of("b"); got != "4" {
			t.Errorf("the next worker of a key has heard %q", got)
		}
	})
}

// TestSubscriberIsFull: what finds no room in a mailbox is counted, by the worker, too, and told by an event at once, and then
// once a second. Others hear all of it.
func TestSubscriberIsFull(t *testing.T) {
	heard := &events{}
	onNetwork(t, 1, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		w.change = func(o *grid.Options) { o.OnEvent = heard.note }
		m := w.start()
		time.Sleep(5 * time.Second)
		e := &ears{}
		slow := e.spawn(t, m.sys, "slow", actors.Options{MailboxSize: 2, MaxInFlight: 1})
		e.spawn(t, m.sys, "well", actors.Options{})
		time.Sleep(10 * time.Millisecond)
		heard.take()
		from := w.all[0].sys.Root
		for _, text := range []string{"10s", "a", "b", "c", "d", "e"} {
			if err := words.Publish(from, say(text)); err != nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := missedBy(heard); len(got) != 1 || got[0].Worker == nil || !got[0].Worker.Equal(slow) || got[0].Count != 1 || got[0].Topic != "words" {
			t.Errorf("told of the first: %v", got)
		}
		time.Sleep(time.Second)
		if got := missedBy(heard); len(got) != 1 || got[0].Count != 2 {
			t.Errorf("told of the others: %v", got)
		}
		time.Sleep(10 * time.Second)
		if got := missedBy(heard); len(got) != 0 {
			t.Errorf("told again: %v", got)
		}
		if got, well := e.of("slow"), e.count("well"); got != "10s 1, a 2, b 3" || well != 6 {
			t.Errorf("it has heard %s; the other %d", got, well)
		}
		want := grid.TopicCounts{Received: 6, Delivered: 9, Full: 3}
		if r := m.g.Report(); r.Topics != want {
			t.Errorf("counted: %+v", r.Topics)
		}
		if info := m.g.Topics(); info[0].Counts.Full != 3 || info[0].Counts.Delivered != 9 {
			t.Errorf("by topic: %+v", info)
		}
		c, err := actors.Stop(t.Context(), m.sys.Root, slow, actors.Forever)
		if err != nil || c.Offered != 6 || c.Refused != 3 || !c.Agree() {
			t.Errorf("the account of the worker: %v, %v", c, err)
		}
	})
}

// missedBy is the events of that kind.
func missedBy(e *events) (all []grid.Event) {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if ev.Kind == grid.Missed {
			all = append(all, ev)
		}
	}
	e.all = nil
	return all
}

// TestCutOffFromTopics: a node that is cut off for less than its lease, or held, or that loses it, is told that its workers have missed
// something, and hears what is published afterwards, once. It cannot publish to others meanwhile, and the workers of its own hear that.
func TestCutOffFromTopics(t *testing.T) {
	for name, fault := range map[string]func(m *machine){
		"reconnect": func(m *machine) {
			m.Reconnect(500 * time.Millisecond)
			time.Sleep(100 * time.Millisecond)
		},
		"lease": func(m *machine) {
			m.Cut(gridtest.All)
			time.Sleep(10 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			heard := &events{}
			onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
				w.change = func(o *grid.Options) { o.OnEvent = heard.note }
				m := w.start()
				time.Sleep(5 * time.Second)
				e := &ears{}
				e.spawn(t, m.sys, "w", actors.Options{})
				e.spawn(t, w.all[0].sys, "other", actors.Options{})
				time.Sleep(10 * time.Millisecond)
				if got := missedBy(heard); len(got) != 0 {
					t.Errorf("told when it has joined: %v", got)
				}
				from := w.all[1].sys.Root
				_ = words.Publish(from, say("before"))
				time.Sleep(10 * time.Millisecond)
				fault(m)
				if err := words.Publish(from, say("lost")); err != nil {
					t.Error(err)
				}
				if err := words.Publish(m.sys.Root, say("here")); !errors.Is(err, grid.ErrHereOnly) {
					t.Errorf("published without a connection: %v", err)
				}
				if got := e.of("w"); got != "before 1, here 2" {
					t.Errorf("cut off it has heard %s", got)
				}
				m.Heal()
				time.Sleep(10 * time.Second)
				if got := missedBy(heard); len(got) == 0 || got[0].Topic != "words" || got[0].Worker != nil || got[0].Count != 0 {
					t.Errorf("told when it is there again: %v", got)
				}
				for _, by := range []*machine{w.all[1], m} {
					if err := words.Publish(by.sys.Root, say("after")); err != nil {
						t.Error(err)
					}
					time.Sleep(10 * time.Millisecond)
				}
				if got := e.of("w"); got != "after 3, after 4" {
					t.Errorf("then it has heard %s", got)
				}
				if got := e.of("other"); got != "before 1, lost 2, after 3, after 4" {
					t.Errorf("the other has heard %s", got)
				}
			})
		})
	}
}

// TestNodeIsHeldAndPublishes: what it was about to publish comes when it goes on, in order, and what was published meanwhile comes
// to it, or it is told.
func TestNodeIsHeldAndPublishes(t *testing.T) {
	heard := &events{}
	onNetwork(t, 1, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		w.change = func(o *grid.Options) { o.OnEvent = heard.note }
		m := w.start()
		time.Sleep(5 * time.Second)
		e := &ears{}
		e.spawn(t, m.sys, "held", actors.Options{})
		e.spawn(t, w.all[0].sys, "other", actors.Options{})
		time.Sleep(10 * time.Millisecond)
		w.pause(m)
		var want []string
		for i := range 20 {
			_ = words.Publish(m.sys.Root, say(fmt.Sprint("m", i)))
			_ = words.Publish(w.all[0].sys.Root, say(fmt.Sprint("o", i)))
			want = append(want, fmt.Sprintf("m%d", i))
		}
		time.Sleep(300 * time.Millisecond)
		m.Resume()
		time.Sleep(100 * time.Millisecond)
		var got []string
		for one := range strings.SplitSeq(e.of("other"), ", ") {
			if strings.HasPrefix(one, "m") {
				got = append(got, strings.Fields(one)[0])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the other has heard %v", got)
		}
		if n := e.count("held"); n != 40 {
			t.Errorf("it has heard %d of 40, and was held for less than the network notices", n)
		}
	})
}

// TestTopicsOfOneType: a worker has several of the same type, each with its own handler, and to each comes only its own.
func TestTopicsOfOneType(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		e := &ears{}
		pid, err := actors.Spawn(t.Context(), w.all[0].sys.Root, "w", func(wk *actors.Worker) error {
			for _, p := range []grid.Topic[word]{words, others, grid.TopicOf[word]("*")} {
				p.On(wk, func(_ *actors.Task, m word) error {
					e.note(p.Name(), m.Value)
					return nil
				}, actors.Exclusive())
			}
			numbers.On(wk, func(_ *actors.Task, n number) error {
				e.note("numbers", fmt.Sprint(n.Value))
				return nil
			})
			return nil
		}, actors.Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		for _, m := range w.all {
			_ = words.Publish(m.sys.Root, say("a"))
			_ = others.Publish(m.sys.Root, say("b"))
			_ = numbers.Publish(m.sys.Root, count(7))
			time.Sleep(10 * time.Millisecond)
		}
		if got := fmt.Sprint(e.of("words"), " ", e.of("others.* >"), " ", e.of("*"), " ", e.of("numbers")); got != "a, a b, b  7, 7" {
			t.Errorf("heard %s", got)
		}
		_, err = actors.Call[actors.None](t.Context(), w.all[0].sys.Root, pid, say("not published"))
		if !errors.Is(err, actors.ErrUnhandled) {
			t.Errorf("a message that was sent, and not published: %v", err)
		}
	})
}

// TestOtherTypes: who has subscribed to a topic with another type is not told what it is not of, and that is counted.
func TestOtherTypes(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		e := &ears{}
		e.spawn(t, w.all[0].sys, "w", actors.Options{})
		time.Sleep(10 * time.Millisecond)
		wrong := grid.TopicOf[number]("words")
		for _, m := range w.all {
			if err := wrong.Publish(m.sys.Root, count(1)); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(10 * time.Millisecond)
		if r := w.all[0].g.Report(); r.Topics != (grid.TopicCounts{Published: 1, Received: 1, Refused: 2}) || e.of("w") != "" {
			t.Errorf("counted: %+v", r.Topics)
		}
	})
}

// TestForgedPublications: what no node publishes is refused and counted, and the worker lives.
func TestForgedPublications(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		m := w.all[0]
		e := &ears{}
		e.spawn(t, m.sys, "w", actors.Options{})
		f := w.forger(w.all[1])
		time.Sleep(10 * time.Millisecond)
		publish := func(frame []byte) {
			t.Helper()
			if err := f.line.(grid.TopicLine).Publish("words", frame); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		of := func(origin uint64, p proto.Message) []byte {
			b, err := proto.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			return gridwire.AppendPublication(nil, &gridwire.Publication{Origin: origin, Type: []byte(p.ProtoReflect().Descriptor().FullName()), Payload: b,
				Header: map[string]string{"protoloop-topic": "numbers", "protoloop-budget": "x"}})
		}
		good := of(77, say("good"))
		later := of(77, say("later"))
		later[1] = gridwire.Version + 1
		bad := [][]byte{
			nil, []byte("GET / HTTP/1.1"), good[:len(good)-1], of(0, say("of nobody")), later,
			f.ask(f.frame(), 1, "account/k", say("an ask")), append(slices.Clone(good), gridwire.AppendCancel(nil, 1)...),
			gridwire.AppendPublication(nil, &gridwire.Publication{Origin: 77}),
		}
		for i, frame := range bad {
			publish(frame)
			if r := m.g.Report(); r.Frames != int64(i+1) {
				t.Errorf("%d frames were refused when %d have come", r.Frames, i+1)
			}
		}
		all := protoMessages()
		for _, p := range all {
			publish(of(77, p))
		}
		broken := gridwire.AppendPublication(nil, &gridwire.Publication{Origin: 77, Type: []byte("google.protobuf.StringValue"), Payload: []byte("\xff")})
		publish(broken)
		if r := m.g.Report(); r.Topics.Refused != int64(len(all)+1) || r.Topics.Delivered != 0 || r.Frames != int64(len(bad)) {
			t.Errorf("counted: %+v, %d frames", r.Topics, r.Frames)
		}
		publish(good)
		if got := e.of("w"); got != "good 1" {
			t.Errorf("the worker has heard %q", got)
		}
		// What is published does not come by the way of asks, either.
		f.send(w.peerOf(m), good)
		time.Sleep(10 * time.Millisecond)
		if text := m.g.Report().String(); !strings.Contains(text, "\n9 frames were refused") || !strings.Contains(text, "\ntopics: 0 published, ") {
			t.Errorf("the report is %s", text)
		}
		if got, r := e.of("w"), m.g.Report(); got != "" || r.Frames != int64(len(bad)+1) {
			t.Errorf("by the way of asks: %q, %d frames", got, r.Frames)
		}
	})
}

// TestUnsendablePublications reach nobody, on this node either.
func TestUnsendablePublications(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{MaxFrame: 4096}, nil, func(t *testing.T, w *machines, _ *runLog) {
		e := &ears{}
		root := w.all[0].sys.Root
		e.spawn(t, w.all[0].sys, "w", actors.Options{})
		for name, m := range map[string]word{"nil": nil, "too long": say(strings.Repeat("x", 5000)), "no UTF-8": say("\xff")} {
			if err := words.Publish(root, m); !errors.Is(err, actors.ErrUnsendable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := e.of("w"); got != "" {
			t.Errorf("heard %q", got)
		}
		if err := words.Publish(root, say(strings.Repeat("x", 3900))); err != nil {
			t.Error(err)
		}
		if n := e.count("w"); n != 1 {
			t.Errorf("heard %d", n)
		}
	})
}

// TestTopicMisuse panics with what is wrong.
func TestTopicMisuse(t *testing.T) {
	handle := func(*actors.Task, word) error { return nil }
	panics := func(want string, f func()) {
		t.Helper()
		defer func() {
			t.Helper()
			if p := recover(); !strings.Contains(fmt.Sprint(p), want) {
				t.Errorf("panics with %v, and not that %s", p, want)
			}
		}()
		f()
	}
	panics("1 to 85 bytes", func() { grid.TopicOf[word]("") })
	panics("1 to 85 bytes", func() { grid.TopicOf[word](strings.Repeat("x", 86)) })
	panics("is an interface", func() { grid.TopicOf[proto.Message]("x") })
	panics("controls actors", func() { grid.TopicOf[*actor.PoisonPill]("x") })
	panics("controls actors", func() { grid.TopicOf[*messages.Stop]("x") })
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		panics("zero Topic", func() { _ = grid.Topic[word]{}.Publish(sys.Root, say("x")) })
		panics("nil sender", func() { _ = words.Publish(nil, say("x")) })
		var kept *actors.Worker
		pid, err := actors.Spawn(t.Context(), sys.Root, "w", func(wk *actors.Worker) error {
			kept = wk
			panics("nil function", func() { words.On(wk, nil) })
			panics("zero Topic", func() { grid.Topic[word]{}.On(wk, handle) })
			words.On(wk, handle)
			panics("a second handler for the topic", func() { words.On(wk, handle) })
			panics("other options", func() { others.On(wk, handle, actors.Exclusive()) })
			panics("a second handler", func() { actors.On(wk, handle) })
			actors.On(wk, func(*actors.Task, number) error { return nil })
			panics("a second handler", func() { numbers.On(wk, func(*actors.Task, number) error { return nil }) })
			return nil
		}, actors.Options{})
		if err != nil {
			t.Fatal(err)
		}
		panics("after setup has returned", func() { others.On(kept, handle) })
		panics("after setup has returned", func() { words.On(kept, handle) })
		_, _ = actors.Stop(t.Context(), sys.Root, pid, actors.NoGrace)
	})
}

type tenantKey struct{}

var _ = func() bool {
	actors.RegisterContextValue("topic-tenant", tenantKey{}, func(s string) string { return s }, func(s string) (string, error) { return s, nil })
	return true
}()

// TestPublishCarriesContextValues, in one process and between two.
func TestPublishCarriesContextValues(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		e := &ears{}
		for _, m := range w.all {
			_, err := actors.Spawn(t.Context(), m.sys.Root, m.Name(), func(wk *actors.Worker) error {
				words.On(wk, func(t *actors.Task, m word) error {
					tenant, _ := t.Context().Value(tenantKey{}).(string)
					e.note(wk.Self().Id, m.Value+" "+tenant)
					return nil
				})
				return nil
			}, actors.Options{})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Millisecond)
		ctx := context.WithValue(t.Context(), tenantKey{}, "ada")
		_, err := actors.Submit(w.all[0].sys.Root, actor.NewPID("nonhost", w.all[0].Name()), func(t *actors.Task) (int, error) {
			return 0, words.Publish(t, say("for"))
		}, actors.WithContext(ctx)).Wait(t.Context())
		if err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Millisecond)
		for _, m := range w.all {
			if got := e.of(m.Name()); got != "for ada" {
				t.Errorf("%s has heard %q", m.Name(), got)
			}
		}
	})
}

// TestAbandonedTaskDoesNotPublish: it is to have no effect any more.
func TestAbandonedTaskDoesNotPublish(t *testing.T) {
	run(t, nil, func(w *world) {
		e := &ears{}
		e.spawn(w.T, w.sys, "ear", actors.Options{})
		pid, err := actors.Spawn(w.Context(), w.root, "stuck", func(*actors.Worker) error { return nil }, actors.Options{})
		if err != nil {
			t.Fatal(err)
		}
		goOn, ended := make(chan struct{}), make(chan error, 1)
		actors.Submit(w.root, pid, func(t *actors.Task) (int, error) {
			<-goOn
			ended <- words.Publish(t, say("late"))
			return 0, nil
		})
		synctest.Wait()
		if _, err := actors.Stop(w.Context(), w.root, pid, actors.NoGrace); err != nil {
			t.Log(err)
		}
		time.Sleep(time.Minute)
		close(goOn)
		if err := <-ended; !errors.Is(err, actors.ErrStopped) {
			t.Errorf("published: %v", err)
		}
		if got := e.of("ear"); got != "" {
			t.Errorf("heard %q", got)
		}
	})
}

// TestTopicsUnderFaults: with nodes that lose their connections, are held and lose their leases, a worker that was there all the
// time hears each message at most once, those of one publisher in its order, and all of its own node.
func TestTopicsUnderFaults(t *testing.T) {
	const nodes, rounds = 5, 400
	onNetwork(t, nodes, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		e := &ears{}
		dice := rand.New(rand.NewPCG(simulationSeed(t), 7))
		for _, m := range w.all {
			for i := range 2 {
				e.spawn(t, m.sys, fmt.Sprint(m.Name(), "/", i), actors.Options{})
			}
		}
		time.Sleep(10 * time.Millisecond)
		var wg sync.WaitGroup
		published, here := make([]int, nodes), make([]int, nodes)
		for at, m := range w.all {
			wg.Go(func() {
				for i := range rounds {
					err := words.Publish(m.sys.Root, say(fmt.Sprint(at, ".", i)))
					switch {
					case err == nil:
						published[at]++
					case errors.Is(err, grid.ErrHereOnly):
						here[at]++
					default:
						t.Error(err)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		for range 30 {
			m := w.all[dice.IntN(nodes)]
			long := time.Duration(dice.IntN(3000)) * time.Millisecond
			switch dice.IntN(4) {
			case 0:
				m.Reconnect(long)
			case 1:
				m.Cut(gridtest.Frames)
			case 2:
				m.Cut(gridtest.All)
			case 3:
				w.pause(m)
			}
			time.Sleep(long)
			m.Heal()
			m.Resume()
			time.Sleep(time.Second)
		}
		wg.Wait()
		time.Sleep(time.Minute)
		sum := 0
		for at, m := range w.all {
			for i := range 2 {
				last, own := map[string]int{}, 0
				for one := range strings.SplitSeq(e.of(fmt.Sprint(m.Name(), "/", i)), ", ") {
					text, _, _ := strings.Cut(one, " ")
					by, number, _ := strings.Cut(text, ".")
					n, err := strconv.Atoi(number)
					if before, is := last[by]; err != nil || is && n <= before {
						t.Errorf("%s/%d has heard %s behind %d", m.Name(), i, text, before)
					}
					last[by] = n
					sum++
					if by == fmt.Sprint(at) {
						own++
					}
				}
				if own != rounds {
					t.Errorf("%s/%d has heard %d of the %d of its own node", m.Name(), i, own, rounds)
				}
			}
		}
		all := 2 * nodes * nodes * rounds
		t.Logf("%d of %d were heard; published everywhere %v, here only %v", sum, all, published, here)
		if sum < all/2 || sum == all {
			t.Errorf("%d of %d were heard: the faults are not what they should be", sum, all)
		}
		// At the end all is well.
		_ = words.Publish(w.all[0].sys.Root, say("last"))
		time.Sleep(100 * time.Millisecond)
		for _, m := range w.all {
			if n := e.count(m.Name() + "/0"); n != 1 {
				t.Errorf("%s has heard %d at the end", m.Name(), n)
			}
		}
	})
}

// TestTopicsAtAnyTime: workers come and go while others publish. Those that stay hear all.
func TestTopicsAtAnyTime(t *testing.T) {
	const publishers, each, comers = 4, 200, 50
	run(t, nil, func(w *world) {
		e := &ears{}
		e.spawn(w.T, w.sys, "stays", actors.Options{})
		var wg sync.WaitGroup
		for p := range publishers {
			wg.Go(func() {
				for i := range each {
					if err := words.Publish(w.root, say(fmt.Sprint(p, ".", i))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range comers {
			wg.Go(func() {
				pid := e.spawn(w.T, w.sys, fmt.Sprint("comes-", i), actors.Options{})
				_ = words.Publish(w.root, say("panic-"))
				if _, err := actors.Stop(w.Context(), w.root, pid, actors.NoGrace); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := e.count("stays"); n != publishers*each+comers {
			t.Errorf("heard %d", n)
		}
		if info := w.g.Topics(); len(info) != 1 || info[0].Workers != 1 {
			t.Errorf("left: %v", info)
		}
	})
}
