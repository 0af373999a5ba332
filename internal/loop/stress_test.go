// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoloop/protoloop/internal/goroutines"
	"github.com/protoloop/protoloop/internal/seeded"
)

var stressDice = seeded.Flag("stress.seed", "TestStress")

// TestStress crosses all that moves a runner's word, an inbox or a task's state: posts, wakes,
// timers, looks, takeovers, holds and stops of a few loops. In builds with the race detector whoever
// makes a step is held up between it and the next one, at places that differ from round to
// round. Each message has one end, each lost turn comes back once, what a loop owns is touched
// by one goroutine at a time, and no look meets more than a stretch.
//
// A seed repeats what the messages do and where delays are, but not who is faster.
func TestStress(t *testing.T) {
	var reached [yieldPoints]atomic.Bool
	defer clearYieldHook()
	sum := stressCount{}
	for _, rnd := range stressDice.Rounds(t, 60) {
		setYieldHook(stressDelays(rnd, &reached))
		s := newStress(t, rnd)
		s.run()
		clearYieldHook()
		sum.add(&s.stressCount)
	}
	t.Logf("%d messages: %d returned, %d exited, %d lost, %d dropped; %d looks, %d while a turn waited",
		sum.posted.Load(), sum.ends[Returned].Load(), sum.ends[Exited].Load(), sum.ends[Lost].Load(), sum.dropped.Load(), sum.looks.Load(), sum.held.Load())
	for how := range sum.ends {
		if sum.ends[how].Load() == 0 {
			t.Errorf("no message ended as %d", how)
		}
	}
	if sum.dropped.Load() == 0 || sum.looks.Load() == 0 || injectsYields && sum.held.Load() == 0 {
		t.Error("nothing was dropped or looked at, or no turn has waited for a look")
	}
	for p := range reached {
		if injectsYields && !reached[p].Load() {
			t.Errorf("nobody came to place %d", p)
		}
	}
}

// stressDelays returns a hook that holds up some of those who come to a place. Which places and for
// how long at most is drawn once; who is held up is drawn by the runtime: a generator
// of ours would order those who use it, and hide races from the detector.
func stressDelays(rnd *rand.Rand, reached *[yieldPoints]atomic.Bool) func(yieldPoint) {
	var oneIn [yieldPoints]uint64
	var most [yieldPoints]time.Duration
	for p := range oneIn {
		switch rnd.IntN(4) {
		case 0: // nearly always
			oneIn[p], most[p] = 2, 20*time.Microsecond
		case 1: // seldom, and long
			oneIn[p], most[p] = 100, 300*time.Microsecond
		default:
			oneIn[p], most[p] = 10, 5*time.Microsecond
		}
	}
	return func(p yieldPoint) {
		if !reached[p].Load() {
			reached[p].Store(true)
		}
		if rand.Uint64N(oneIn[p]) != 0 {
			return
		}
		if rand.Uint64N(2) == 0 {
			runtime.Gosched()
			return
		}
		until := time.Now().Add(rand.N(most[p]))
		for time.Now().Before(until) {
		}
	}
}

// stressCount is what has happened.
type stressCount struct {
	posted, dropped atomic.Int64
	ends            [Lost + 1]atomic.Int64
	looks, held     atomic.Int64
}

func (c *stressCount) add(o *stressCount) {
	c.posted.Add(o.posted.Load())
	c.dropped.Add(o.dropped.Load())
	for how := range c.ends {
		c.ends[how].Add(o.ends[how].Load())
	}
	c.looks.Add(o.looks.Load())
	c.held.Add(o.held.Load())
}

// stress is one round.
type stress struct {
	stressCount
	t     *testing.T
	pool  *Pool
	loops []*stressLoop

	messages   sync.WaitGroup // that have no end yet, or have not come back
	seed, made atomic.Uint64
	armed      chan stressAwait
	over       atomic.Bool // all messages have ended
}

// stressLoop is a loop and its host.
type stressLoop struct {
	Loop
	s *stress
	// Of whoever runs the loop: the detector sees if somebody else does, too.
	owned   int
	stopped bool
	ended   bool
	stuck   atomic.Int32 // turns that wait until they are taken over
}

type stressAwait struct {
	m     *stressMessage
	seq   uint32
	woken *atomic.Int32
}

func newStress(t *testing.T, rnd *rand.Rand) *stress {
	s := &stress{t: t, pool: NewPool(), armed: make(chan stressAwait, 1<<14)}
	s.seed.Store(rnd.Uint64())
	for i := range 3 {
		l := &stressLoop{s: s}
		cfg := Config{BlockedTurn: 3 * time.Millisecond}
		if i == 0 {
			cfg = Config{MaxInFlight: 2}
		}
		l.Init(l, cfg)
		l.Begin(s.pool)
		s.loops = append(s.loops, l)
	}
	return s
}

// Control runs what the operators want to have run on the loop.
func (l *stressLoop) Control(msg any) {
	l.owned++
	msg.(func())()
	l.s.messages.Done()
}

// TurnTook is the loop's.
func (l *stressLoop) TurnTook(time.Duration) {}

func (l *stressLoop) AllEnded() {
	l.owned++
	l.endIfStopped()
}

func (l *stressLoop) endIfStopped() {
	if l.stopped && !l.ended && l.Live() == 0 {
		l.ended = true
		l.End()
	}
}

func (l *stressLoop) Depth() (posted, taken int64) { return 0, 0 }
func (l *stressLoop) Blocked(BlockedTurn)          {}

// control has f run on the loop.
func (l *stressLoop) control(f func()) {
	l.s.messages.Add(1)
	l.PostControl(f)
}

// stop refuses what is queued and what comes, and ends the loop when nothing lives.
func (l *stressLoop) stop() {
	l.Hold(false)
	l.stopped = true
	l.DropAll(l.drop)
	l.endIfStopped()
}

func (l *stressLoop) drop(t *Task) {
	l.owned++
	m := t.Body.(*stressMessage)
	if m.dropped {
		l.s.t.Error("a message was dropped twice")
	}
	m.dropped = true
	l.s.dropped.Add(1)
	l.s.messages.Done()
}

// stressMessage is a task that does what is drawn for it.
type stressMessage struct {
	Task
	l          *stressLoop
	id         uint64
	begun      atomic.Int32
	doneAs     atomic.Int32 // 1 + How
	back       atomic.Int32
	dropped    bool
	generation int
}

// post sends a message to one of the loops.
func (s *stress) post(rnd *rand.Rand, generation int) {
	m := s.newMessage(s.loops[rnd.IntN(len(s.loops))], generation)
	m.l.Post(&m.Task)
}

func (s *stress) newMessage(l *stressLoop, generation int) *stressMessage {
	m := &stressMessage{l: l, id: s.made.Add(1), generation: generation}
	m.Body = m
	s.posted.Add(1)
	s.messages.Add(1)
	return m
}

// Run is the message's turn.
func (m *stressMessage) Run(t *Task) {
	m.l.owned++
	if m.begun.Add(1) != 1 || m.dropped {
		m.l.s.t.Error("a message ran twice, or was dropped")
	}
	t.Enter()
	rnd := rand.New(rand.NewPCG(m.l.s.seed.Load(), m.id))
	for range 1 + rnd.IntN(4) {
		if !m.act(rnd) {
			m.actLost()
			return
		}
	}
}

// act does one thing, and reports whether the message has not lost its loop by then.
func (m *stressMessage) act(rnd *rand.Rand) bool {
	t, s := &m.Task, m.l.s
	switch n := rnd.IntN(100); {
	case n < 15:
		return t.Yield()
	case n < 45:
		seq, ok := t.Arm()
		if !ok {
			return false
		}
		m.l.owned++
		s.armed <- stressAwait{m, seq, new(atomic.Int32)}
		if n < 35 || !t.Disarm(seq) {
			t.Suspend()
		}
	case n < 55:
		seq, ok := t.Arm()
		if !ok {
			return false
		}
		m.l.owned++
		m.l.AddTimer(time.Duration(rnd.IntN(200))*time.Microsecond, t, seq)
		t.Suspend()
	case n < 65:
		if m.generation > 2 {
			return true
		}
		child := s.newMessage(m.l, m.generation+1)
		if !t.Start(&child.Task) {
			if child.begun.Load() == 0 { // it was too late to start it
				s.posted.Add(-1)
				s.messages.Done()
			}
			return false
		}
	case n < 75:
		return t.OnLoop(func() { m.l.owned++ })
	case n < 78:
		t.HoldLoop(func() { m.l.owned++ })
	case n < 85:
		if m.generation <= 2 {
			s.post(rnd, m.generation+1)
		}
	case n < 95:
		until := time.Now().Add(time.Duration(rnd.IntN(50)) * time.Microsecond)
		for time.Now().Before(until) {
		}
	case n < 97:
		runtime.Goexit()
	case n < 99:
		m.l.stuck.Add(1)
		for !t.Lost() {
			time.Sleep(20 * time.Microsecond)
		}
		m.l.stuck.Add(-1)
		return false
	default:
		runtime.Gosched()
	}
	return true
}

// actLost tries what a message cannot do any more.
func (m *stressMessage) actLost() {
	t := &m.Task
	if _, ok := t.Arm(); ok || t.Yield() || t.OnLoop(func() {}) || t.Start(&Task{Body: m}) {
		m.l.s.t.Error("a lost task could do something on its loop")
	}
}

func (m *stressMessage) Done(_ *Task, how How) {
	m.l.owned++
	if !m.doneAs.CompareAndSwap(0, 1+int32(how)) {
		m.l.s.t.Errorf("a message ended twice: as %d and as %d", m.doneAs.Load()-1, how)
	}
	m.l.s.ends[how].Add(1)
	if how != Lost || m.back.Add(1) == 2 {
		m.l.s.messages.Done()
	}
}

func (m *stressMessage) CameBack(*Task) {
	if m.back.Add(1) == 2 {
		m.l.s.messages.Done()
	}
}

// run posts and meddles until all has ended.
func (s *stress) run() {
	var posters, others sync.WaitGroup
	for i := range 3 {
		posters.Go(func() { s.postMany(rand.New(rand.NewPCG(s.seed.Load(), uint64(i)<<32))) })
	}
	for range 2 {
		others.Go(s.wake)
		others.Go(s.look)
	}
	others.Go(s.takeOver)
	for i := range 2 {
		posters.Go(func() { s.operate(rand.New(rand.NewPCG(s.seed.Load(), uint64(i+7)<<32))) })
	}
	posters.Wait()
	for _, l := range s.loops {
		l.control(func() { l.Hold(false) })
	}
	s.wait("the messages")
	for _, l := range s.loops {
		l.control(l.stop)
	}
	s.wait("the stop")
	s.over.Store(true)
	close(s.armed)
	others.Wait()
	for i, l := range s.loops {
		for l.inbox.head.Load() != idleMark { // its runner is about to let go of it
			time.Sleep(time.Microsecond)
		}
		for stood := false; !stood; {
			stood, _ = l.Peek(func(running *Task) {
				if n := l.LongestPin(); n > StretchTasks {
					s.t.Errorf("a look met %d tasks", n)
				}
				if running != nil || !l.ended || l.Live() != 0 || l.InFlight() != 0 || l.lane.head != nil || l.awaited != nil || l.exclusive != nil {
					s.t.Errorf("loop %d has not come to its end: live %d, in flight %d", i, l.Live(), l.InFlight())
				}
			})
		}
	}
}

// wait waits until what was posted has ended. It gives up when nothing has ended for a minute.
func (s *stress) wait(what string) {
	done := make(chan struct{})
	go func() { s.messages.Wait(); close(done) }()
	for before := int64(-1); ; {
		select {
		case <-done:
			return
		case <-time.After(time.Minute):
			ended := s.dropped.Load()
			for how := range s.ends {
				ended += s.ends[how].Load()
			}
			if ended == before {
				s.t.Fatalf("%s did not come to an end\n%s", what, strings.Join(goroutines.Stacks(), "\n\n"))
			}
			before = ended
		}
	}
}

func (s *stress) postMany(rnd *rand.Rand) {
	for range 300 {
		s.post(rnd, 0)
		if rnd.IntN(8) == 0 {
			time.Sleep(time.Duration(rnd.IntN(100)) * time.Microsecond)
		}
	}
}

// wake wakes what awaits, now and then twice or by other means.
func (s *stress) wake() {
	for a := range s.armed {
		switch {
		case rand.IntN(8) == 0:
			time.Sleep(rand.N(100 * time.Microsecond))
		case rand.IntN(8) == 0:
			go a.wake()
		}
		a.wake()
	}
}

func (a stressAwait) wake() {
	if a.m.Wake(a.seq) && a.woken.Add(1) > 1 {
		a.m.l.s.t.Error("an await was woken twice")
	}
}

// operate holds loops, takes tasks from their queues and puts them back, and stops one in the middle of all.
func (s *stress) operate(rnd *rand.Rand) {
	for n := range 60 {
		l := s.loops[rnd.IntN(len(s.loops))]
		switch rnd.IntN(12) {
		case 0, 1, 2:
			l.control(func() { l.Hold(true) })
		case 3:
			if rnd.IntN(8) == 0 { // there is much to drop each time
				l.control(func() { l.DropQueued(l.drop) })
			}
		case 4, 5, 6:
			l.control(func() {
				if l.stopped {
					return
				}
				var kept []*Task
				l.DropQueued(func(t *Task) { kept = append(kept, t) })
				for _, t := range kept {
					l.PushFront(t)
				}
			})
		case 7, 8:
			l.control(l.ReleaseExclusive)
		default:
			l.control(func() {
				l.EachLive(func(t *Task) {
					if t.Ended() || t.Fresh() {
						s.t.Error("a task lives that has ended, or has not begun")
					}
				})
			})
		}
		time.Sleep(time.Duration(rnd.IntN(300)) * time.Microsecond)
		l.control(func() { l.Hold(false) })
		if n == 50 && rnd.IntN(4) == 0 {
			l.control(l.stop)
		}
	}
}

// look looks into the loops in all ways.
func (s *stress) look() {
	for !s.over.Load() {
		l := s.loops[rand.IntN(len(s.loops))]
		stood, held := l.Peek(func(running *Task) {
			w, suspended := l.Walk(), l.Suspended()
			w.Next(running, func(*Task) bool { return true })
			suspended.Next(func(t *Task) {
				if t.Ended() {
					s.t.Error("a task is suspended that has ended")
				}
			})
			suspended.Leave()
			l.owned++
		})
		if stood {
			s.looks.Add(1)
		}
		if held {
			s.held.Add(1)
		}
		l.Look(func(t *Task) {
			m := t.Body.(*stressMessage)
			before := m.doneAs.Load()
			runtime.Gosched()
			if before != 0 || m.doneAs.Load() != 0 || !t.Running() {
				s.t.Error("a turn ended while somebody looked at it")
			}
		})
		time.Sleep(rand.N(50 * time.Microsecond))
	}
}

// takeOver takes loops away from turns that are stuck, and now and then from others.
func (s *stress) takeOver() {
	for !s.over.Load() {
		for _, l := range s.loops {
			turn, ok := l.InUser()
			if !ok {
				continue
			}
			if l.stuck.Load() > 0 || rand.IntN(20) == 0 {
				time.Sleep(rand.N(100 * time.Microsecond))
				l.Takeover(turn)
			}
		}
		time.Sleep(rand.N(100 * time.Microsecond))
	}
}
