// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func oneTaskAtATime(t *testing.T, sys *actor.ActorSystem) {
	const askers, each = 20, 10
	var steps, running, most int // without a lock: the race detector watches
	step := func() {
		running++
		most = max(most, running)
		runtime.Gosched()
		steps++
		running--
	}
	work := func(t *actors.Task) (none, error) {
		step()
		t.Sleep(time.Duration(steps%3) * time.Millisecond)
		step()
		t.Yield()
		step()
		_, err := actors.Await(t, actors.Offload(t, func(context.Context) (none, error) { return none{}, nil }))
		step()
		return none{}, err
	}
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, _ int) (none, error) { return work(t) })
		w.Background("beside", func(t *actors.Task) error {
			for range each {
				work(t)
			}
			return nil
		})
		return nil
	}, actors.Options{})
	var ops []*actortest.Op[none]
	for i := range askers {
		ops = append(ops, actortest.Go(t, func() (none, error) {
			for range each {
				var f *actors.Future[none]
				if i%2 == 0 {
					f = actors.RequestFuture[none](sys.Root, pid, i)
				} else {
					f = actors.Submit(sys.Root, pid, work)
				}
				if _, err := f.Wait(t.Context()); err != nil {
					return none{}, err
				}
			}
			return none{}, nil
		}))
	}
	time.Sleep(time.Minute)
	for _, op := range ops {
		if _, err := op.Result(); err != nil {
			t.Error(err)
		}
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), finished(askers*each))
	if want := 4 * each * (askers + 1); steps != want || most != 1 {
		t.Errorf("%d steps, at most %d at a time, want %d and 1", steps, most, want)
	}
}

func othersWaitForTheTurn(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.On(w, func(*actors.Task, string) error { tr.Add("message"); return nil })
		return nil
	}, actors.Options{BlockedTurn: -1})
	release := make(chan none)
	do(sys.Root, pid, func(*actors.Task) error {
		tr.Add("begin")
		<-release // no await: the turn lasts
		tr.Add("end")
		return nil
	})
	do(sys.Root, pid, func(*actors.Task) error { tr.Add("submission"); return nil })
	sys.Root.Send(pid, "message")
	time.Sleep(time.Hour)
	tr.Want(t, "begin")
	close(release)
	synctest.Wait()
	tr.Want(t, "end", "submission", "message")
}

func othersRunWhileItAwaits(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	other := actortest.Spawn(t, sys.Root, "other", bare, actors.Options{})
	promise, ch, out := new(actors.Promise[int]), make(chan int), make(chan int)
	ways := map[string]func(t *actors.Task) error{
		"Sleep":       func(t *actors.Task) error { return t.Sleep(time.Second) },
		"SleepOrStop": func(t *actors.Task) error { _, err := t.SleepOrStop(time.Second); return err },
		"Yield":       func(t *actors.Task) error { return t.Yield() },
		"Await":       func(t *actors.Task) error { _, err := actors.Await(t, promise.Future()); return err },
		"Receive":     func(t *actors.Task) error { _, _, err := loopsync.Receive(t, ch); return err },
		"Send":        func(t *actors.Task) error { return loopsync.Send(t, out, 1) },
		"Select": func(t *actors.Task) error {
			_, err := loopsync.Select(t, loopsync.OnReceive(ch, nil, nil), loopsync.OnFuture(new(actors.Promise[int]).Future()))
			return err
		},
		"another worker": func(t *actors.Task) error {
			_, err := actors.Await(t, do(t, other, func(t *actors.Task) error { return t.Sleep(time.Second) }))
			return err
		},
		"Offload": func(t *actors.Task) error {
			_, err := actors.Await(t, actors.Offload(t, func(context.Context) (int, error) { return <-ch, nil }))
			return err
		},
	}
	for name, await := range ways {
		var tr testtools.Trace
		tr.Add("%s:", name)
		hold := make(chan none)
		do(sys.Root, pid, func(*actors.Task) error { <-hold; return nil }) // so that both are queued
		f := do(sys.Root, pid, func(t *actors.Task) error {
			tr.Add("await")
			defer tr.Add("goes on")
			return await(t)
		})
		do(sys.Root, pid, func(*actors.Task) error { tr.Add("other"); return nil })
		close(hold)
		synctest.Wait()
		switch name {
		case "Await":
			promise.Resolve(1)
		case "Receive", "Select", "Offload":
			ch <- 1
		case "Send":
			<-out
		}
		if _, err := f.Wait(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		synctest.Wait()
		tr.Want(t, name+":", "await", "other", "goes on")
	}
}

func startsUnawaited(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, n int) (int, error) { tr.Add("request %d", n); return n, nil })
		return nil
	}, actors.Options{})
	do(sys.Root, pid, func(t *actors.Task) error {
		tr.Add("submission")
		actors.Start(t, func(t *actors.Task) (none, error) {
			t.Sleep(2 * time.Second)
			tr.Add("child's end")
			return none{}, nil
		})
		t.Sleep(time.Second)
		tr.Add("end")
		return nil
	})
	actors.RequestFuture[int](sys.Root, pid, 1)
	synctest.Wait()
	tr.Want(t, "submission", "request 1")
	time.Sleep(2 * time.Second)
	synctest.Wait()
	tr.Want(t, "end", "child's end")
}

// sendAll sends in every way there is, and returns the order.
func sendAll(s actor.SenderContext, pid *actor.PID, tr *testtools.Trace) (want []string) {
	for i := 0; i < 60; i++ {
		name := fmt.Sprint(i)
		want = append(want, name)
		switch i % 5 {
		case 0:
			s.Send(pid, name)
		case 1:
			s.Request(pid, name)
		case 2:
			s.RequestFuture(pid, name, time.Second)
		case 3:
			actors.RequestFuture[string](s, pid, name)
		case 4:
			actors.Submit(s, pid, func(*actors.Task) (none, error) { tr.Add("%s", name); return none{}, nil })
		}
	}
	return want
}

func echo(tr *testtools.Trace) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(_ *actors.Task, s string) (string, error) { tr.Add("%s", s); return s, nil })
		return nil
	}
}

func fifoOfRoot(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", echo(&tr), actors.Options{})
	want := sendAll(sys.Root, pid, &tr)
	synctest.Wait()
	tr.Want(t, want...)
}

func fifoOfActor(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	var want []string
	pid := actortest.Spawn(t, sys.Root, "w", echo(&tr), actors.Options{})
	sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			want = sendAll(c, pid, &tr)
		}
	}))
	synctest.Wait()
	tr.Want(t, want...)
}

func fifoOfTask(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	var want []string
	pid := actortest.Spawn(t, sys.Root, "w", echo(&tr), actors.Options{})
	sender := actortest.Spawn(t, sys.Root, "sender", bare, actors.Options{})
	do(sys.Root, sender, func(t *actors.Task) error { want = sendAll(t, pid, &tr); return t.Sleep(time.Second) })
	synctest.Wait()
	tr.Want(t, want...)
}

func startRunsAtOnce(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	hold := make(chan none)
	do(sys.Root, pid, func(*actors.Task) error { <-hold; return nil })
	do(sys.Root, pid, func(t *actors.Task) error {
		tr.Add("parent")
		f := actors.Start(t, func(t *actors.Task) (int, error) {
			tr.Add("child")
			g := actors.Start(t, func(*actors.Task) (int, error) { tr.Add("grandchild"); return 3, nil })
			if v, err := g.TryResult(); v != 3 || err != nil { // it did not await
				tr.Add("grandchild: %v", err)
			}
			tr.Add("child awaits")
			if err := t.Sleep(time.Second); err != nil {
				return 0, err
			}
			tr.Add("child ends")
			return 7, nil
		})
		tr.Add("parent goes on, child done: %v", f.Done())
		v, err := actors.Await(t, f)
		tr.Add("parent got %d, %v", v, err)
		return nil
	})
	do(sys.Root, pid, func(*actors.Task) error { tr.Add("queued before"); return nil })
	close(hold)
	time.Sleep(time.Second)
	synctest.Wait()
	tr.Want(t, "parent", "child", "grandchild", "child awaits", "parent goes on, child done: false", "queued before",
		"child ends", "parent got 7, <nil>")
}

func setupComesFirst(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	hold := make(chan none)
	pid, err := sys.Root.SpawnNamed(actors.Props(func(w *actors.Worker) error {
		tr.Add("setup begins")
		<-hold
		tr.Add("setup ends")
		return echo(&tr)(w)
	}), "w")
	if err != nil {
		t.Fatal(err)
	}
	want := sendAll(sys.Root, pid, &tr)
	synctest.Wait()
	tr.Want(t, "setup begins")
	close(hold)
	synctest.Wait()
	tr.Want(t, append([]string{"setup ends"}, want...)...)
}
