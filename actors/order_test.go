// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/seeded"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

// TestStashKeepsTheOrderOfArrival: whichever of them is stashed first.
func TestStashKeepsTheOrderOfArrival(t *testing.T) {
	bubble(t, func(w *world) {
		var got testtools.Trace
		lives := 0
		pid := w.worker("worker", actors.Options{StopGrace: time.Minute}, func(wk *actors.Worker) error {
			lives++
			first := lives == 1
			actors.On(wk, func(t *actors.Task, d time.Duration) error {
				got.Add("%v", d)
				if !first {
					return nil
				}
				if err := t.Sleep(d); err != nil {
					return err
				}
				t.Stash()
				if d == 5*time.Second {
					panic("the last of them")
				}
				return nil
			})
			return nil
		})
		for _, s := range []time.Duration{3, 0, 4, 1, 5, 2} {
			w.root.Send(pid, s*time.Second)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		got.Want(w, "3s", "0s", "4s", "1s", "5s", "2s", "3s", "0s", "4s", "1s", "5s", "2s")
	})
}

// TestOrderAroundASpawn: what is sent to a name whose actor is on the way shares
// one line with what is sent to it afterwards, of whatever kind it is.
func TestOrderAroundASpawn(t *testing.T) {
	bubble(t, func(w *world) {
		var got testtools.Trace
		send := func(pid *actor.PID, text string) { w.root.Send(pid, text) }
		submit := func(pid *actor.PID, text string) {
			did(w.root, pid, func(*actors.Task) error { got.Add("%s", text); return nil })
		}
		within := func(pid *actor.PID, text string) {
			did(w.root, pid, func(*actors.Task) error { got.Add("%s", text); return nil }, actors.Timeout(time.Hour))
		}
		ask := func(pid *actor.PID, text string) { actors.RequestFuture[actors.None](w.root, pid, text) }
		all := func(pid *actor.PID, when string) {
			for i, one := range []func(pid *actor.PID, text string){send, submit, send, within, ask, submit, send, ask, within, send} {
				one(pid, fmt.Sprint(when, i))
			}
		}
		pid, err := w.root.SpawnNamed(actors.Props(func(wk *actors.Worker) error {
			actors.On(wk, func(t *actors.Task, text string) error { got.Add("%s", text); t.Respond(struct{}{}); return nil })
			return nil
		}, actor.WithOnInit(func(c actor.Context) { all(c.Self(), "early ") })), "w")
		if err != nil {
			w.Fatal(err)
		}
		all(pid, "late ")
		synctest.Wait()
		var want []string
		for _, when := range []string{"early ", "late "} {
			for i := range 10 {
				want = append(want, fmt.Sprint(when, i))
			}
		}
		got.Want(w, want...)
	})
}

// TestSubmitToANameOnTheWay: it is as any other.
func TestSubmitToANameOnTheWay(t *testing.T) {
	one := func(*actors.Task) error { return nil }
	for name, test := range map[string]struct {
		o    actors.Options
		opts []actors.CallOption
		do   func(w *world, pid *actor.PID, f *actors.Future[actors.None]) // meanwhile
		want error
	}{
		"a deadline":         {opts: []actors.CallOption{actors.Timeout(time.Second)}, want: actors.ErrTimeout},
		"a deadline of zero": {opts: []actors.CallOption{actors.Timeout(0)}, want: actors.ErrTimeout},
		"time enough":        {opts: []actors.CallOption{actors.Timeout(time.Hour)}},
		"a cancel":           {do: func(_ *world, _ *actor.PID, f *actors.Future[actors.None]) { f.Cancel() }, want: actors.ErrCanceled},
		"a full mailbox":     {o: actors.Options{MailboxSize: 2}, want: actors.ErrMailboxFull},
		"a stop": {do: func(w *world, pid *actor.PID, f *actors.Future[actors.None]) {
			w.root.Poison(pid)
			wantErr(w, did(w.root, pid, one), actors.ErrStopping)
			wantErr(w, did(w.root, pid, one, actors.Timeout(time.Hour)), actors.ErrStopping)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var f *actors.Future[actors.None]
				_, err := w.root.SpawnNamed(actors.Props(func(w *actors.Worker) error {
					actors.On(w, func(*actors.Task, string) error { return nil })
					w.OnStop(func(*actors.Task) error { return nil })
					return nil
				}, actors.EventLoop(test.o), actor.WithOnInit(func(c actor.Context) {
					w.root.Send(c.Self(), "first")
					did(w.root, c.Self(), one)
					f = did(w.root, c.Self(), one, test.opts...)
					if test.do != nil {
						test.do(w, c.Self(), f)
					}
					time.Sleep(2 * time.Second)
					if test.want != nil {
						wantErr(w, f, test.want) // at once, and not when its worker is there
					}
				})), "w")
				if err != nil {
					w.Fatal(err)
				}
				synctest.Wait()
				if test.want == nil {
					want(w, f, struct{}{})
				}
			})
		})
	}
}

var ordersDice = seeded.Flag("senders.seed", "TestEachSendersOrder")

// TestEachSendersOrder sends random work in every way to one worker, from before
// it is there, over failures, stashes and retries: of each sender it begins in
// the order of the calls, in every incarnation.
func TestEachSendersOrder(t *testing.T) {
	for _, dice := range ordersDice.Rounds(t, 100) {
		bubble(t, func(w *world) { (&senders{world: w, dice: dice}).round() })
	}
}

// senders is one round of TestEachSendersOrder.
type senders struct {
	*world
	mu    sync.Mutex // guards all below
	dice  *rand.Rand
	lives int
	seen  map[piece]int // how often it has begun
	last  [3]int        // by sender, in this life
}

// piece is a piece of work: of a sender, the nth. asked and aloof are those of
// other handlers.
type (
	piece struct{ sender, nth int }
	asked piece
	aloof piece // of an Exclusive one
)

func (s *senders) roll(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dice.IntN(n)
}

// begins is called first in the turn of a piece.
func (s *senders) begins(p piece) (times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[p]++
	if s.last[p.sender] >= p.nth {
		s.Errorf("life %d: of sender %d number %d begins after %d", s.lives, p.sender, p.nth, s.last[p.sender])
	}
	s.last[p.sender] = p.nth
	return s.seen[p]
}

// work is what a piece does. message says that it can be stashed.
func (s *senders) work(t *actors.Task, p piece, message bool) error {
	times := s.begins(p)
	for range s.roll(3) {
		var err error
		switch s.roll(4) {
		case 0:
			err = t.Yield()
		case 1:
			err = t.Sleep(time.Duration(s.roll(3)))
		case 2:
			_, err = actors.Await(t, actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Yield() }))
		}
		if err != nil {
			return err
		}
	}
	if message && times == 1 {
		switch s.roll(12) {
		case 0:
			t.Stash()
		case 1:
			t.Stash()
			panic("stashed")
		case 2:
			panic("to be retried")
		}
	}
	return nil
}

func (s *senders) setup(w *actors.Worker) error {
	s.mu.Lock()
	s.lives++
	s.last = [3]int{}
	s.mu.Unlock()
	actors.On(w, func(t *actors.Task, p piece) error { return s.work(t, p, true) })
	actors.Handle(w, func(t *actors.Task, p asked) (int, error) { return 0, s.work(t, piece(p), true) })
	actors.Handle(w, func(t *actors.Task, p aloof) (int, error) { return 0, s.work(t, piece(p), true) }, actors.Exclusive())
	if s.roll(2) == 0 {
		return w.Task().Sleep(time.Duration(s.roll(3)))
	}
	return nil
}

// send sends a piece in one of the ways.
func (s *senders) send(from actor.SenderContext, pid *actor.PID, p piece) {
	f := func(t *actors.Task) (int, error) { return 0, s.work(t, p, false) }
	switch s.roll(8) {
	case 0:
		from.Send(pid, p)
	case 1:
		from.Request(pid, p)
	case 2:
		actors.RequestFuture[int](from, pid, asked(p))
	case 3:
		actors.RequestFuture[int](from, pid, asked(p), actors.Timeout(time.Hour))
	case 4:
		actors.RequestFuture[int](from, pid, aloof(p))
	case 5:
		actors.Submit(from, pid, f)
	case 6:
		actors.Submit(from, pid, f, actors.Timeout(time.Hour))
	case 7:
		from.RequestFuture(pid, asked(p), time.Hour)
	}
}

func (s *senders) round() {
	s.seen = map[piece]int{}
	var begin sync.WaitGroup
	known := make(chan *actor.PID, 2)
	begin.Add(len(s.last))
	// Two of the senders are tasks, one is the goroutine that spawns.
	for i := range len(s.last) - 1 {
		pid := s.worker(fmt.Sprint("sender ", i), actors.Options{}, none)
		did(s.root, pid, func(t *actors.Task) error {
			to, _, err := loopsync.Receive(t, known)
			begin.Done()
			for n := range 30 {
				if err == nil && s.roll(4) == 0 {
					err = t.Sleep(time.Duration(s.roll(3)))
				}
				s.send(t, to, piece{i, n + 1})
			}
			return err
		})
	}
	n := 0
	more := func(to *actor.PID, k int) {
		for range k {
			n++
			s.send(s.root, to, piece{len(s.last) - 1, n})
		}
	}
	sup, err := supervisor.Start(context.Background(), s.sys, supervisor.Spec{Name: "sup", MaxRestarts: 1000, Children: []supervisor.Child{{
		Name:    "child",
		OnCrash: supervisor.CrashPolicy{Retries: 1},
		Props: actors.Props(s.setup, actors.EventLoop(actors.Options{MaxInFlight: s.roll(4)}), actor.WithOnInit(func(c actor.Context) {
			known <- c.Self()
			known <- c.Self()
			begin.Done()
			begin.Wait() // they send, too
			more(c.Self(), 10)
			time.Sleep(time.Nanosecond)
		})),
	}}})
	if err != nil {
		s.Fatal(err)
	}
	more(sup.Child("child"), 20)
	time.Sleep(time.Second)
	_ = sup.Restart(context.Background(), "child") // for what was stashed last
	time.Sleep(time.Second)
	s.mu.Lock()
	for i := range s.last {
		for n := range 30 {
			if s.seen[piece{i, n + 1}] == 0 {
				s.Errorf("of sender %d number %d never began", i, n+1)
			}
		}
	}
	s.mu.Unlock()
	_, _ = sup.Stop(context.Background())
}
