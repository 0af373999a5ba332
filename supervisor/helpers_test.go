// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

func TestMain(m *testing.M) {
	// The goroutine that takes signals must not be that of a bubble.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1, syscall.SIGUSR2)
	actortest.Main(m)
}

// world is an actor system in a synctest bubble, and notes of what happens in
// it.
type world struct {
	*testing.T
	sys  *actor.ActorSystem
	root *actor.RootContext

	mu     sync.Mutex
	lives  testtools.Trace // "+a": a's setup has run; "-a": it ended; see noted
	events []supervisor.Event
	hold   chan struct{} // what blocks turns; closed at the end
}

// bubble runs f in a bubble of its own: time is virtual there, and what is
// left behind at its end fails the test.
func bubble(t *testing.T, f func(w *world)) {
	t.Helper()
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		w := &world{T: t, sys: sys, root: sys.Root, hold: make(chan struct{})}
		defer synctest.Wait()
		defer close(w.hold)
		f(w)
	})
}

// start starts a supervisor that has to start.
func (w *world) start(spec supervisor.Spec) *supervisor.Supervisor {
	w.Helper()
	s, err := w.tryStart(spec)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *world) tryStart(spec supervisor.Spec) (*supervisor.Supervisor, error) {
	if spec.Name == "" {
		spec.Name = "app"
	}
	if spec.OnEvent == nil {
		spec.OnEvent = w.event
	}
	return supervisor.Start(w.Context(), w.sys, spec)
}

// stop stops a supervisor and checks its report.
func (w *world) stop(s *supervisor.Supervisor) supervisor.Report {
	w.Helper()
	r, err := s.Stop(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	w.agrees(r)
	return r
}

// agrees checks the sums of a report.
func (w *world) agrees(r supervisor.Report) {
	w.Helper()
	var sum actors.Counts
	for _, c := range r.Children {
		w.rowAgrees(c)
		if c.Counted {
			sum = plus(sum, c.Counts)
		} else if c.Counts != (actors.Counts{}) {
			w.Errorf("%s is not counted and has %+v", c.Name, c.Counts)
		}
	}
	if sum != r.Total || !sum.Agree() {
		w.Errorf("the total is %+v, the children's sum %+v", r.Total, sum)
	}
}

func (w *world) rowAgrees(c supervisor.ChildReport) {
	w.Helper()
	if !c.Counts.Agree() {
		w.Errorf("%s: %+v do not agree", c.Name, c.Counts)
	}
	var sum actors.Counts
	for _, o := range c.Children {
		w.rowAgrees(o)
		if o.Counted {
			sum = plus(sum, o.Counts)
		}
	}
	if c.Children != nil && sum != c.Counts {
		w.Errorf("%s: %+v, its children %+v", c.Name, c.Counts, sum)
	}
}

func plus(a, b actors.Counts) actors.Counts {
	return actors.Counts{
		Offered: a.Offered + b.Offered, Accepted: a.Accepted + b.Accepted, Refused: a.Refused + b.Refused,
		Finished: a.Finished + b.Finished, Failed: a.Failed + b.Failed, Canceled: a.Canceled + b.Canceled,
		Abandoned: a.Abandoned + b.Abandoned, DeadLettered: a.DeadLettered + b.DeadLettered, Pending: a.Pending + b.Pending,
	}
}

// row finds a child of a report by its path.
func row(all []supervisor.ChildReport, path string) supervisor.ChildReport {
	name, rest, nested := strings.Cut(path, "/")
	for _, c := range all {
		if c.Name == name && nested {
			return row(c.Children, rest)
		}
		if c.Name == name {
			return c
		}
	}
	return supervisor.ChildReport{}
}

// note adds to lives.
func (w *world) note(s string) { w.lives.Add("%s", s) }

// noted lets everything come to rest and compares what has happened since the
// last call.
func (w *world) noted(want string) {
	w.Helper()
	synctest.Wait()
	w.lives.Want(w, strings.Fields(want)...)
}

func (w *world) event(e supervisor.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// told compares the events since the last call, each as text, line by line.
func (w *world) told(want ...string) {
	w.Helper()
	var got []string
	for _, e := range w.taken() {
		got = append(got, text(e))
	}
	if !slices.Equal(got, want) {
		w.Errorf("events:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (w *world) taken() []supervisor.Event {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.events
	w.events = nil
	return all
}

// eventsOf are those of one type since the last call of told or eventsOf.
func eventsOf[E supervisor.Event](w *world) (out []E) {
	for _, e := range w.taken() {
		if e, ok := e.(E); ok {
			out = append(out, e)
		}
	}
	return out
}

// text is an event in a line.
func text(e supervisor.Event) string {
	s, c := e.Where()
	where := s
	if c != "" {
		where += "/" + c
	}
	switch e := e.(type) {
	case supervisor.ChildStarted:
		return where + " started"
	case supervisor.ChildFailed:
		return where + " failed: " + e.Err.Error()
	case supervisor.ChildEnded:
		return fmt.Sprintf("%s ended: %v", where, e.Err)
	case supervisor.ChildRestarting:
		return fmt.Sprintf("%s restarting in %v, attempt %d, with %v", where, e.Delay, e.Attempt, e.With)
	case supervisor.ChildRestarted:
		return fmt.Sprintf("%s restarted, %d", where, e.Restarts)
	case supervisor.BudgetExceeded:
		return fmt.Sprintf("%s exceeded %d in %v", where, e.MaxRestarts, e.Within)
	case supervisor.StopPhase:
		return fmt.Sprintf("%s %s %v: %v", where, e.Phase, e.Took, e.Err)
	case supervisor.TaskAbandoned:
		return fmt.Sprintf("%s abandoned %s", where, e.Task)
	}
	return fmt.Sprintf("%T", e)
}

// messages to a part
type (
	boom  struct{ why string }      // panics
	exit  struct{ err error }       // ends the worker
	life  struct{}                  // asks for the number of its incarnation
	sleep struct{ d time.Duration } // awaits
	stuck struct{}                  // blocks its turn until the test ends
	do    struct{ f func(*actors.Task) error }
)

var errSleep = errors.New("sleep failed")

// part is a worker that notes its starts and ends, and does what it is told.
// more, if not nil, is called in its setup.
func (w *world) part(name string, more func(n int, aw *actors.Worker) error, o ...actors.Options) *actor.Props {
	var n atomic.Int64 // a setup that was abandoned is not in step with the next
	var opts actors.Options
	if len(o) > 0 {
		opts = o[0]
	}
	return actors.Props(func(aw *actors.Worker) error {
		me := int(n.Add(1))
		actors.Handle(aw, func(_ *actors.Task, m boom) (int, error) { panic(m.why) })
		actors.Handle(aw, func(t *actors.Task, m exit) (int, error) { t.Exit(m.err); return me, nil })
		actors.Handle(aw, func(_ *actors.Task, _ life) (int, error) { return me, nil })
		actors.Handle(aw, func(t *actors.Task, m sleep) (int, error) { return me, t.Sleep(m.d) })
		actors.Handle(aw, func(*actors.Task, stuck) (int, error) { <-w.hold; return me, nil })
		actors.Handle(aw, func(t *actors.Task, m do) (int, error) { return me, m.f(t) })
		aw.OnStop(func(*actors.Task) error { w.note("-" + name); return nil })
		if more != nil {
			if err := more(me, aw); err != nil {
				return err
			}
		}
		w.note("+" + name)
		return nil
	}, actors.EventLoop(opts))
}

// child is a part with all defaults.
func (w *world) child(name string) supervisor.Child {
	return supervisor.Child{Name: name, Props: w.part(name, nil)}
}

// children are several of them.
func (w *world) children(names ...string) (out []supervisor.Child) {
	for _, n := range names {
		out = append(out, w.child(n))
	}
	return out
}

// with changes a Child.
func with(c supervisor.Child, change func(c *supervisor.Child)) supervisor.Child {
	change(&c)
	return c
}

// tell sends a request and returns its future.
func (w *world) tell(pid *actor.PID, m any, o ...actors.CallOption) *actors.Future[int] {
	return actors.RequestFuture[int](w.root, pid, m, o...)
}

// ask waits for the answer.
func (w *world) ask(pid *actor.PID, m any) (int, error) {
	return w.tell(pid, m).Wait(context.Background())
}

// crash makes a part panic, and lets everything come to rest.
func (w *world) crash(pid *actor.PID) {
	w.Helper()
	_, err := w.ask(pid, boom{"boom"})
	var p *actors.PanicError
	if !errors.As(err, &p) {
		w.Errorf("the panic reached its asker as %v", err)
	}
	synctest.Wait()
}

// wants checks an error.
func (w *world) wants(err, target error) {
	w.Helper()
	if !errors.Is(err, target) {
		w.Errorf("error %v, want %v", err, target)
	}
}

// state is that of a child, as everybody sees it.
func state(s interface{ Children() []supervisor.ChildInfo }, name string) string {
	for _, c := range s.Children() {
		if c.Name == name {
			return c.State
		}
	}
	return "unknown"
}

// props are those of an inner supervisor that must be valid.
func (w *world) props(spec supervisor.Spec) *actor.Props {
	w.Helper()
	p, err := supervisor.Props(spec)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// ended waits for the end of a supervisor and returns why.
func ended(s *supervisor.Supervisor) error {
	<-s.Stopped()
	return s.Err()
}

// since measures virtual time.
func (w *world) took(begin time.Time, want time.Duration) {
	w.Helper()
	if d := time.Since(begin); d != want {
		w.Errorf("it took %v, want %v", d, want)
	}
}

func typeOf(v any) string { return fmt.Sprintf("%T", v) }
