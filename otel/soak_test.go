// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/internal/view"
	otelloop "github.com/protoloop/protoloop/otel"
	"github.com/protoloop/protoloop/supervisor"
)

// deed is a message of the soak: what is to become of it.
type deed struct{ Do string }

// deeds are what can become of one. Most end at once.
var deeds = []string{"", "", "", "fail", "panic", "sleep", "offload", "ask", "block", "leave", "late", "send"}

// TestSoak has the metrics collected without a pause, one in a hundred traced, and the program protoloop top look twice, while
// workers fail, are restarted, block, are left by their askers, and come and go. What each of them shows adds up at every
// moment, no sum shrinks, and at the end the metrics say what the askers were told.
func TestSoak(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n /= 10
	}
	program := testtools.Program(t, "cmd/protoloop")
	sys := actortest.NewSystem(t)
	tracing, err := otelloop.New(otelloop.Options{TracerProvider: sdktrace.NewTracerProvider(), Roots: otelloop.Ratio(0.01)})
	if err != nil {
		t.Fatal(err)
	}
	defer tracing.Observe(sys)()
	socket := filepath.Join(t.TempDir(), "s")
	s := &soak{T: t, sys: sys}
	s.start(socket)

	reader := metric.NewManualReader(metric.WithProducer(otelloop.NewProducer(sys, otelloop.ProducerOptions{PerWorker: true})))
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	var watching, driving sync.WaitGroup
	over := make(chan struct{})
	before := sums{}
	scrapes := 0
	watching.Go(func() {
		for {
			next, err := scrapeSums(reader)
			if err == nil {
				err = next.check(before)
			}
			if err != nil {
				t.Errorf("scrape %d: %v", scrapes, err)
				return
			}
			before = next
			scrapes++
			select {
			case <-over:
				return
			default:
			}
		}
	})
	plain := s.top(program, socket)
	rows := s.top(program, socket, "-json")

	var asked atomic.Int64
	for i := range 8 {
		driving.Go(func() {
			dice := rand.New(rand.NewPCG(7, uint64(i)))
			for asked.Load() < int64(n) || plain.isToLook() || rows.isToLook() {
				s.ask(dice, &asked)
			}
		})
	}
	driving.Go(func() {
		dice := rand.New(rand.NewPCG(7, 100))
		for i := 0; asked.Load() < int64(n) && !t.Failed(); i++ {
			s.guest(dice, i)
		}
	})
	driving.Wait()
	plain.end()
	rows.end()
	if _, err := s.tree.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
	close(over)
	watching.Wait()
	fresh := metric.NewManualReader(metric.WithProducer(otelloop.NewProducer(sys, otelloop.ProducerOptions{})))
	defer metric.NewMeterProvider(metric.WithReader(fresh)).Shutdown(context.Background())
	last, err := scrapeSums(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	shop := last["shop"]
	t.Logf("%d scrapes, %d and %d looks; askers: %d, %v; shop: %v; guests: %v", scrapes, plain.looks.Load(), rows.looks.Load(), s.offered.Load(), s.told(), shop, last["guest"])
	if shop.offered != s.offered.Load() || shop.pending != 0 || shop.outcome["finished"] != s.finished.Load() || shop.outcome["failed"] < s.failed.Load() {
		t.Errorf("the metrics have %+v; the askers were told %v", shop, s.told())
	}
	for what, n := range map[string]int64{"finished": s.finished.Load(), "failed": s.failed.Load(), "restarted": s.restarted.Load(), "timed out": s.late.Load(), "been refused": shop.offered - shop.accepted} {
		if n == 0 {
			t.Errorf("nothing has %s: the soak is no chaos", what)
		}
	}
}

// soak is a tree and what was asked of it.
type soak struct {
	*testing.T
	sys  *actor.ActorSystem
	tree *supervisor.Supervisor
	q    *memory.Queue

	offered, finished, failed, restarted, late, other atomic.Int64 // requests, by what their askers were told
}

func (s *soak) told() string {
	return fmt.Sprintf("%d finished, %d failed, %d restarted, %d late, %d other", s.finished.Load(), s.failed.Load(), s.restarted.Load(), s.late.Load(), s.other.Load())
}

var errDeed = errors.New("it fails")

// start starts the tree: a console, two shops that ask each other's worker, and a consumer some of whose messages fail.
func (s *soak) start(socket string) {
	c, err := console.New(s.sys, console.Options{Addr: "unix:" + socket})
	if err != nil {
		s.Fatal(err)
	}
	s.q = memory.New(memory.Options{Wait: time.Second})
	orders, err := consumer.New(s.q.Open, func(_ *actors.Task, m consumer.Message) error {
		if strings.HasSuffix(m.ID, "7") {
			return errDeed
		}
		return nil
	}, consumer.Options{Name: "orders", MaxTries: 2, Retry: actors.Backoff{Initial: time.Millisecond, Max: time.Millisecond}})
	if err != nil {
		s.Fatal(err)
	}
	child := func(name string, setup func(*actors.Worker) error, o actors.Options) supervisor.Child {
		return supervisor.Child{Name: name, Props: actors.Props(setup, actors.EventLoop(o)), Backoff: actors.Backoff{Initial: time.Millisecond, Max: time.Millisecond}}
	}
	s.tree, err = supervisor.Start(context.Background(), s.sys, supervisor.Spec{
		Name: "soak", MaxRestarts: 1 << 30, Within: time.Hour,
		Children: []supervisor.Child{
			child("console", c.Setup, actors.Options{}),
			child("orders", orders.Setup, actors.Options{Kind: "orders"}),
			child("bank", deedsOf, actors.Options{Kind: "bank"}),
			child("a", deedsOf, actors.Options{Kind: "shop", MailboxSize: 8, BlockedTurn: 10 * time.Millisecond}),
			child("b", deedsOf, actors.Options{Kind: "shop", MaxInFlight: 4}),
		},
	})
	if err != nil {
		s.Fatal(err)
	}
}

// deedsOf does what it is told to.
func deedsOf(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, d deed) (actors.None, error) {
		switch d.Do {
		case "fail":
			return actors.None{}, errDeed
		case "panic":
			panic("it panics")
		case "sleep":
			return actors.None{}, t.Sleep(time.Millisecond)
		case "leave", "late": // until its asker has had enough
			return actors.None{}, t.Sleep(time.Hour)
		case "offload":
			return actors.None{}, t.AwaitOffload(func(context.Context) error { return nil })
		case "block":
			time.Sleep(20 * time.Millisecond) // what no turn should do
		case "ask":
			_, err := actors.Ask[actors.None](t, t.Sibling("bank"), deed{"sleep"})
			return actors.None{}, err
		case "send":
			t.Send(t.Sibling("bank"), deed{"fail"})
		}
		return actors.None{}, nil
	})
	return nil
}

// ask sends some requests to a shop, and notes what becomes of each.
func (s *soak) ask(dice *rand.Rand, asked *atomic.Int64) {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	var all []*actors.Future[actors.None]
	for range 1 + dice.IntN(16) {
		do := deeds[dice.IntN(len(deeds))]
		if (do == "panic" || do == "block") && dice.IntN(20) > 0 {
			do = "" // they hold up all others
		}
		o := []actors.CallOption{}
		switch do {
		case "late":
			o = append(o, actors.Timeout(time.Duration(1+dice.IntN(5))*time.Millisecond))
		case "leave":
			o = append(o, actors.WithContext(ctx))
		}
		all = append(all, actors.RequestFuture[actors.None](s.sys.Root, s.tree.Child([]string{"a", "b"}[dice.IntN(2)]), deed{do}, o...))
		s.q.Send(consumer.Message{ID: fmt.Sprint(asked.Add(1))})
	}
	time.AfterFunc(time.Duration(dice.IntN(5))*time.Millisecond, leave)
	for _, f := range all {
		_, err := f.Wait(context.Background())
		s.offered.Add(1)
		switch {
		case err == nil:
			s.finished.Add(1)
		case errors.Is(err, errDeed):
			s.failed.Add(1)
		case errors.Is(err, actors.ErrRestarted):
			s.restarted.Add(1)
		case errors.Is(err, actors.ErrTimeout):
			s.late.Add(1)
		default:
			s.other.Add(1)
		}
	}
}

// guest is a worker that comes, is asked, and goes.
func (s *soak) guest(dice *rand.Rand, i int) {
	pid, err := actors.Spawn(context.Background(), s.sys.Root, fmt.Sprint("guest-", i), deedsOf, actors.Options{Kind: "guest"})
	if err != nil {
		s.Error(err)
		return
	}
	for range dice.IntN(4) {
		actors.RequestFuture[actors.None](s.sys.Root, pid, deed{[]string{"", "sleep", "fail"}[dice.IntN(3)]})
	}
	grace := time.Duration(dice.IntN(2)) * time.Second // none: what it does is cut off
	if _, err := actors.Stop(context.Background(), s.sys.Root, pid, grace); err != nil {
		s.Error(err)
	}
}

// topRun is a run of protoloop top.
type topRun struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	looks atomic.Int64 // tables that it has printed
	errs  bytes.Buffer
	read  chan struct{}
}

// top runs the program until end is called. With -json each kind's account in what it prints has to add up.
func (s *soak) top(program, socket string, args ...string) *topRun {
	r := &topRun{t: s.T, name: fmt.Sprint("top ", args), cmd: exec.Command(program, append([]string{"top", "unix:" + socket}, args...)...), read: make(chan struct{})}
	r.cmd.Stderr = &r.errs
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		defer close(r.read)
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			switch {
			case err != nil:
				if err != io.EOF {
					s.Errorf("%s: %v", r.name, err)
				}
				return
			case len(args) == 0 && strings.HasPrefix(line, "WORKER "):
				r.looks.Add(1)
			case len(args) > 0:
				r.looks.Add(1)
				if err := checkRows(line); err != nil {
					s.Errorf("%s: %v", r.name, err)
				}
			}
		}
	}()
	return r
}

// checkRows reports what is wrong with an answer of the console's.
func checkRows(line string) error {
	var w view.Workers
	if err := json.Unmarshal([]byte(line), &view.Answer{View: &w}); err != nil {
		return fmt.Errorf("%w in %s", err, line)
	}
	if len(w.Rows) == 0 || len(w.Kinds) == 0 {
		return fmt.Errorf("no workers: %s", line)
	}
	for i := range w.Kinds {
		if k := &w.Kinds[i]; !k.Counts.Agree() {
			return fmt.Errorf("kind %s: %v", k.Kind, k.Counts)
		}
	}
	return nil
}

// isToLook reports whether it has not looked three times, and still may.
func (r *topRun) isToLook() bool {
	select {
	case <-r.read: // it has ended, which end complains of
		return false
	default:
		return r.looks.Load() < 3
	}
}

// end interrupts it as Ctrl-C does: it has nothing to complain of.
func (r *topRun) end() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		r.t.Errorf("%s: %v", r.name, err)
	}
	<-r.read
	if err := r.cmd.Wait(); err != nil || r.errs.Len() > 0 || r.looks.Load() < 3 {
		r.t.Errorf("%s: %d looks, %v: %s", r.name, r.looks.Load(), err, &r.errs)
	}
}

// account is that of a kind, as its metrics have it.
type account struct {
	offered, accepted, pending int64
	outcome                    map[string]int64
}

// sums are the accounts by kind.
type sums map[string]*account

// check reports an account that does not add up, or a sum that has shrunk.
func (s sums) check(before sums) error {
	for kind, a := range s {
		ended := int64(0)
		for _, n := range a.outcome {
			ended += n
		}
		if a.accepted < ended+a.pending { // more is possible: see TestAcceptedNeverShrinks
			return fmt.Errorf("kind %s: %d accepted, %d ended, %d pending", kind, a.accepted, ended, a.pending)
		}
		old := before[kind]
		if old == nil {
			continue
		}
		if a.offered < old.offered || a.accepted < old.accepted {
			return fmt.Errorf("kind %s: %+v, before %+v", kind, *a, *old)
		}
		for o, n := range old.outcome {
			if a.outcome[o] < n {
				return fmt.Errorf("kind %s: %d are %s, before %d", kind, a.outcome[o], o, n)
			}
		}
	}
	for kind := range before {
		if s[kind] == nil {
			return fmt.Errorf("kind %s is gone", kind)
		}
	}
	return nil
}

// scrapeSums collects all, and adds up what was counted of work.
func scrapeSums(reader metric.Reader) (sums, error) {
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		return nil, err
	}
	got := sums{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, is := m.Data.(metricdata.Sum[int64])
			if !is {
				continue
			}
			for _, p := range sum.DataPoints {
				kind, _ := p.Attributes.Value(attribute.Key("protoloop.worker.kind"))
				outcome, _ := p.Attributes.Value(attribute.Key("protoloop.work.outcome"))
				a := got[kind.AsString()]
				if a == nil {
					a = &account{outcome: map[string]int64{}}
					got[kind.AsString()] = a
				}
				switch m.Name {
				case "protoloop.work.offered":
					a.offered += p.Value
					if outcome.AsString() == "accepted" {
						a.accepted += p.Value
					}
				case "protoloop.work.ended":
					a.outcome[outcome.AsString()] += p.Value
				case "protoloop.work.pending":
					a.pending += p.Value
				}
			}
		}
	}
	return got, nil
}
