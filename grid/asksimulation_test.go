// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// askSimulation is a cluster whose nodes ask each other while they crash, are held, cut off, drained and started anew.
type askSimulation struct {
	*testing.T
	*machines
	runs *runLog
	dice *rand.Rand

	askers sync.WaitGroup
	told   struct {
		sync.Mutex
		by   map[string]int
		asks int
	}
}

// ask asks, and compares what the asker is told with what the handlers have done.
func (s *askSimulation) ask(m *machine, name, id string, work, budget time.Duration, idempotent, cancel bool) {
	opts := []actors.CallOption{actors.Timeout(budget)}
	if idempotent {
		opts = append(opts, actors.Idempotent())
	}
	begun := time.Now()
	f := s.future(m, id, fmt.Sprint(name, " ", work), opts...)
	if cancel {
		time.Sleep(work / 2)
		f.Cancel()
	}
	ctx, stop := context.WithTimeout(context.Background(), budget+time.Second)
	defer stop()
	_, err := f.Wait(ctx)
	took := time.Since(begun)
	n := s.runs.runs(name)
	kind := "answered"
	switch {
	case ctx.Err() != nil:
		s.Errorf("%s has not ended %v after its budget", name, took-budget)
	case err == nil && n < 1:
		s.Errorf("%s is answered, and has not run", name)
	case n > 1 && !idempotent:
		s.Errorf("%s has run %d times, and was told %v", name, n, err)
	case err == nil:
	case actors.RetrySafe(err):
		kind = "never ran"
		if n > 0 {
			s.Errorf("%s has run, and was told that it has not: %v", name, err)
		}
	case errors.Is(err, actors.ErrNodeLost):
		kind = "may have run"
		if idempotent {
			s.Errorf("%s is idempotent, and was told %v", name, err)
		}
	case errors.Is(err, actors.ErrTimeout):
		kind = "timeout"
	case errors.Is(err, actors.ErrCanceled) && cancel:
		kind = "canceled"
	case errors.Is(err, actors.ErrFenced), errors.Is(err, actors.ErrStopped), errors.Is(err, actors.ErrCanceled):
		kind = "cut off"
		if n == 0 {
			s.Errorf("%s has not run, and was told %v", name, err)
		}
	default:
		s.Errorf("%s: %v", name, err)
	}
	s.told.Lock()
	defer s.told.Unlock()
	s.told.by[kind]++
	s.told.asks++
}

// load asks for a while, from any node any key.
func (s *askSimulation) load(over <-chan struct{}, asker, keys int) {
	own := rand.New(rand.NewPCG(s.dice.Uint64(), 7))
	s.askers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(1+own.IntN(60)) * time.Millisecond):
			}
			m := s.running(own)
			work := time.Duration(own.IntN(30)) * time.Millisecond
			if own.IntN(20) == 0 {
				work = time.Duration(own.IntN(3000)) * time.Millisecond
			}
			budget := 10*time.Second + time.Duration(own.IntN(5000))*time.Millisecond
			if own.IntN(10) == 0 {
				budget = time.Duration(1+own.IntN(50)) * time.Millisecond
			}
			name := fmt.Sprint("ask-", asker, "-", i)
			s.ask(m, name, fmt.Sprint("k", own.IntN(keys)), work, budget, own.IntN(2) == 0, own.IntN(10) == 0)
		}
	})
}

// running is a node that runs.
func (s *askSimulation) running(dice *rand.Rand) *machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if m := s.all[dice.IntN(len(s.all))]; !m.dead && !m.held {
			return m
		}
	}
}

// upTo is a time, in steps that are not those of others.
func (s *askSimulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.dice.Int64N(int64(d)))
}

// disturb does something to a node, and undoes it.
func (s *askSimulation) disturb() string {
	m := s.running(s.dice)
	switch s.dice.IntN(6) {
	case 0:
		s.crash(m)
		time.Sleep(50*time.Millisecond + s.upTo(3*time.Second))
		s.startAs(m.Name())
		return "crash"
	case 1:
		s.mu.Lock()
		m.dead = true
		s.mu.Unlock()
		s.drain(m)
		s.startAs(m.Name())
		return "drain"
	case 2:
		s.pause(m)
		time.Sleep(s.upTo(4 * time.Second))
		m.Resume()
		time.Sleep(100 * time.Millisecond) // until it has found out what it has lost
		s.mu.Lock()
		m.held = false
		s.mu.Unlock()
		return "pause"
	case 3:
		m.Cut(gridtest.Frames)
		time.Sleep(s.upTo(4 * time.Second))
		m.Heal()
		return "cut from the network"
	case 4:
		m.Cut(gridtest.All)
		time.Sleep(s.upTo(4 * time.Second))
		m.Heal()
		return "cut from all"
	case 5:
		m.Reconnect(time.Duration(10+s.dice.IntN(40)) * time.Millisecond)
	}
	return "reconnect"
}

// TestAskSimulation: each ask ends within its budget, by an answer or a code that says whether it may have run, and that is
// what the handlers of all nodes say, too.
func TestAskSimulation(t *testing.T) {
	nodes, askers, keys, rounds := 100, 200, 400, 40
	switch {
	case testing.Short():
		nodes, askers, keys, rounds = 12, 40, 60, 10
	case testtools.RaceEnabled(): // with the race detector all of it takes many minutes
		nodes, askers, keys, rounds = 30, 80, 200, 15
	}
	onNetwork(t, nodes, gridtest.Options{FrameLoss: 0.002, GoneLoss: 0.2}, nil, func(t *testing.T, w *machines, runs *runLog) {
		s := &askSimulation{T: t, machines: w, runs: runs, dice: rand.New(rand.NewPCG(simulationSeed(t), 6))}
		s.told.by = map[string]int{}
		over := make(chan struct{})
		for i := range askers {
			s.load(over, i, keys)
		}
		done := map[string]int{}
		for range rounds {
			done[s.disturb()]++
			time.Sleep(s.upTo(2 * time.Second))
		}
		close(over)
		s.askers.Wait()
		time.Sleep(15 * time.Second) // what was kept is forgotten
		synctest.Wait()
		t.Logf("%d asks after %v: %v", s.told.asks, done, s.told.by)
		for _, m := range w.all {
			if asking, answering := m.g.Tables(); !m.dead && asking+answering > 0 {
				t.Errorf("%s has %d entries of asks and %d of answers when nobody asks", m.Name(), asking, answering)
			}
		}
		if s.told.by["answered"] < s.told.asks*8/10 {
			t.Error("too few are answered")
		}
	})
}

// TestAskSimulationOfSmallWindows: with hardly any room for what is in flight and for what waits, and with sends that nobody waits for,
// each ask ends as it should, too; and when all is well again each node gets an answer of each key.
func TestAskSimulationOfSmallWindows(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 1
	}
	const keys = 60
	for round := range rounds {
		onNetwork(t, 0, gridtest.Options{FrameLoss: 0.01}, nil, func(t *testing.T, w *machines, runs *runLog) {
			w.change = func(o *grid.Options) { o.Window = 4 + 3*round }
			for range 8 {
				w.start()
			}
			time.Sleep(5 * time.Second)
			s := &askSimulation{T: t, machines: w, runs: runs, dice: rand.New(rand.NewPCG(simulationSeed(t), 6))}
			s.told.by = map[string]int{}
			over := make(chan struct{})
			for i := range 40 {
				s.load(over, i, keys)
			}
			for i := range 10 {
				s.send(over, i, keys)
			}
			for range 10 {
				s.disturb()
				time.Sleep(s.upTo(2 * time.Second))
			}
			close(over)
			s.askers.Wait()
			time.Sleep(15 * time.Second)
			for _, m := range w.all {
				for i := 0; i < keys && !m.dead; i++ {
					if _, err := w.future(m, fmt.Sprint("k", i), "end", actors.Timeout(10*time.Second)).Wait(t.Context()); err != nil {
						t.Errorf("%s asks k%d: %v", m.Name(), i, err)
					}
				}
			}
		})
	}
}

// send sends for a while what nobody waits for, from any node to any key.
func (s *askSimulation) send(over <-chan struct{}, sender, keys int) {
	own := rand.New(rand.NewPCG(s.dice.Uint64(), 8))
	s.askers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(1+own.IntN(20)) * time.Millisecond):
			}
			m := s.running(own)
			m.sys.Root.Send(m.g.PID("account", fmt.Sprint("k", own.IntN(keys))), say(fmt.Sprint("sent-", sender, "-", i)))
		}
	})
}
