// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
)

var seed = flag.Uint64("grid.seed", 0, "has TestModel make the choices of that seed again; who runs first is the scheduler's choice")

// model is what must hold of many keys whatever happens to them. Each message of a sender to
// a key has a number, which grows.
type model struct {
	*testing.T
	sys *actor.ActorSystem
	g   *grid.Grid

	mu    sync.Mutex
	up    map[string]int            // incarnations between the begin of setup and their last end
	began map[string]int64          // the last number that a worker of the key has begun, by key and sender
	tasks map[string]map[uint64]int // by key: tasks in flight of each incarnation
	nth   map[string]uint64         // incarnations that there have been of a key
	seed  uint64
	last  uint64 // incarnation

	drains bool   // the drain is about to begin, or has
	told   [4]int // answers, failures that have run, that have not, unknown
}

func (m *model) setup(w *actors.Worker, id string) error {
	m.mu.Lock()
	m.nth[id]++
	number, _ := strconv.ParseUint(id[1:], 10, 64)
	random := rand.New(rand.NewPCG(m.seed+number, m.nth[id]))
	m.last++
	incarnation := m.last
	if m.up[id]++; m.up[id] > 1 {
		m.Errorf("%s: a second incarnation begins while there is one", id)
	}
	for other, n := range m.tasks[id] {
		if n > 0 {
			m.Errorf("%s: %d tasks of incarnation %d have not ended when %d begins", id, n, other, incarnation)
		}
	}
	m.tasks[id] = map[uint64]int{}
	m.mu.Unlock()
	down := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.up[id]--
	}
	if random.IntN(3) == 0 {
		if err := w.Task().Sleep(time.Duration(random.IntN(int(time.Second)))); err != nil {
			down()
			return err
		}
	}
	if random.IntN(8) == 0 {
		down()
		return errRefused
	}
	w.OnStop(func(t *actors.Task) error {
		if random.IntN(3) == 0 {
			t.Sleep(time.Duration(random.IntN(int(100 * time.Millisecond))))
		}
		down()
		return nil
	})
	inFlight := func(n int) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.tasks[id][incarnation] += n
	}
	actors.Handle(w, func(t *actors.Task, msg word) (word, error) {
		inFlight(1)
		defer inFlight(-1)
		var sender string
		var n int64
		var what string
		fmt.Sscan(msg.Value, &sender, &n, &what)
		m.mu.Lock()
		if m.began[id+sender] >= n {
			m.Errorf("%s: number %d of %s begins after %d", id, n, sender, m.began[id+sender])
		}
		m.began[id+sender] = n
		m.mu.Unlock()
		switch what {
		case "crash":
			panic("asked to")
		case "exit":
			t.Exit(nil)
		case "later":
			t.After(2*time.Second, func(*actors.Task) error { return nil })
		case "sleep":
			if err := t.Sleep(time.Duration(random.IntN(int(3 * time.Second)))); err != nil {
				return nil, err
			}
		}
		return msg, nil
	})
	return nil
}

// note notes what an asker was told.
func (m *model) note(sent string, v word, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil && v.GetValue() != sent:
		m.Errorf("asked %q, was answered %q", sent, v.GetValue())
	case err == nil:
		m.told[0]++
	case actors.RetrySafe(err):
		m.told[2]++
		if !m.drains && errors.Is(err, actors.ErrStopping) {
			m.Errorf("%q was lost between two workers: %v", sent, err)
		}
		if !errors.Is(err, actors.ErrUnavailable) && !errors.Is(err, actors.ErrStopping) && !errors.Is(err, actors.ErrMailboxFull) {
			m.Error(err)
		}
	case errors.Is(err, actors.ErrTimeout), errors.Is(err, actors.ErrCanceled):
		m.told[3]++
	case errors.Is(err, actors.ErrRestarted), errors.Is(err, actors.ErrStopped), strings.Contains(err.Error(), "asked to"):
		m.told[1]++
	default:
		m.Errorf("%q: %v", sent, err)
	}
}

func (m *model) setDrains(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drains = on
}

// send has a sender ask and send in turn, with pauses, and returns how many it has asked.
func (m *model) send(sender string, keys []string, steps int, random *rand.Rand) {
	numbers := map[string]int64{}
	var answers sync.WaitGroup
	for range steps {
		id := keys[random.IntN(len(keys))]
		numbers[id]++
		what := []string{"", "", "", "", "sleep", "sleep", "later", "exit", "crash"}[random.IntN(9)]
		sent := fmt.Sprintf("%s %d %s", sender, numbers[id], what)
		pid := m.g.PID("key", id)
		switch random.IntN(4) {
		case 0:
			m.sys.Root.Send(pid, say(sent))
		default:
			var opts []actors.CallOption
			if random.IntN(3) == 0 {
				opts = append(opts, actors.Timeout(time.Duration(1+random.IntN(int(2*time.Second)))))
			}
			f := actors.RequestFuture[word](m.sys.Root, pid, say(sent), opts...)
			if random.IntN(20) == 0 {
				f.Cancel()
			}
			answers.Go(func() {
				v, err := f.Wait(m.Context())
				m.note(sent, v, err)
			})
		}
		switch random.IntN(6) {
		case 0:
			time.Sleep(time.Duration(random.IntN(int(8 * time.Second)))) // keys end idle meanwhile
		case 1:
			time.Sleep(time.Duration(random.IntN(int(10 * time.Millisecond))))
		}
	}
	answers.Wait()
}

// Many senders, few keys, idle ends, exits, crashes, setups that fail or last, and drains in
// between: every ask ends once, the order of each sender to a key holds, no two incarnations of
// a key overlap, and the account adds up.
func TestModel(t *testing.T) {
	rounds := uint64(40)
	if testing.Short() {
		rounds = 6
	}
	first := uint64(time.Now().UnixNano())
	if *seed != 0 {
		first, rounds = *seed, 1
	}
	for s := first; s < first+rounds; s++ {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) { runModel(t, sys, s) })
		if t.Failed() {
			t.Fatalf("repeat it with -grid.seed=%d", s)
		}
	}
}

func runModel(t *testing.T, sys *actor.ActorSystem, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	m := &model{T: t, sys: sys, up: map[string]int{}, began: map[string]int64{}, tasks: map[string]map[uint64]int{}, nth: map[string]uint64{}, seed: seed}
	k := grid.Kind{
		Name: "key", Setup: m.setup, Accepts: accepts(), Share: random.IntN(2) == 0, Idle: 2 * time.Second,
		Options: actors.Options{StopGrace: 2 * time.Second}, MaxRestarts: 2, Within: time.Second,
	}
	if random.IntN(4) == 0 {
		k.Options.MaxInFlight = 1
	}
	if random.IntN(4) == 0 {
		k.Options.MailboxSize = 5
	}
	const senders, steps = 8, 120
	keys := ids("k", 1+random.IntN(12))
	var asked sync.WaitGroup
	var err error
	for round := range 2 { // a grid, and the next
		if m.g, err = grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{k}}); err != nil {
			t.Fatal(err)
		}
		m.began = map[string]int64{}
		m.setDrains(false)
		for s := range senders {
			r := rand.New(rand.NewPCG(random.Uint64(), 2))
			asked.Go(func() { m.send(fmt.Sprint("s", s), keys, steps, r) })
		}
		if round == 0 || random.IntN(2) == 0 {
			asked.Wait()
		} else {
			time.Sleep(time.Duration(random.IntN(int(2 * time.Minute))))
		}
		m.setDrains(true)
		report, err := m.g.Drain(t.Context())
		asked.Wait() // what is asked after it is told ErrStopping
		synctest.Wait()
		if c := report.Counts(); err != nil || !c.Agree() || c.Pending != 0 || c.Abandoned != 0 {
			t.Errorf("%v, %v", report, err)
		}
		for id, n := range m.up {
			if n != 0 {
				t.Errorf("%s: %d incarnations are left", id, n)
			}
		}
	}
	if m.told[0] == 0 || m.told[1] == 0 {
		t.Errorf("nothing was answered, or nothing has failed: %v", m.told)
	}
}

// Workers that end all the time, and senders that do not pause: nothing is lost, and nothing is
// handled twice or out of order. In real time, as only there a sender is held up between two
// steps of ours.
func TestNothingIsLost(t *testing.T) {
	for _, share := range []bool{false, true} {
		testNothingIsLost(t, share)
	}
}

func testNothingIsLost(t *testing.T, share bool) {
	const senders, keys = 8, 3
	n := int64(20_000)
	if testing.Short() {
		n = 3_000
	}
	sys := actortest.NewSystem(t)
	var began, up [keys]struct {
		sync.Mutex
		last [senders]int64
		n    int
	}
	g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{{
		Name: "key", Accepts: accepts(), Share: share, Idle: 10 * time.Millisecond, Setup: func(w *actors.Worker, id string) error {
			key := id[0] - '0'
			change := func(by int) {
				up[key].Lock()
				defer up[key].Unlock()
				if up[key].n += by; up[key].n > 1 {
					t.Errorf("%d workers of %s at a time", up[key].n, id)
				}
			}
			change(1)
			w.OnStop(func(*actors.Task) error { change(-1); return nil })
			handled := 0
			actors.Handle(w, func(t2 *actors.Task, m number) (number, error) {
				sender, nth := m.Value%senders, m.Value/senders
				b := &began[key]
				b.Lock()
				defer b.Unlock()
				if b.last[sender]+1 != nth {
					t.Errorf("%s: %d of sender %d comes after %d", id, nth, sender, b.last[sender])
				}
				b.last[sender] = nth
				if handled++; handled%7 == 0 {
					t2.Exit(nil)
				}
				return m, nil
			})
			return nil
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for s := range int64(senders) {
		all.Go(func() {
			for i := range n {
				pid := g.PID("key", fmt.Sprint(i%keys))
				m := count((i/keys+1)*senders + s)
				if i%4 == s%4 {
					sys.Root.Send(pid, m)
					continue
				}
				f := actors.RequestFuture[number](sys.Root, pid, m)
				if i%16 == 0 {
					if _, err := f.Wait(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	report, err := g.Drain(t.Context())
	if c := report.Counts(); err != nil || c.Finished != senders*n || c.Offered != senders*n {
		t.Errorf("%v, %v", c, err)
	}
}
