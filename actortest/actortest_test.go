// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"bytes"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestMain(m *testing.M) { Main(m) }

// sleeper is a worker that answers an int after as many seconds.
func sleeper(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, n int) (string, error) {
		return "done", t.Sleep(time.Duration(n) * time.Second)
	})
	return nil
}

func TestRunStopsWhatIsLeft(t *testing.T) {
	var sys *actor.ActorSystem
	var children atomic.Int64
	Run(t, func(t *testing.T, s *actor.ActorSystem) {
		sys = s
		pid := Spawn(t, sys.Root, "asleep", sleeper, actors.Options{})
		actors.RequestFuture[string](sys.Root, pid, 3600)
		// A parent whose child must not be started again because it is stopped.
		stopping := false
		sys.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Stopping:
				stopping = true
			case *actor.Started, *actor.Terminated:
				if !stopping {
					children.Add(1)
					c.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "child")
				}
			}
		}), "parent")
		sys.Root.Send(sys.NewLocalPID("nobody"), "a dead letter")
		synctest.Wait()
	})
	if left := testtools.RegisteredIDs(sys, ""); !slices.Equal(left, []string{"deadletter", "eventstream", "protoloop-reply"}) {
		t.Errorf("left in the registry: %q", left)
	}
	if n := children.Load(); n != 1 {
		t.Errorf("the parent has started %d children, want 1", n)
	}
}

func TestRunIsVirtual(t *testing.T) {
	start := time.Now()
	Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := Spawn(t, sys.Root, "w", sleeper, actors.Options{})
		if _, err := actors.RequestFuture[string](sys.Root, pid, 3600).Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if d := time.Since(start); d > time.Minute {
		t.Errorf("an hour of virtual time took %v", d)
	}
}

// TestOwnProcesses: no process of a new system is left out when its registry gets
// smaller.
func TestOwnProcesses(t *testing.T) {
	plain := actor.NewActorSystem()
	defer plain.Shutdown()
	for name, sys := range map[string]*actor.ActorSystem{"of the engine": plain, "of NewSystem": NewSystem(t)} {
		if ids := testtools.RegisteredIDs(sys, ""); !slices.Equal(ids, ownProcesses) {
			t.Errorf("a new system %s has %q, want %q", name, ids, ownProcesses)
		}
		for _, id := range ownProcesses {
			if p, ok := sys.ProcessRegistry.GetLocal(id); !ok || p == nil {
				t.Errorf("a new system %s has no process %s", name, id)
			}
		}
	}
}

func TestRunPassesOptions(t *testing.T) {
	Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		if sys.Config.DeadLetterThrottleCount != 7 {
			t.Error("the option was dropped")
		}
	}, actor.WithDeadLetterThrottleCount(7))
}

func TestNewSystemFindsLeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testtools.RunFake(func(f *testtools.FakeTB) {
			sys := NewSystem(f)
			sys.Logger().Info("a word about it")
			sys.ProcessRegistry.Add(actor.NewActorProcess(nopMailbox{}), "immortal")
		})
		f.WantFailure(t, "immortal")
		if len(f.Logs) != 1 || !strings.Contains(f.Logs[0], "a word about it") {
			t.Errorf("the log of a failed test: %q", f.Logs)
		}
		var sys *actor.ActorSystem
		f = testtools.RunFake(func(f *testtools.FakeTB) {
			sys = NewSystem(f)
			sys.Logger().Info("unheard")
		})
		if f.Failed() || len(f.Logs) > 0 || !sys.IsStopped() {
			t.Errorf("a clean test: %q, log %q, shut down: %v", f.Errors, f.Logs, sys.IsStopped())
		}
	})
}

// nopMailbox is an actor that does not stop.
type nopMailbox struct{ actor.Mailbox }

func (nopMailbox) PostSystemMessage(any) {}

func TestSpawnStatusStop(t *testing.T) {
	Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := Spawn(t, sys.Root, "w", sleeper, actors.Options{})
		actors.RequestFuture[string](sys.Root, pid, 0).Wait(t.Context())
		if c := Status(t, sys.Root, pid).Counts; c.Finished != 1 || c.Pending != 0 {
			t.Errorf("status: %v", c)
		}
		if c := Stop(t, sys.Root, pid, 0); c.Finished != 1 {
			t.Errorf("stop: %v", c)
		}
		f := testtools.RunFake(func(f *testtools.FakeTB) {
			Spawn(f, sys.Root, "x", func(*actors.Worker) error { return errors.New("no") }, actors.Options{})
		})
		f.WantFailure(t, "no")
		f = testtools.RunFake(func(f *testtools.FakeTB) { Status(f, sys.Root, pid) })
		f.WantFailure(t, "status of w")
		f = testtools.RunFake(func(f *testtools.FakeTB) { Stop(f, sys.Root, pid, 0) })
		f.WantFailure(t, "stop of w")
	})
}

func TestCheckBalance(t *testing.T) {
	pid := actor.NewPID("nonhost", "w")
	for _, c := range []actors.Counts{
		{Offered: 2, Accepted: 1},
		{Offered: 1, Accepted: 1},
		{Offered: 1, Accepted: 1, Finished: 1, Pending: 1},
	} {
		if f := testtools.RunFake(func(f *testtools.FakeTB) { checkBalance(f, pid, c) }); !f.Failed() {
			t.Errorf("%+v balances", c)
		}
	}
	ok := actors.Counts{Offered: 8, Accepted: 6, Refused: 2, Finished: 1, Failed: 1, Canceled: 1, Abandoned: 1, DeadLettered: 1, Pending: 1}
	if f := testtools.RunFake(func(f *testtools.FakeTB) { checkBalance(f, pid, ok) }); f.Failed() {
		t.Error(f.Errors)
	}
}

func TestOp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan int)
		op := Go(t, func() (int, error) { return <-ch, nil })
		if !op.Blocked() {
			t.Error("not blocked")
		}
		f := testtools.RunFake(func(f *testtools.FakeTB) {
			op.t = f
			op.Result()
		})
		f.WantFailure(t, "actortest_test.go:")
		ch <- 7
		if v, err := op.Result(); v != 7 || err != nil {
			t.Error(v, err)
		}
		exit := Go(t, func() (int, error) { runtime.Goexit(); return 1, nil })
		if v, err := exit.Result(); v != 0 || err != ErrGoexit {
			t.Error(v, err)
		}
	})
}

func TestEventually(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // to fail without waiting
		start := time.Now()
		n := 0
		Eventually(t, "three calls", func() bool { n++; return n == 3 })
		if n != 3 {
			t.Errorf("%d calls", n)
		}
		if d := time.Since(start); d == 0 || d > time.Second {
			t.Errorf("three calls took %v", d)
		}
		f := testtools.RunFake(func(f *testtools.FakeTB) { Eventually(f, "the impossible", func() bool { return false }) })
		f.WantFailure(t, "the impossible")
	})
}

func TestStress(t *testing.T) {
	Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var started, stopped atomic.Int64
		Stress(t, func() func() {
			started.Add(1)
			pid := Spawn(t, sys.Root, "w"+sys.ProcessRegistry.NextId(), sleeper, actors.Options{})
			f := actors.RequestFuture[string](sys.Root, pid, 3600)
			return func() {
				if c := Stop(t, sys.Root, pid, -1); c.Canceled != 1 {
					t.Errorf("%v", c)
				}
				if !f.Done() {
					t.Error("a future is pending after the stop")
				}
				stopped.Add(1)
			}
		})
		if started.Load() != 500 || stopped.Load() != 500 {
			t.Errorf("%d started, %d stopped, want 500", started.Load(), stopped.Load())
		}
	})
	var n atomic.Int64
	testtools.RunFake(func(f *testtools.FakeTB) {
		Stress(f, func() func() {
			n.Add(1)
			f.Errorf("no")
			return func() {}
		})
	})
	if n.Load() > stressGoroutines {
		t.Errorf("%d starts after a failure", n.Load())
	}
}

func TestLog(t *testing.T) {
	log := NewLog()
	l := slog.New(log).With("worker", "w")
	l.Debug("first", "n", 1)
	l.WithGroup("g").With("a", "b").Error("the second", slog.Group("h", "n", 2), "e", errors.New("bad"), slog.Attr{})
	l.Warn("third", "worker", "v", "stack", "goroutine 1\nmain")

	if log.Len() != 3 || len(log.Records()) != 3 {
		t.Fatalf("%d records: %s", log.Len(), log)
	}
	found := log.Find(slog.LevelWarn, "second")
	if len(found) != 1 {
		t.Fatalf("found %v", found)
	}
	r := found[0]
	if got, want := r.String(), "ERROR the second worker=w g.a=b g.h.n=2 g.e=bad"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r.Attr("g.h.n") != int64(2) || r.Attr("worker") != "w" || r.Attr("none") != nil {
		t.Error("attributes of", r)
	}
	if got := log.Find(slog.LevelWarn, ""); len(got) != 2 || got[1].Attr("worker") != "v" {
		t.Errorf("found %v", got)
	}
	if !strings.HasSuffix(log.String(), " worker=v stack=goroutine 1…\n") {
		t.Errorf("%s", log)
	}
	if !strings.HasPrefix(log.String(), "DEBUG first worker=w n=1\n") {
		t.Errorf("%s", log)
	}
}

func TestLogOf(t *testing.T) {
	sys := NewSystem(t)
	LogOf(sys).WithAttrs(nil)
	if LogOf(sys).Len() == 0 {
		t.Error("the engine says nothing about its start")
	}
	defer func() {
		if recover() == nil {
			t.Error("LogOf of another system did not panic")
		}
	}()
	LogOf(NewSystem(t, actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
}

func TestGate(t *testing.T) {
	stuck := make(chan struct{})
	defer close(stuck)
	go func() { <-stuck }() // was there before
	var out bytes.Buffer
	if code := gate(func() int { return 0 }, 0, &out); code != 0 || out.Len() > 0 {
		t.Errorf("clean: code %d, %s", code, &out)
	}
	if code := gate(func() int { leak(stuck); return 0 }, 0, &out); code != 1 || !strings.Contains(out.String(), "actortest.leak") {
		t.Errorf("leaked: code %d, %s", code, &out)
	}
	short := make(chan struct{})
	code := gate(func() int {
		leak(short)
		time.AfterFunc(time.Millisecond, func() { close(short) })
		return 0
	}, leakGiveUp, &out)
	if code != 0 {
		t.Errorf("ended in time: code %d, %s", code, &out)
	}
	if code := gate(func() int { leak(stuck); return 2 }, leakGiveUp, &out); code != 2 {
		t.Errorf("failed: code %d", code)
	}
}

// leak leaves a goroutine behind, which has begun.
func leak(until chan struct{}) {
	begun := make(chan struct{})
	go func() {
		close(begun)
		<-until
	}()
	<-begun
}
