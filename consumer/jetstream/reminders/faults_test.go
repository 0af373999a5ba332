// SPDX-License-Identifier: Apache-2.0

package reminders_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/consumer/jetstream/reminders"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/remind"
)

// dirVariable has the test binary be a program that delivers, and ends when it is killed.
const dirVariable = "PROTOLOOP_TEST_REMINDERS_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		deliverIn(dir)
	}
	actortest.Main(m)
}

func entryAt(name string, at time.Time, every time.Duration) remind.Entry {
	return remind.Entry{Key: remind.Key{Kind: "kind", ID: "id", Name: name}, At: at.UTC(), Every: every, Type: "type"}
}

func failOn(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// receiveDue acks what is due and stands, until seen says that it was the last.
func receiveDue(ctx context.Context, s *reminders.Store, seen func(e remind.Entry) (last bool)) error {
	src, err := s.Open(ctx)
	if err != nil {
		return err
	}
	for last := false; !last; {
		ms, err := src.Receive(ctx, 1)
		if err != nil {
			return err
		}
		for _, m := range ms {
			stands, err := s.Stands(ctx, *m)
			if err == nil && stands {
				var e remind.Entry
				if e, err = remind.EntryOf(*m); err == nil {
					last = seen(e)
				}
			}
			if err == nil {
				err = src.Ack(ctx, []*consumer.Message{m})
			}
			if err != nil {
				return err
			}
		}
	}
	return src.Close(ctx)
}

// receiveNames of what comes, up to one that is called so.
func receiveNames(t *testing.T, s *reminders.Store, last string) (all []string) {
	t.Helper()
	failOn(t, receiveDue(t.Context(), s, func(e remind.Entry) bool {
		all = append(all, e.Name)
		return e.Name == last
	}))
	return all
}

func listNames(t *testing.T, s *reminders.Store) string {
	t.Helper()
	all, err := s.List(t.Context(), "kind", "id")
	failOn(t, err)
	var names []string
	for _, e := range all {
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

// TestSurvivesTheServersEnd: what is set comes when the program and its server have ended meanwhile, be
// it due before or after they are there again.
func TestSurvivesTheServersEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir)
	store := s.store()
	failOn(t, store.Set(t.Context(), entryAt("canceled", time.Now().Add(time.Second), 0)))
	if _, err := store.Cancel(t.Context(), remind.Key{Kind: "kind", ID: "id", Name: "canceled"}); err != nil {
		t.Fatal(err)
	}
	failOn(t, store.Set(t.Context(), entryAt("again", time.Now(), time.Hour)))
	for i, after := range []time.Duration{0, 50 * time.Millisecond, time.Second, 3 * time.Second} {
		failOn(t, store.Set(t.Context(), entryAt(fmt.Sprint(i), time.Now().Add(after), 0)))
	}
	s.stop()
	s = startServer(t, dir)
	store = s.store()
	seen := map[string]bool{}
	failOn(t, receiveDue(t.Context(), store, func(e remind.Entry) bool { seen[e.Name] = true; return len(seen) == 5 }))
	if seen["canceled"] {
		t.Errorf("%v came", seen)
	}
	if got := listNames(t, store); got != "again" {
		t.Errorf("%q are set", got)
	}
}

// deliverIn delivers what is due in a folder and prints its names, for ever.
func deliverIn(dir string) {
	srv, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	nc, err := srv.Connect(nats.Timeout(time.Minute))
	if err != nil {
		panic(err)
	}
	store, err := reminders.New(nc, reminders.Options{Lease: time.Second})
	if err != nil {
		panic(err)
	}
	for i := range repeating {
		if _, err := os.Stat(dir + ".set"); err == nil {
			break // by the first
		}
		if err := store.Set(context.Background(), entryAt(fmt.Sprint("again ", i), time.Now(), 300*time.Millisecond)); err != nil {
			panic(err)
		}
	}
	if err := os.WriteFile(dir+".set", nil, 0o600); err != nil {
		panic(err)
	}
	panic(receiveDue(context.Background(), store, func(e remind.Entry) bool { fmt.Println(e.Name); return false }))
}

const repeating = 20

// TestKilled kills programs that deliver at any moment, with their server. None of the reminders that
// repeat is lost, and all of them come again.
func TestKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed ", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), dirVariable+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		failOn(t, err)
		failOn(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 1 + random.IntN(30) {
			if !lines.Scan() {
				t.Error("the program has ended by itself")
				break
			}
		}
		failOn(t, cmd.Process.Kill())
		_ = cmd.Wait() // it says that it was killed
	}
	store := startServer(t, dir).store()
	if all, err := store.List(t.Context(), "kind", "id"); err != nil || len(all) != repeating {
		t.Fatalf("%d of %d are set: %v", len(all), repeating, err)
	}
	seen := map[string]bool{}
	failOn(t, receiveDue(t.Context(), store, func(e remind.Entry) bool { seen[e.Name] = true; return len(seen) == repeating }))
}

// publishDue is what a raw message in the stream is confirmed with.
func publishDue(t *testing.T, nc *nats.Conn, kind string, e remind.Entry, version uint64) uint64 {
	t.Helper()
	js, err := natsjs.New(nc)
	failOn(t, err)
	m := nats.NewMsg(fmt.Sprintf("reminders.%s.kind.id.%s", kind, e.Name))
	if version > 0 {
		m.Subject += fmt.Sprint(".", version)
		m.Header.Set("Reminder-Version", fmt.Sprint(version))
	}
	m.Data, _ = e.AppendBinary(nil)
	ack, err := js.PublishMsg(t.Context(), m)
	failOn(t, err)
	return ack.Sequence
}

// TestEndsBeforeTheTimer: a program has stored a record and ended before it had a timer. What the timer
// before makes due has the missing one made, and does not come itself.
func TestEndsBeforeTheTimer(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	store := s.store()
	for _, name := range []string{"a", "b"} {
		failOn(t, store.Set(t.Context(), entryAt(name, time.Now().Add(time.Second), 0)))
	}
	again := entryAt("a", time.Now(), 0)
	again.Data = []byte("later")
	publishDue(t, s.connect(), "record", again, 0)
	var came []string
	failOn(t, receiveDue(t.Context(), store, func(e remind.Entry) bool {
		came = append(came, e.Name+string(e.Data))
		return len(came) == 2
	}))
	if got := strings.Join(came, " "); got != "b alater" && got != "alater b" {
		t.Errorf("%q came", got)
	}
	if got := listNames(t, store); got != "" {
		t.Errorf("%q are set", got)
	}
}

// TestLateTimer: what a timer makes due that was cancelled or replaced at that moment is not delivered, and
// does not bring the reminder back.
func TestLateTimer(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	store, nc := s.store(), s.connect()
	first, second := entryAt("a", time.Now().Add(time.Hour), time.Hour), entryAt("b", time.Now().Add(time.Hour), 0)
	failOn(t, store.Set(t.Context(), first))
	failOn(t, store.Set(t.Context(), second))
	if _, err := store.Cancel(t.Context(), first.Key); err != nil {
		t.Fatal(err)
	}
	failOn(t, store.Set(t.Context(), second))
	for version := range uint64(6) { // whatever those of the first were
		if version > 0 {
			publishDue(t, nc, "due", first, version)
			if version < 5 {
				publishDue(t, nc, "due", second, version)
			}
		}
	}
	failOn(t, store.Set(t.Context(), entryAt("end", time.Now().Add(time.Second), 0)))
	if came := receiveNames(t, store, "end"); fmt.Sprint(came) != "[end]" {
		t.Errorf("%q came", came)
	}
	if got := listNames(t, store); got != "b" {
		t.Errorf("%q are set", got)
	}
	js, err := natsjs.New(nc)
	failOn(t, err)
	stream, err := js.Stream(t.Context(), "REMINDERS")
	failOn(t, err)
	if n := stream.CachedInfo().State.Msgs; n != 2 { // the record of b and its timer
		t.Errorf("%d messages are left", n)
	}
}

// TestSetReadsNothing: neither what is new nor what takes the place of another is read before it is set: that would be one more round
// trip, by the API of the server, which takes several times as long as a write.
func TestSetReadsNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	store, nc := s.store(), s.connect()
	failOn(t, store.Ensure(t.Context()))
	reads, err := nc.SubscribeSync("$JS.API.STREAM.MSG.GET.>")
	failOn(t, err)
	failOn(t, nc.Flush())
	for i := range 3 {
		e := entryAt("a", time.Now().Add(time.Hour), 0)
		e.Data = []byte{byte(i)}
		failOn(t, store.Set(t.Context(), e))
	}
	failOn(t, nc.Flush()) // behind what the server has passed on
	if n, _, err := reads.Pending(); n != 0 || err != nil {
		t.Errorf("%d reads, %v", n, err)
	}
	all, err := store.List(t.Context(), "kind", "id") // which reads
	failOn(t, err)
	if len(all) != 1 || string(all[0].Data) != "\x02" {
		t.Errorf("%v are set", all)
	}
	if _, err := reads.NextMsgWithContext(t.Context()); err != nil {
		t.Errorf("a read was not seen: %v", err)
	}
}

// TestForeign: what is no reminder is a dead letter.
func TestForeign(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	store, nc := s.store(), s.connect()
	failOn(t, store.Ensure(t.Context()))
	js, err := natsjs.New(nc)
	failOn(t, err)
	for i, body := range []string{"text", "", "\x01"} {
		_, err = js.Publish(t.Context(), fmt.Sprint("reminders.due.foreign.", i), []byte(body))
		failOn(t, err)
	}
	publishDue(t, nc, "due", entryAt("a", time.Now(), 0), 0) // without a version
	sys := actortest.NewSystem(t)
	g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{{
		Name: "kind", Accepts: []grid.Message{grid.MessageOf[*wrapperspb.StringValue]()},
		Setup: func(*actors.Worker, string) error { t.Error("a worker was started"); return nil },
	}}})
	failOn(t, err)
	rs, err := remind.New(remind.Options{Store: store, Grid: g})
	failOn(t, err)
	pid, err := actors.Spawn(t.Context(), sys.Root, "reminders", rs.Setup, actors.Options{})
	failOn(t, err)
	for rs.Stats().DeadLettered < 4 {
		select {
		case <-t.Context().Done():
			t.Fatal(rs.Stats())
		case <-time.After(10 * time.Millisecond):
		}
	}
	actortest.Stop(t, sys.Root, pid, time.Minute)
	if _, err := g.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(deadLetters(t, nc, "REMINDERS")); n != 4 {
		t.Errorf("%d dead letters", n)
	}
}

// TestUnfitStreams: a stream in which reminders would be lost is refused.
func TestUnfitStreams(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := s.connect()
	js, err := natsjs.New(nc)
	failOn(t, err)
	fit := natsjs.StreamConfig{AllowMsgSchedules: true, AllowRollup: true, MaxMsgsPerSubject: 1, Retention: natsjs.WorkQueuePolicy}
	for name, change := range map[string]func(c *natsjs.StreamConfig){
		"":                    func(*natsjs.StreamConfig) {},
		"2.12":                func(c *natsjs.StreamConfig) { c.AllowMsgSchedules = false },
		"MaxMsgsPerSubject":   func(c *natsjs.StreamConfig) { c.MaxMsgsPerSubject = 2 },
		"expire":              func(c *natsjs.StreamConfig) { c.MaxAge = time.Hour },
		"Retention":           func(c *natsjs.StreamConfig) { c.Retention = natsjs.LimitsPolicy },
		"AllowDirect":         func(c *natsjs.StreamConfig) { c.AllowDirect = true },
		"what is sent to":     func(c *natsjs.StreamConfig) { c.Subjects = []string{"elsewhere"} },
		"no name of a stream": nil,
	} {
		t.Run(cmp.Or(name, "fit"), func(t *testing.T) {
			o := reminders.Options{Name: strings.ReplaceAll("S"+name, ".", "_")}
			o.Name = strings.ReplaceAll(o.Name, " ", "_")
			if change == nil {
				o.Name = "a b"
			} else {
				c := fit
				c.Name, c.Subjects = o.Name, []string{strings.ToLower(o.Name) + ".>"}
				change(&c)
				_, err := js.CreateStream(t.Context(), c)
				failOn(t, err)
			}
			store, err := reminders.New(nc, o)
			if err == nil {
				err = store.Set(t.Context(), entryAt("a", time.Now(), 0))
			}
			if (err == nil) != (name == "") || err != nil && !strings.Contains(err.Error(), name) {
				t.Error(err)
			}
		})
	}
}

// TestServerIsAway: what cannot be stored fails.
func TestServerIsAway(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	store := s.store()
	failOn(t, store.Set(t.Context(), entryAt("a", time.Now().Add(time.Hour), 0)))
	s.stop()
	if err := store.Set(t.Context(), entryAt("a", time.Now(), 0)); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Error(err)
	}
	if _, err := store.Cancel(t.Context(), entryAt("a", time.Now(), 0).Key); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Error(err)
	}
}
