// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/messages"
)

// TestNodeThatIsBackIsFound: a node that the network had lost is asked at once when it is there again, also if nobody has asked
// it meanwhile.
func TestNodeThatIsBackIsFound(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		w.warm(asker, "k")
		owner.Cut(gridtest.Frames)
		time.Sleep(1500 * time.Millisecond) // it is gone, and its lease lasts
		owner.Heal()
		time.Sleep(5 * time.Second)
		begun := time.Now()
		if _, err := w.future(asker, "k", "back", actors.Timeout(10*time.Second)).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 50*time.Millisecond {
			t.Errorf("it was answered after %v", took)
		}
	})
}

// TestMissedOverAndOver: each time that something was lost all asks are asked after, but not more often than they can be answered.
func TestMissedOverAndOver(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		for i := range 100 {
			w.future(asker, "k", fmt.Sprint("long-", i, " 1m"))
		}
		time.Sleep(time.Second)
		before := asker.g.LastFrame()
		for range 1000 {
			asker.g.Missed()
		}
		time.Sleep(100 * time.Millisecond)
		if n := asker.g.LastFrame() - before; n < 1 || n > 20 {
			t.Errorf("%d frames and audits for a thousand losses", n)
		}
	})
}

// TestFailureThatIsTooLong is told as one that is shorter.
func TestFailureThatIsTooLong(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
				return nil, &messages.Failure{Code: strings.Repeat("x", 2<<20)}
			})
			return nil
		}
	}, func(t *testing.T, w *machines, _ *runLog) {
		asker := w.other(w.owner("k"))
		_, err := w.future(asker, "k", "asked", actors.Timeout(10*time.Second)).Wait(t.Context())
		if err == nil || errors.Is(err, actors.ErrTimeout) || actors.RetrySafe(err) {
			t.Errorf("it is told %.200v", err)
		}
	})
}

// TestMessageThatIsTooLong cannot be sent the next time either.
func TestMessageThatIsTooLong(t *testing.T) {
	onNetwork(t, 2, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		_, err := w.future(w.other(owner), "k", strings.Repeat("x", 2<<20)).Wait(t.Context())
		f, is := errors.AsType[*messages.Failure](err)
		if !errors.Is(err, actors.ErrUnsendable) || !is || f.Ran || f.MaybeRan || f.RetrySafe || actors.RetrySafe(err) {
			t.Errorf("it is told %.200v", err)
		}
	})
}

// TestLateAnswerToAFormerGrid: the numbers of answers to a grid that was drained are not those of the next one in its process.
func TestLateAnswerToAFormerGrid(t *testing.T) {
	var asked *actor.PID
	onNetwork(t, 2, gridtest.Options{}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
				asked = t.Sender()
				d, _ := time.ParseDuration(m.Value)
				return say("own"), t.Sleep(d)
			})
			return nil
		}
	}, func(t *testing.T, w *machines, _ *runLog) {
		former := w.owner("k")
		asker := w.other(former)
		if _, err := w.future(asker, "k", "").Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		late := asked
		former.dead = true
		w.drain(former)
		next := &machine{Node: w.store.Node(former.Name()), sys: former.sys}
		g, err := grid.Start(t.Context(), next.sys, w.options(next))
		if err != nil {
			t.Fatal(err)
		}
		next.g = g
		w.mu.Lock()
		w.all = append(w.all, next)
		w.mu.Unlock()
		time.Sleep(5 * time.Second)
		if w.owner("k") != next {
			t.Fatal("the key is elsewhere")
		}
		f := w.future(asker, "k", "1s")
		time.Sleep(500 * time.Millisecond)
		next.sys.Root.Send(late, say("late"))
		if got, err := f.Wait(t.Context()); err != nil || got.Value != "own" {
			t.Errorf("answered with %v, %v", got, err)
		}
	})
}

// TestMessageIsLetGo: what was asked does not stay in memory for as long as its answer is kept.
func TestMessageIsLetGo(t *testing.T) {
	var last weak.Pointer[wrapperspb.StringValue]
	onNetwork(t, 2, gridtest.Options{}, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, id string) error {
			actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
				if m.Value == "first" {
					last = weak.Make(m)
				}
				return say("answer"), nil
			})
			return nil
		}
	}, func(t *testing.T, w *machines, _ *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		if _, err := w.ask(asker, "k", say("first")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ask(owner, "k", say("second")); err != nil { // not by way of the network, where it would say that it has the answer
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, answering := owner.g.Tables(); answering == 0 {
			t.Error("the answer is not kept")
		}
		runtime.GC()
		if last.Value() != nil {
			t.Error("the message is kept with its answer")
		}
	})
}

// lateNet opens a line although its context has ended meanwhile.
type lateNet struct {
	grid.Net
	end func()
}

func (n *lateNet) Open(ctx context.Context, self grid.Peer, to grid.Receiver) (grid.Line, error) {
	line, err := n.Net.Open(ctx, self, to)
	if n.end != nil {
		n.end()
	}
	return line, err
}

// TestLineThatIsOpenedTooLate: a line that comes when the node is not to join any more is closed again.
func TestLineThatIsOpenedTooLate(t *testing.T) {
	onNetwork(t, 0, gridtest.Options{}, nil, func(t *testing.T, w *machines, _ *runLog) {
		var net *lateNet
		w.change = func(o *grid.Options) {
			net = &lateNet{Net: o.Net}
			o.Net = net
		}
		m := w.start()
		ctx, cancel := context.WithCancel(t.Context())
		net.end = cancel
		if lines, err := m.g.OpenLine(ctx, grid.Peer{Node: m.Name(), Session: 1 << 40}); !errors.Is(err, context.Canceled) || lines != 1 {
			t.Errorf("it is opened with %v, and there are %d lines", err, lines)
		}
	})
}
