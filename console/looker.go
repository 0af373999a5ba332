// SPDX-License-Identifier: Apache-2.0

package console

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/internal/view"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/supervisor"
)

// looker tracks what has been seen of the process. Nothing looks while nobody asks: whoever
// asks looks, unless somebody else has just done so, or looks have taken too much of late.
type looker struct {
	c     *Console
	about view.About

	mu      sync.Mutex // held while somebody looks
	last    *seen
	expired bool      // something was done since: it is not fresh
	pace    pace      // when the next may be made
	asked   time.Time // when somebody asked last
	minute  []past    // the oldest first
	began   time.Time // when the first of a row of looks was made
	sampler *inspect.Sampler
	idle    *time.Timer // ends the sampler when nobody has looked for a while
}

// seen is a state and its lints.
type seen struct {
	*view.State
	lints     []view.Lint
	consumers []*consumer.Consumer // in the order of the state's
}

// past is what is left of a state.
type past struct {
	at     time.Time
	totals view.Totals
	kinds  *view.State
}

const (
	// fresh is how old a look may be that is shown to somebody else.
	fresh = 900 * time.Millisecond
	// gap is for how long nobody has to ask for the last minute to begin anew.
	gap = 10 * time.Second
)

func (l *looker) init(c *Console) {
	l.c = c
	l.pace.spent = threadTime
	host, _ := os.Hostname() // without one it says nothing
	l.about = view.About{
		PID: os.Getpid(), Command: filepath.Base(os.Args[0]), Started: processStart, Go: runtime.Version(),
		GOMAXPROCS: runtime.GOMAXPROCS(0), Address: c.sys.Address(), Host: host,
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		l.about.Version = b.Main.Version
	}
}

// processStart is about when the process began: when its packages were set up.
var processStart = time.Now()

// look is the process as it was a moment ago.
func (l *looker) look() *seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	anew := now.Sub(l.asked) > gap
	l.asked = now
	if l.last != nil && !l.expired && (now.Sub(l.last.At) < fresh || now.Before(l.pace.next)) {
		l.keepSampling()
		return l.last
	}
	l.expired = false
	l.pace.noteLook(now, l.pace.measureLook(func() { l.last = l.lookNow(now, anew) }))
	return l.last
}

// lookNow looks. anew is whether nobody has for a while.
func (l *looker) lookNow(now time.Time, anew bool) *seen {
	shares := l.sample()
	s := &view.State{
		Seq: 1, At: now, About: l.about, Redact: l.c.redact(), Goroutines: runtime.NumGoroutine(),
		Snapshot: inspect.Look(l.c.sys, inspect.Options{Tasks: -1, Groups: true, Roots: true}),
		Kinds:    inspect.Kinds(l.c.sys), Shares: shares,
	}
	for _, n := range supervisor.All(l.c.sys) {
		s.Supervisors = append(s.Supervisors, n.Info())
	}
	consumers := consumersOf(l.c.sys)
	for _, c := range consumers {
		s.Consumers = append(s.Consumers, c.Info())
	}
	for _, srv := range socketio.All(l.c.sys) {
		s.Servers = append(s.Servers, view.SocketLook{Stats: srv.Stats(), Sessions: srv.Sessions(view.MaxSlow)})
	}
	if g := grid.Of(l.c.sys); g != nil {
		i := g.Info()
		s.Grid = &i
	}
	if anew {
		l.minute, l.began = nil, now
	}
	if l.last != nil {
		s.Seq = l.last.Seq + 1
	}
	if !anew {
		base := l.last.Before
		since := l.began
		if base != nil {
			since = base.At
		}
		if now.Sub(l.last.At) >= fresh || now.Sub(since) >= gap { // else the rate is from the same look on: one over less time says nothing
			before := *l.last.State
			before.Before, before.Past = nil, nil // or all that was ever seen would stay
			base = &before
		}
		s.Before = base
	}
	l.remember(s)
	next := &seen{State: s, lints: s.Lints(), consumers: consumers}
	l.tellLints(next, anew)
	return next
}

// expire has the next who asks look anew: whoever has done something is to see what came of it.
func (l *looker) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expired = true
}

// remember adds a state to the last minute.
func (l *looker) remember(s *view.State) {
	l.minute = slices.DeleteFunc(l.minute, func(p past) bool { return s.At.Sub(p.at) > time.Minute })
	if len(l.minute) > 0 {
		s.Past = l.minute[0].kinds
	}
	if n := len(l.minute); n > 0 && s.At.Sub(l.minute[n-1].at) < fresh {
		since := l.began
		if n > 1 {
			since = l.minute[n-2].at
		}
		if s.At.Sub(since) < gap {
			l.minute = l.minute[:n-1] // in its place, as above
		}
	}
	l.minute = append(l.minute, past{s.At, s.Totals(), &view.State{At: s.At, Kinds: s.Kinds, Consumers: s.Consumers, Servers: s.Servers, Grid: s.Grid}})
	m := view.Minute{Finished: []float64{}, Failed: []float64{}, Queued: []float64{}, Oldest: []float64{}, Tasks: []float64{}, Busy: []float64{}, Restarts: []float64{}}
	for i, p := range l.minute {
		var finished, failed, restarts float64
		if i > 0 {
			before := l.minute[i-1]
			seconds := p.at.Sub(before.at).Seconds()
			finished = float64(p.totals.Counts.Finished-before.totals.Counts.Finished) / seconds
			failed = float64(p.totals.Counts.Failed-before.totals.Counts.Failed) / seconds
			restarts = float64(p.totals.Restarts - before.totals.Restarts)
		}
		m.Age = append(m.Age, s.At.Sub(p.at).Seconds())
		m.Finished = append(m.Finished, max(0, finished)) // less: workers have gone, and their counts with them
		m.Failed = append(m.Failed, max(0, failed))
		m.Restarts = append(m.Restarts, max(0, restarts))
		m.Queued = append(m.Queued, float64(p.totals.Queued))
		m.Oldest = append(m.Oldest, p.totals.Oldest)
		m.Tasks = append(m.Tasks, float64(p.totals.Tasks))
		m.Busy = append(m.Busy, p.totals.Busy)
	}
	s.Minute = m
}

// tellLints adds those that have come up, or are over, since the look before to the timeline.
func (l *looker) tellLints(next *seen, anew bool) {
	var old []view.Lint
	if !anew {
		old = l.last.lints
	}
	has := func(all []view.Lint, one view.Lint) bool {
		return slices.ContainsFunc(all, func(o view.Lint) bool { return o.ID == one.ID })
	}
	for _, x := range next.lints {
		if !has(old, x) {
			l.c.timeline.add(recordOf(x, next.At, false))
		}
	}
	for _, x := range old {
		if !has(next.lints, x) {
			l.c.timeline.add(recordOf(x, next.At, true))
		}
	}
}

func recordOf(x view.Lint, at time.Time, ended bool) view.Record {
	r := view.Record{At: at, Kind: view.RecordLint, What: x.ID, Level: x.Level, Text: x.Title, Ended: ended}
	if len(x.Items) > 0 {
		i := &x.Items[0]
		r.Worker, r.Task, r.Supervisor, r.Child = i.Worker, i.Task, i.Supervisor, i.Child
		if !ended {
			r.Text = x.Title + ": " + i.Text
		}
	}
	return r
}

// sample is what the turns since the look before were of. The first look has nothing: it begins to
// sample, until nobody has looked for a while.
func (l *looker) sample() []inspect.Share {
	if l.keepSampling() {
		return l.sampler.Shares()
	}
	l.sampler = inspect.StartSampler(l.c.sys)
	l.idle = time.AfterFunc(gap, l.stopSampler)
	return nil
}

// keepSampling reports whether it samples: then it does so for a while more.
func (l *looker) keepSampling() bool {
	if l.sampler == nil {
		return false
	}
	l.idle.Reset(gap)
	return true
}

func (l *looker) stopSampler() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sampler != nil {
		l.sampler.Stop()
		l.idle.Stop()
		l.sampler = nil
	}
}

// countInLook has what f takes counted as a look's.
func (l *looker) countInLook(f func()) {
	took := l.pace.measureLook(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace.noteLook(time.Now(), took)
}

// perLook keeps what a page shows beside a look, for all who ask for it until the next one: it takes some
// microseconds for each goroutine or socket, and many may ask. So it counts as part of the look.
type perLook[T any] struct {
	mu  sync.Mutex // held while it is made
	of  uint64
	has T
}

func (p *perLook[T]) ofLook(l *looker, s *seen, look func() T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of != s.Seq {
		l.countInLook(func() { p.has = look() })
		p.of = s.Seq
	}
	return p.has
}

// lookAt is a look at one worker with its tasks; false: there is none.
func (l *looker) lookAt(pid *actor.PID, o inspect.Options) (*inspect.Worker, bool) {
	o.Worker = pid
	s := inspect.Look(l.c.sys, o)
	if len(s.Workers) == 0 {
		return nil, false
	}
	return &s.Workers[0], true
}

// redact is Options.Redact for the views.
func (c *Console) redact() view.Redact {
	if c.opts.Redact == nil {
		return nil
	}
	return func(what, text string) (shown string) {
		defer func() {
			if recover() != nil {
				shown = "Options.Redact panics"
			}
		}()
		return c.opts.Redact(Text(what), text)
	}
}
