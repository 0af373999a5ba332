// SPDX-License-Identifier: Apache-2.0

// Package remindtest has the tests that a store of package remind must pass.
package remindtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/remind"
)

// Stores are two stores that share what they keep, as those of two programs do. Dead is what was
// given up. Of a memory store both are the same.
type Stores struct {
	One, Two remind.Store
	Dead     func(t *testing.T) []consumer.Message
}

// Run tries a store. start makes an empty one for each test. Each test waits for what is due, so it
// takes some seconds of real time or none of a testing/synctest bubble's: run, if not nil, is called
// with each test and may make one.
func Run(t *testing.T, start func(t *testing.T) Stores, run func(t *testing.T, f func(t *testing.T))) {
	if run == nil {
		run = func(t *testing.T, f func(t *testing.T)) { f(t) }
	}
	for name, test := range map[string]func(s *suite){
		"what is due comes, and is gone when it is acked": testDue,
		"it is not early":                         testNotEarly,
		"what is over is due at once":             testPast,
		"a zone makes no difference":              testZone,
		"set replaces":                            testReplaced,
		"set replaces what is due":                testReplacedInFlight,
		"what is cancelled does not come":         testCanceled,
		"cancel while it is delivered":            testCanceledInFlight,
		"list is by key":                          testList,
		"keys of any bytes are apart":             testKeys,
		"one that repeats":                        testRepeats,
		"what was missed comes once":              testMissed,
		"a nack brings it again":                  testNack,
		"a dead letter ends it":                   testDead,
		"a dead letter of one that repeats":       testDeadRepeats,
		"a source that ends gives back":           testSourceEnds,
		"many set and cancel the same":            testMany,
		"an ended context":                        testContext,
		"a message that fails is tried again":     testFails,
		"two programs deliver":                    testTwoPrograms,
		"cancel while its worker fails":           testCanceledWhileFailing,
		"the worker of a key sets and cancels it": testFromWorker,
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) { test(&suite{t, start(t)}) })
		})
	}
}

type suite struct {
	*testing.T
	Stores
}

// soon is how far ahead tests set what they wait for.
const soon = 500 * time.Millisecond

func in(d time.Duration) time.Time { return time.Now().Add(d).UTC() }

func key(name string) remind.Key { return remind.Key{Kind: "kind", ID: "id", Name: name} }

func once(name string, at time.Time, data string) remind.Entry {
	return remind.Entry{Key: key(name), At: at, Type: "type", Data: []byte(data)}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) set(all ...remind.Entry) {
	s.Helper()
	for _, e := range all {
		s.must(s.One.Set(s.Context(), e))
	}
}

func (s *suite) cancel(by remind.Store, k remind.Key, want bool) {
	s.Helper()
	was, err := by.Cancel(s.Context(), k)
	s.must(err)
	if was != want {
		s.Errorf("cancel %q: %v", k, was)
	}
}

// list is the names of what is set of the key, with what is to be told of each.
func (s *suite) list(of func(e remind.Entry) string) string {
	s.Helper()
	all, err := s.Two.List(s.Context(), "kind", "id")
	s.must(err)
	var names []string
	for _, e := range all {
		names = append(names, of(e))
	}
	return strings.Join(names, " ")
}

func nameOf(e remind.Entry) string { return e.Name }

func (s *suite) wantList(want string) {
	s.Helper()
	if got := s.list(nameOf); got != want {
		s.Errorf("%q are set, want %q", got, want)
	}
}

// reader receives what is due.
type reader struct {
	*suite
	src  consumer.Source
	seen []remind.Entry // all that was acked
}

func (s *suite) open(store remind.Store) *reader {
	s.Helper()
	src, err := store.Open(s.Context())
	s.must(err)
	r := &reader{suite: s, src: src}
	s.Cleanup(r.close)
	return r
}

func (r *reader) close() {
	if r.src != nil {
		if err := r.src.Close(context.Background()); err != nil && !errors.Is(err, consumer.ErrClosed) {
			r.Error(err)
		}
		r.src = nil
	}
}

// next is the next that is due and stands; what does not is acked.
func (r *reader) next(store remind.Store) (*consumer.Message, remind.Entry) {
	r.Helper()
	for {
		ms, err := r.src.Receive(r.Context(), 1)
		r.must(err)
		for _, m := range ms {
			stands, err := store.Stands(r.Context(), *m)
			r.must(err)
			if stands {
				e, err := remind.EntryOf(*m)
				r.must(err)
				return m, e
			}
			r.must(r.src.Ack(r.Context(), []*consumer.Message{m}))
		}
	}
}

// handle receives and acks what is due until it is name's.
func (r *reader) handle(store remind.Store, name string) (e remind.Entry) {
	r.Helper()
	for e.Name != name {
		var m *consumer.Message
		m, e = r.next(store)
		r.must(r.src.Ack(r.Context(), []*consumer.Message{m}))
		r.seen = append(r.seen, e)
	}
	return e
}

func (r *reader) wantSeen(want ...string) {
	r.Helper()
	var got []string
	for _, e := range r.seen {
		got = append(got, e.Name+" "+string(e.Data))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.Errorf("came %q, want %q", got, want)
	}
}

func testDue(s *suite) {
	at := in(soon)
	want := remind.Entry{Key: key("a"), At: at, Type: "some.Type", Data: []byte("\x00data\xff")}
	s.set(want)
	s.wantList("a")
	r := s.open(s.Two)
	got := r.handle(s.Two, "a")
	if !got.At.Equal(at) || fmt.Sprint(got) != fmt.Sprint(want) {
		s.Errorf("%+v came, want %+v", got, want)
	}
	s.wantList("")
}

func testNotEarly(s *suite) {
	r := s.open(s.One)
	for i := range 3 {
		at := in(soon + time.Duration(i)*77*time.Millisecond)
		s.set(once("a", at, ""))
		if r.handle(s.One, "a"); time.Now().Before(at) {
			s.Errorf("it came %v early", time.Until(at))
		}
	}
}

func testPast(s *suite) {
	s.set(once("a", time.Unix(1, 0), "1"), once("b", in(-time.Millisecond), "2"))
	r := s.open(s.One)
	r.handle(s.One, "a")
	if len(r.seen) == 1 {
		r.handle(s.One, "b")
	}
	s.wantList("")
}

func testZone(s *suite) {
	at := in(time.Hour)
	s.set(once("a", at.In(time.FixedZone("east", 5*3600)), ""), once("b", at.In(time.FixedZone("west", -7*3600-1800)), ""))
	show := func(e remind.Entry) string { return e.At.Format(time.RFC3339Nano) }
	if got, want := s.list(show), at.Format(time.RFC3339Nano); got != want+" "+want {
		s.Errorf("%s, want twice %s", got, want)
	}
}

func testReplaced(s *suite) {
	s.set(once("a", in(soon), "1"), once("a", in(soon), "2"), once("a", in(time.Hour), "3"), once("a", in(soon), "4"), once("end", in(2*soon), ""))
	r := s.open(s.One)
	r.handle(s.One, "end")
	r.wantSeen("a 4", "end ")
}

func testReplacedInFlight(s *suite) {
	s.set(once("a", in(0), "1"))
	r := s.open(s.One)
	m, _ := r.next(s.One)
	s.must(s.Two.Set(s.Context(), once("a", in(soon), "2")))
	if stands, err := s.One.Stands(s.Context(), *m); err != nil || stands {
		s.Errorf("what was replaced stands: %v, %v", stands, err)
	}
	if err := r.src.Ack(s.Context(), []*consumer.Message{m}); err != nil && !errors.Is(err, consumer.ErrGone) {
		s.Error(err)
	}
	s.wantList("a")
	r.handle(s.One, "a")
	r.wantSeen("a 2")
	s.wantList("")
}

func testCanceled(s *suite) {
	s.cancel(s.One, key("a"), false)
	s.set(once("a", in(soon), "1"), once("b", in(soon), "2"), once("end", in(2*soon), ""))
	s.cancel(s.Two, key("a"), true)
	s.cancel(s.One, key("a"), false)
	s.wantList("b end")
	r := s.open(s.One)
	r.handle(s.One, "end")
	r.wantSeen("b 2", "end ")
	s.set(once("a", in(0), "3"))
	r.handle(s.One, "a")
	r.wantSeen("b 2", "end ", "a 3")
}

func testCanceledInFlight(s *suite) {
	again := once("a", in(0), "1")
	again.Every = time.Second
	s.set(again)
	r := s.open(s.One)
	m, _ := r.next(s.One)
	s.cancel(s.Two, key("a"), true)
	if stands, err := s.One.Stands(s.Context(), *m); err != nil || stands {
		s.Errorf("what was cancelled stands: %v, %v", stands, err)
	}
	if err := r.src.Ack(s.Context(), []*consumer.Message{m}); err != nil && !errors.Is(err, consumer.ErrGone) {
		s.Error(err)
	}
	s.wantList("")
	s.set(once("end", in(2*time.Second), ""))
	r.handle(s.One, "end")
	r.wantSeen("end ")
}

func testList(s *suite) {
	other := once("x", in(time.Hour), "")
	other.ID = "other"
	kind := once("y", in(time.Hour), "")
	kind.Kind = "kin"
	again := once("b", in(time.Hour), "data")
	again.Every = time.Minute
	s.wantList("")
	s.set(once("c", in(time.Hour), ""), again, other, kind, once("a", in(time.Hour), ""))
	s.wantList("a b c")
	all, err := s.One.List(s.Context(), "kind", "id")
	s.must(err)
	if got, want := fmt.Sprintf("%+v", all[1]), fmt.Sprintf("%+v", again); got != want {
		s.Errorf("%s, want %s", got, want)
	}
}

func testKeys(s *suite) {
	parts := []string{"a", "a/b", "a.b", "*", ">", "a b", "a=b", "=", "ä", "\x00", "\xff", "A", strings.Repeat("k", 100), "a."}
	for i, part := range parts {
		e := once(part, in(time.Hour), fmt.Sprint(i))
		e.ID = part
		s.set(e)
	}
	for i, part := range parts {
		all, err := s.Two.List(s.Context(), "kind", part)
		s.must(err)
		if len(all) != 1 || all[0].Name != part || all[0].ID != part || string(all[0].Data) != fmt.Sprint(i) {
			s.Errorf("%q: %+v", part, all)
		}
	}
	s.cancel(s.One, remind.Key{Kind: "kind", ID: "a", Name: "a/b"}, false)
	s.cancel(s.One, remind.Key{Kind: "kind", ID: "a", Name: "a"}, true)
	s.cancel(s.One, remind.Key{Kind: "kind", ID: "A", Name: "A"}, true)
}

func testRepeats(s *suite) {
	again := once("a", in(soon), "x")
	again.Every = time.Second
	s.set(again)
	r := s.open(s.One)
	var last time.Time
	for range 3 {
		got := r.handle(s.One, "a")
		if after := got.At.Sub(again.At); after%time.Second != 0 || !got.At.After(last) || time.Now().Before(got.At) {
			s.Errorf("due at %v, the first at %v, the one before at %v, now it is %v", got.At, again.At, last, in(0))
		}
		last = got.At
		s.wantList("a")
	}
	s.cancel(s.Two, key("a"), true)
	r.seen = nil
	s.set(once("end", in(2*time.Second), ""))
	r.handle(s.One, "end")
	r.wantSeen("end ")
}

func testMissed(s *suite) {
	again := once("a", in(-100*time.Hour), "")
	again.At = again.At.Add(30 * time.Minute)
	again.Every = time.Hour
	s.set(again)
	r := s.open(s.One)
	begun := in(0)
	if got := r.handle(s.One, "a"); !got.At.Equal(again.At) {
		s.Errorf("due at %v, want %v", got.At, again.At)
	}
	all, err := s.One.List(s.Context(), "kind", "id")
	s.must(err)
	if len(all) != 1 || !all[0].At.After(begun) || all[0].At.After(in(time.Hour)) || all[0].At.Sub(again.At)%time.Hour != 0 {
		s.Errorf("%+v follows", all)
	}
}

func testNack(s *suite) {
	s.set(once("a", in(0), "1"))
	r := s.open(s.One)
	m, _ := r.next(s.One)
	s.must(r.src.Nack(s.Context(), []consumer.Nack{{Message: m}}))
	s.wantList("a")
	r.handle(s.One, "a")
	r.wantSeen("a 1")
	s.wantList("")
}

// bury gives up what is due next.
func (r *reader) bury() {
	r.Helper()
	m, _ := r.next(r.One)
	r.must(r.src.(consumer.DeadLetterer).DeadLetter(r.Context(), []consumer.Dead{{Message: m, Reason: errors.New("the reason"), Tries: 3}}))
}

func (s *suite) wantDead(want string) {
	s.Helper()
	var got []string
	for _, m := range s.Dead(s.T) {
		e, err := remind.EntryOf(m)
		s.must(err)
		got = append(got, e.Name+": "+m.Attributes[consumer.AttrReason])
	}
	if strings.Join(got, ", ") != want {
		s.Errorf("dead letters: %q, want %q", got, want)
	}
}

func testDead(s *suite) {
	s.set(once("a", in(0), "1"))
	s.open(s.One).bury()
	s.wantList("")
	s.wantDead("a: the reason")
}

func testDeadRepeats(s *suite) {
	again := once("a", in(0), "1")
	again.Every = time.Second
	s.set(again)
	r := s.open(s.One)
	r.bury()
	s.wantList("a")
	if got := r.handle(s.One, "a"); !got.At.After(again.At) {
		s.Errorf("due at %v again", got.At)
	}
	s.wantDead("a: the reason")
}

func testSourceEnds(s *suite) {
	s.set(once("a", in(0), "1"))
	r := s.open(s.One)
	m, _ := r.next(s.One)
	s.must(r.src.Nack(s.Context(), []consumer.Nack{{Message: m}}))
	r.close()
	r = s.open(s.Two)
	r.handle(s.Two, "a")
	r.wantSeen("a 1")
}

func testMany(s *suite) {
	var all sync.WaitGroup
	for i, store := range []remind.Store{s.One, s.Two, s.One, s.Two} {
		all.Go(func() {
			for n := range 10 {
				if err := store.Set(s.Context(), once("a", in(time.Hour), "")); err != nil {
					s.Error(err)
				}
				if n == 9 || i < 2 {
					continue
				}
				if _, err := store.Cancel(s.Context(), key("a")); err != nil {
					s.Error(err)
				}
			}
		})
	}
	all.Wait()
	s.wantList("a")
	s.set(once("a", in(soon), "last"), once("end", in(2*soon), ""))
	r := s.open(s.One)
	r.handle(s.One, "end")
	r.wantSeen("a last", "end ")
	s.wantList("")
}

func testContext(s *suite) {
	s.set(once("a", in(time.Hour), "1"))
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if err := s.One.Set(ctx, once("a", in(0), "2")); err == nil {
		s.Error("set")
	}
	if _, err := s.One.Cancel(ctx, key("a")); err == nil {
		s.Error("cancel")
	}
	if _, err := s.One.List(ctx, "kind", "id"); err == nil {
		s.Error("list")
	}
}

type word = *wrapperspb.StringValue

// program is a grid with one kind, whose workers are sent words, and what delivers to it.
type program struct {
	*suite
	rs    *remind.Reminders
	grid  *grid.Grid
	root  *actor.RootContext
	pid   *actor.PID // of what delivers
	mu    sync.Mutex
	heard map[string]int // by word
}

// start starts one. fail is why a word fails, with how often it was tried before.
func (s *suite) start(store remind.Store, o consumer.Options, fail func(t *actors.Task, p *program, word string, before int) error) *program {
	s.Helper()
	p := &program{suite: s, heard: map[string]int{}}
	sys := actortest.NewSystem(s)
	p.root = sys.Root
	var err error
	p.grid, err = grid.Start(s.Context(), sys, grid.Options{Kinds: []grid.Kind{{
		Name: "kind", Accepts: []grid.Message{grid.MessageOf[word]()},
		Setup: func(w *actors.Worker, id string) error {
			actors.On(w, func(t *actors.Task, m word) error {
				p.mu.Lock()
				p.heard[m.Value]++
				before := p.heard[m.Value] - 1
				p.mu.Unlock()
				if fail != nil {
					return fail(t, p, m.Value, before)
				}
				return nil
			})
			return nil
		},
	}}})
	s.must(err)
	p.rs, err = remind.New(remind.Options{Store: store, Grid: p.grid, Consumer: o})
	s.must(err)
	p.pid, err = actors.Spawn(s.Context(), sys.Root, "reminders", p.rs.Setup, actors.Options{})
	s.must(err)
	return p
}

func (p *program) stop() consumer.Stats {
	p.Helper()
	actortest.Stop(p, p.root, p.pid, time.Minute)
	if _, err := p.grid.Drain(p.Context()); err != nil {
		p.Error(err)
	}
	stats := p.rs.Stats()
	if !stats.Agree() || stats.InFlight != 0 {
		p.Errorf("the account does not add up: %v", stats)
	}
	return stats
}

func (p *program) times(word string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard[word]
}

func (p *program) set(id, name, text string, at time.Time) {
	p.Helper()
	p.must(p.rs.Set(p.Context(), remind.Reminder{Kind: "kind", ID: id, Name: name, At: at, Message: wrapperspb.String(text)}))
}

// eventually waits for it, without a limit of its own: the test has one.
func (s *suite) eventually(what string, cond func() bool) {
	s.Helper()
	for !cond() {
		select {
		case <-s.Context().Done():
			s.Fatalf("%s: never", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

var errFails = errors.New("it fails")

var fastRetry = actors.Backoff{Initial: 10 * time.Millisecond, Max: 10 * time.Millisecond}

func testFails(s *suite) {
	p := s.start(s.One, consumer.Options{MaxTries: 4, Retry: fastRetry, Breaker: consumer.Breaker{Failures: -1}},
		func(_ *actors.Task, _ *program, word string, before int) error {
			if word == "never" || before < 2 {
				return errFails
			}
			return nil
		})
	p.set("id", "a", "third", in(soon))
	p.set("id", "b", "never", in(soon))
	s.eventually("both are done", func() bool { return s.list(nameOf) == "" })
	stats := p.stop()
	if p.times("third") != 3 || p.times("never") != 4 || stats.DeadLettered != 1 {
		s.Errorf("%v, %v", p.heard, stats)
	}
	s.wantDead("b: " + s.Dead(s.T)[0].Attributes[consumer.AttrReason])
	if why := s.Dead(s.T)[0].Attributes[consumer.AttrReason]; !strings.Contains(why, errFails.Error()) {
		s.Errorf("the reason is %q", why)
	}
}

func testTwoPrograms(s *suite) {
	a, b := s.start(s.One, consumer.Options{}, nil), s.start(s.Two, consumer.Options{}, nil)
	const n = 40
	for i := range n {
		p := a
		if i%2 == 0 {
			p = b
		}
		p.set(fmt.Sprint("id ", i%7), fmt.Sprint(i), fmt.Sprint("word ", i), in(soon))
	}
	left := func() (left []string) {
		for i := range n {
			if word := fmt.Sprint("word ", i); a.times(word)+b.times(word) == 0 {
				left = append(left, word)
			}
		}
		return left
	}
	s.eventually("all came", func() bool { return len(left()) == 0 })
	for i := range 7 {
		s.eventually("all are done", func() bool {
			all, err := a.rs.List(s.Context(), "kind", fmt.Sprint("id ", i))
			return err == nil && len(all) == 0
		})
	}
	a.stop()
	b.stop()
}

func testCanceledWhileFailing(s *suite) {
	p := s.start(s.One, consumer.Options{MaxTries: -1, Retry: fastRetry}, func(*actors.Task, *program, string, int) error { return errFails })
	p.set("id", "a", "a", in(0))
	s.eventually("it fails", func() bool { return p.times("a") > 2 })
	if was, err := p.rs.Cancel(s.Context(), "kind", "id", "a"); !was || err != nil {
		s.Errorf("cancel: %v, %v", was, err)
	}
	before := p.times("a")
	p.set("id", "b", "b", in(2*soon))
	s.eventually("the next comes", func() bool { return p.times("b") > 0 })
	if after := p.times("a"); after > before+1 { // one may have been on its way
		s.Errorf("it was delivered %d times after it was cancelled", after-before)
	}
	if _, err := p.rs.Cancel(s.Context(), "kind", "id", "b"); err != nil {
		s.Error(err)
	}
	if stats := p.stop(); stats.DeadLettered != 0 {
		s.Errorf("%v", stats)
	}
	s.wantList("")
}

func testFromWorker(s *suite) {
	p := s.start(s.One, consumer.Options{}, func(t *actors.Task, p *program, word string, before int) error {
		return t.AwaitOffload(func(ctx context.Context) error {
			switch word {
			case "first":
				return p.rs.Set(ctx, remind.Reminder{Kind: "kind", ID: "id", Name: "b", Every: time.Second, Message: wrapperspb.String("second")})
			case "second":
				if before == 1 {
					_, err := p.rs.Cancel(ctx, "kind", "id", "b")
					return err
				}
			}
			return nil
		})
	})
	p.set("id", "a", "first", in(0))
	s.eventually("it has cancelled itself", func() bool { return p.times("second") >= 2 && s.list(nameOf) == "" })
	p.set("id", "end", "end", in(2*time.Second))
	s.eventually("the end comes", func() bool { return p.times("end") > 0 })
	if n := p.times("second"); n != 2 {
		s.Errorf("it came %d times", n)
	}
	s.eventually("all are done", func() bool { return s.list(nameOf) == "" })
	p.stop()
}
