// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Here is that the workers of least.go keep the promises for which they are compared with those of package actors.

// inLeastSystem runs f with a system in a bubble.
func inLeastSystem(t *testing.T, f func(t *testing.T, s *leastSystem)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &env{ctx: t.Context()}
		f(t, newLeastSystem(e))
		for _, f := range e.closers {
			if err := f(); err != nil {
				t.Error(err)
			}
		}
	})
}

// leastSlow is a worker whose handler asks back, which never answers before gate is complete.
func leastSlow(s *leastSystem) (front, back *leastPID, gate *leastFuture[int]) {
	gate = &leastFuture[int]{}
	back = s.spawn("back", func(l *leastLoop) {
		leastHandle(l, func(t *leastTask, q question) (answer, error) {
			_, err := leastAwait(t, gate)
			return answer(q), err
		})
	})
	front = s.spawn("front", func(l *leastLoop) {
		leastHandle(l, func(t *leastTask, q question) (answer, error) {
			return leastAwait(t, leastAsk[answer](s, t, back, q))
		})
	})
	return front, back, gate
}

// checkLeastAccount checks that all that was accepted has ended, and nothing is suspended.
func checkLeastAccount(t *testing.T, s *leastSystem, accepted int64, pids ...*leastPID) {
	t.Helper()
	synctest.Wait()
	for _, pid := range pids {
		l := s.find(pid)
		if a, ended := l.counts(); a != accepted || ended != accepted || l.suspended != nil {
			t.Errorf("%s has accepted %d, of which %d have ended, and %v is suspended; want %d and none", pid.name, a, ended, l.suspended, accepted)
		}
	}
}

func TestLeastEndsWithItsContext(t *testing.T) {
	inLeastSystem(t, func(t *testing.T, s *leastSystem) {
		front, back, gate := leastSlow(s)
		ctx, cancel := context.WithCancelCause(t.Context())
		f := leastAskWithin[answer](s, ctx, time.Minute, front, question{1})
		synctest.Wait()
		if l := s.find(front); l.suspended == nil || l.suspended.task.awaits.Load().task.Load().loop != s.find(back) {
			t.Error("a look does not find that the front's task awaits the back's")
		}
		why := errors.New("enough")
		cancel(why)
		if _, err := f.wait(t.Context()); !errors.Is(err, why) {
			t.Errorf("it ended with %v", err)
		}
		checkLeastAccount(t, s, 1, front, back)
		if n := s.find(back).canceled.Load(); n != 1 {
			t.Errorf("%d tasks of the back were canceled", n)
		}
		if s.deadline.first != nil || len(gate.waiters()) > 0 {
			t.Error("the clock or the promise keeps what has ended")
		}
	})
}

func TestLeastEndsByItsBudget(t *testing.T) {
	inLeastSystem(t, func(t *testing.T, s *leastSystem) {
		front, back, _ := leastSlow(s)
		began := time.Now()
		late := leastAskWithin[answer](s, t.Context(), 2*time.Minute, front, question{1})
		early := leastAskWithin[answer](s, t.Context(), time.Minute, front, question{1})
		for f, after := range map[*leastFuture[answer]]time.Duration{early: time.Minute, late: 2 * time.Minute} {
			if _, err := f.wait(t.Context()); !errors.Is(err, errLeastLate) {
				t.Errorf("it ended with %v", err)
			}
			if took := time.Since(began); took < after {
				t.Errorf("one of %v ended after %v", after, took)
			}
		}
		checkLeastAccount(t, s, 2, front, back)
	})
}

func TestLeastCancel(t *testing.T) {
	inLeastSystem(t, func(t *testing.T, s *leastSystem) {
		front, back, gate := leastSlow(s)
		f := leastAsk[answer](s, nil, front, question{1})
		synctest.Wait()
		f.cancel()
		if _, err := f.wait(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		checkLeastAccount(t, s, 1, front, back)
		// Whoever waits may give up; the work goes on.
		other := leastAsk[answer](s, nil, front, question{2})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := other.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting ended with %v", err)
		}
		gate.complete(0, nil)
		if v, err := other.wait(t.Context()); err != nil || v.n != 2 {
			t.Error(v, err)
		}
		checkLeastAccount(t, s, 2, front, back)
	})
}

func TestLeastPanicAndGate(t *testing.T) {
	inLeastSystem(t, func(t *testing.T, s *leastSystem) {
		pid := s.spawn("worker", func(l *leastLoop) {
			leastHandle(l, func(_ *leastTask, q question) (answer, error) { panic("no") })
		})
		if _, err := leastAsk[answer](s, nil, pid, question{1}).wait(t.Context()); err == nil || !strings.Contains(err.Error(), "least_test.go") {
			t.Errorf("a panic came as %v", err)
		}
		if _, err := leastAsk[answer](s, nil, pid, "what").wait(t.Context()); !errors.Is(err, errLeastUnhandled) {
			t.Error(err)
		}
		s.find(pid).gate.Store(true)
		if _, err := leastAsk[answer](s, nil, pid, question{1}).wait(t.Context()); !errors.Is(err, errLeastStopped) {
			t.Error(err)
		}
		if _, err := leastAsk[answer](s, nil, &leastPID{name: "nobody"}, question{1}).wait(t.Context()); !errors.Is(err, errLeastGone) {
			t.Error(err)
		}
		checkLeastAccount(t, s, 2, pid)
		if l := s.find(pid); l.failed.Load() != 1 || l.refused.Load() != 1 {
			t.Errorf("%d have failed and %d were refused", l.failed.Load(), l.refused.Load())
		}
	})
}

func TestLeastNotesUnseenFailures(t *testing.T) {
	inLeastSystem(t, func(t *testing.T, s *leastSystem) {
		pid := s.spawn("worker", func(l *leastLoop) {
			leastHandle(l, func(_ *leastTask, q question) (answer, error) { return answer{}, errors.New("no") })
		})
		leastAsk[answer](s, nil, pid, question{1})
		synctest.Wait()
		for range 1000 {
			if runtime.GC(); s.unseen.Load() == 1 {
				return
			}
			runtime.Gosched()
		}
		t.Errorf("%d failures were noted", s.unseen.Load())
	})
}

func TestLeastTurnIsTakenAway(t *testing.T) {
	inLeastSystem(t, func(t *testing.T, s *leastSystem) {
		blocks := make(chan struct{})
		pid := s.spawn("worker", func(l *leastLoop) {
			leastHandle(l, func(t *leastTask, q question) (answer, error) {
				f := leastStart(t, func(t *leastTask) (int, error) {
					if q.n == 0 {
						<-blocks
					}
					return q.n, nil
				})
				n, err := leastAwait(t, f)
				return answer{n}, err
			})
		})
		blocked := leastAsk[answer](s, nil, pid, question{0})
		time.Sleep(3 * leastLook)
		if s.blocked.Load() == 0 {
			t.Error("nobody has seen that it is blocked")
		}
		if !s.find(pid).takeTurn() {
			t.Fatal("its turn was not taken")
		}
		if _, err := blocked.wait(t.Context()); !errors.Is(err, errLeastAbandoned) {
			t.Error(err)
		}
		if v, err := leastAsk[answer](s, nil, pid, question{1}).wait(t.Context()); err != nil || v.n != 1 {
			t.Error(v, err)
		}
		close(blocks)
		checkLeastAccount(t, s, 2, pid)
	})
}

// TestLeastKeepsKidsOfWhatHasEnded has a task whose kid outlives it end by the context of its parent.
func TestLeastKeepsKidsOfWhatHasEnded(t *testing.T) {
	inLeastSystem(t, func(t *testing.T, s *leastSystem) {
		_, back, _ := leastSlow(s)
		first := s.spawn("first", func(l *leastLoop) {
			leastOn(l, func(t *leastTask, q question) { leastAsk[answer](s, t, back, q) })
		})
		forward := s.spawn("forward", func(l *leastLoop) {
			leastOn(l, func(t *leastTask, _ question) { t.forward(first) })
		})
		ctx, cancel := context.WithCancel(t.Context())
		f := leastAskWithin[answer](s, ctx, time.Minute, forward, question{1})
		checkLeastAccount(t, s, 1, first, forward)
		if a, ended := s.find(back).counts(); a != 1 || ended != 0 {
			t.Errorf("the back has accepted %d, of which %d have ended", a, ended)
		}
		cancel()
		checkLeastAccount(t, s, 1, first, forward, back)
		if _, err := f.wait(t.Context()); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if s.deadline.first != nil {
			t.Error("the clock keeps what has ended")
		}
	})
}

// waiters are those who wait for f.
func (f *leastCore) waiters() (all []*leastWaiting) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := f.waits; w != nil; w = w.next {
		all = append(all, w)
	}
	return all
}
