// SPDX-License-Identifier: Apache-2.0

// Package statetest has the tests that a store of package state must pass, and a store with faults
// for other tests.
package statetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/state"
)

// Run tries a store. It may have records, but of no key that begins with a name of t. If its owners start saves, all is
// tried with that, too.
func Run(t *testing.T, store state.Store) {
	tests := map[string]func(t *testing.T, s state.Store, key string){
		"a new key has an empty record":               testNew,
		"what was saved is there":                     testSaved,
		"changes are added, and a snapshot ends them": testChanges,
		"a former owner is fenced":                    testFenced,
		"a save that is made again has one effect":    testAgain,
		"a save that comes late changes nothing":      testLate,
		"a save before the last is no gap":            testGap,
		"each owner has a token of its own":           testTokens,
		"the same save at the same time":              testSameSave,
		"keys of any bytes are apart":                 testKeys,
		"two callers do not share what is returned":   testOwnRoom,
		"large values":                                testLarge,
		"an ended context":                            testContext,
		"a worker, with answers lost and outages":     testWorker,
		"two owners of one key":                       testTwoOwners,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, store, t.Name()) })
	}
	o, _ := open(t, store, t.Name())
	if _, is := o.(state.Limited); is {
		t.Run("the largest record", func(t *testing.T) { testLargest(t, store, t.Name()) })
	}
	if !isStarter(o) {
		return
	}
	t.Run("a save is started", func(t *testing.T) { testStarts(t, store, t.Name()) })
	for name, test := range tests {
		t.Run("started: "+name, func(t *testing.T) { test(t, Starting{store}, t.Name()) })
	}
}

func isStarter(o state.Owner) bool {
	_, is := o.(state.Starter)
	return is
}

// Starting is a store whose owners start saves. Their Save is to start one, and to call theirs if that does not know.
type Starting struct{ state.Store }

// Open is [state.Store]'s.
func (s Starting) Open(ctx context.Context, key string) (state.Owner, state.Record, error) {
	o, r, err := s.Store.Open(ctx, key)
	if err != nil {
		return nil, r, err
	}
	return startingOwner{o.(state.Starter)}, r, nil
}

type startingOwner struct{ o state.Starter }

// Save is [state.Owner]'s.
func (s startingOwner) Save(ctx context.Context, w state.Write) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if _, err := s.o.Start(w).Wait(ctx); err == nil || errors.Is(err, actors.ErrFenced) || errors.Is(err, state.ErrTooLarge) {
		return err
	}
	return s.o.Save(ctx, w)
}

// testLargest: a limited store takes a record of its size, and fails for good with one that is longer.
func testLargest(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	most := o.(state.Limited).MaxSize()
	w := state.Write{Token: r.Token, Seq: 1}
	for w.Snapshot = make([]byte, most); ; w.Snapshot = w.Snapshot[1:] {
		if data, err := r.Apply(w).AppendBinary(nil); err != nil {
			t.Fatal(err)
		} else if len(data) <= most {
			break
		}
	}
	save(t, o, w)
	w.Seq, w.Snapshot = 2, append(w.Snapshot, 0)
	if err := o.Save(t.Context(), w); !errors.Is(err, state.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	if starter, is := o.(state.Starter); is {
		if _, err := starter.Start(w).Wait(t.Context()); !errors.Is(err, state.ErrTooLarge) {
			t.Errorf("one byte more, started: %v", err)
		}
	}
	w.Snapshot = w.Snapshot[1:]
	save(t, o, w)
	if _, r := open(t, s, key); len(r.Snapshot) != len(w.Snapshot) {
		t.Errorf("%d bytes are stored, and %d were saved", len(r.Snapshot), len(w.Snapshot))
	}
}

// testStarts: a store that always says that it does not know has nothing to start saves for.
func testStarts(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	for seq := uint64(1); ; seq++ {
		w := state.Write{Token: r.Token, Seq: seq, Changes: bytesOf("c")}
		_, err := o.(state.Starter).Start(w).Wait(t.Context())
		if err == nil {
			_, r := open(t, s, key)
			if uint64(len(r.Changes)) != seq {
				t.Errorf("%d of %d are stored", len(r.Changes), seq)
			}
			return
		}
		if errors.Is(err, actors.ErrFenced) || t.Context().Err() != nil {
			t.Fatal(err)
		}
		save(t, o, w) // the machine is slow
	}
}

func open(t *testing.T, s state.Store, key string) (state.Owner, state.Record) {
	t.Helper()
	o, r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return o, r
}

func save(t *testing.T, o state.Owner, w state.Write) {
	t.Helper()
	if err := o.Save(t.Context(), w); err != nil {
		t.Fatalf("save %d of owner %d: %v", w.Seq, w.Token, err)
	}
}

func want(t *testing.T, r state.Record, snapshot string, changes ...string) {
	t.Helper()
	var got []string
	for _, c := range r.Changes {
		got = append(got, string(c))
	}
	if string(r.Snapshot) != snapshot || fmt.Sprint(got) != fmt.Sprint(changes) || r.Seq != 0 || r.Token == 0 {
		t.Fatalf("the record is %q, %q, token %d, seq %d; want %q, %q", r.Snapshot, got, r.Token, r.Seq, snapshot, changes)
	}
}

func bytesOf(all ...string) (parts [][]byte) {
	for _, s := range all {
		parts = append(parts, []byte(s))
	}
	return parts
}

func testNew(t *testing.T, s state.Store, key string) {
	_, r := open(t, s, key)
	want(t, r, "")
	if r.Snapshot != nil {
		t.Error("there is a snapshot")
	}
	_, r = open(t, s, key)
	want(t, r, "")
}

func testSaved(t *testing.T, s state.Store, key string) {
	for i := range 3 {
		o, r := open(t, s, key)
		if i == 0 {
			want(t, r, "")
		} else {
			want(t, r, fmt.Sprint("value\x00\xff ", i-1, " 4"))
		}
		for n := range 5 {
			save(t, o, state.Write{Token: r.Token, Seq: uint64(n + 1), Snapshot: fmt.Appendf(nil, "value\x00\xff %d %d", i, n)})
		}
	}
}

func testChanges(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	save(t, o, state.Write{Token: r.Token, Seq: 1, Changes: bytesOf("a", "b\x00")})
	save(t, o, state.Write{Token: r.Token, Seq: 2, Changes: bytesOf("c")})
	o, r = open(t, s, key)
	want(t, r, "", "a", "b\x00", "c")
	save(t, o, state.Write{Token: r.Token, Seq: 1, Changes: bytesOf("d")}) // after those of the owner before
	save(t, o, state.Write{Token: r.Token, Seq: 2, Snapshot: []byte("all")})
	save(t, o, state.Write{Token: r.Token, Seq: 3, Changes: bytesOf("e", "f")})
	o, r = open(t, s, key)
	want(t, r, "all", "e", "f")
	save(t, o, state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("both"), Changes: bytesOf("g")})
	_, r = open(t, s, key)
	want(t, r, "both", "g")
}

func testFenced(t *testing.T, s state.Store, key string) {
	first, r1 := open(t, s, key)
	save(t, first, state.Write{Token: r1.Token, Seq: 1, Snapshot: []byte("first")})
	second, r2 := open(t, s, key)
	if r2.Token <= r1.Token {
		t.Fatalf("the token %d follows %d", r2.Token, r1.Token)
	}
	for _, w := range []state.Write{
		{Token: r1.Token, Seq: 2, Snapshot: []byte("stale")},
		{Token: r1.Token, Seq: 2, Changes: bytesOf("stale")},
	} {
		if err := first.Save(t.Context(), w); !errors.Is(err, actors.ErrFenced) {
			t.Fatalf("a stale save: %v", err)
		}
	}
	save(t, second, state.Write{Token: r2.Token, Seq: 1, Changes: bytesOf("second")})
	if err := first.Save(t.Context(), state.Write{Token: r1.Token, Seq: 2, Snapshot: []byte("stale")}); !errors.Is(err, actors.ErrFenced) {
		t.Fatalf("a stale save: %v", err)
	}
	_, r := open(t, s, key)
	want(t, r, "first", "second")
}

func testAgain(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	for seq := range uint64(3) {
		for range 3 {
			save(t, o, state.Write{Token: r.Token, Seq: seq + 1, Changes: bytesOf(fmt.Sprint(seq))})
		}
	}
	_, r = open(t, s, key)
	want(t, r, "", "0", "1", "2")
}

func testLate(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	save(t, o, state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("1")})
	save(t, o, state.Write{Token: r.Token, Seq: 2, Snapshot: []byte("2")})
	save(t, o, state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("1")})
	_, r = open(t, s, key)
	want(t, r, "2")
}

func testGap(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	save(t, o, state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("1")})
	if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: 3, Changes: bytesOf("3")}); !errors.Is(err, actors.ErrFenced) {
		t.Fatalf("a save was left out: %v", err)
	}
	_, r = open(t, s, key)
	want(t, r, "1")
}

func testTokens(t *testing.T, s state.Store, key string) {
	const n = 20
	var all sync.WaitGroup
	var mu sync.Mutex
	owners := map[uint64]state.Owner{}
	var greatest uint64
	for range n {
		all.Go(func() {
			o, r, err := s.Open(t.Context(), key)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if owners[r.Token] != nil {
				t.Errorf("two owners have the token %d", r.Token)
			}
			owners[r.Token], greatest = o, max(greatest, r.Token)
		})
	}
	all.Wait()
	for token, o := range owners {
		err := o.Save(t.Context(), state.Write{Token: token, Seq: 1, Snapshot: fmt.Append(nil, token)})
		if is := errors.Is(err, actors.ErrFenced); is != (token != greatest) || !is && err != nil {
			t.Errorf("token %d of %d: %v", token, greatest, err)
		}
	}
	_, r := open(t, s, key)
	want(t, r, fmt.Sprint(greatest))
}

func testSameSave(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	for seq := range uint64(5) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: seq + 1, Changes: bytesOf(fmt.Sprint(seq))}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	_, r = open(t, s, key)
	want(t, r, "", "0", "1", "2", "3", "4")
}

func testKeys(t *testing.T, s state.Store, key string) {
	keys := []string{"a", "a/b", "a.b", "a..b", ".", "*", ">", "a b", "a=b", "a%2Fb", "ä", "\x00", "\xff", "A", strings.Repeat("k", 200), "a/", "a//"}
	for i, k := range keys {
		o, r := open(t, s, key+k)
		want(t, r, "")
		save(t, o, state.Write{Token: r.Token, Seq: 1, Snapshot: fmt.Append(nil, i)})
	}
	for i, k := range keys {
		_, r := open(t, s, key+k)
		want(t, r, fmt.Sprint(i))
	}
}

func testOwnRoom(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	snapshot, change := []byte("snapshot"), []byte("change")
	save(t, o, state.Write{Token: r.Token, Seq: 1, Snapshot: snapshot, Changes: [][]byte{change}})
	_, r = open(t, s, key)
	_, other := open(t, s, key)
	one, two := append(r.Changes, []byte("one")), append(other.Changes, []byte("two"))
	if string(one[1]) != "one" || string(two[1]) != "two" {
		t.Errorf("%q, %q", one, two)
	}
	_, r = open(t, s, key)
	want(t, r, "snapshot", "change")
}

func testLarge(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	snapshot, change := bytes.Repeat([]byte("s"), 300_000), bytes.Repeat([]byte("c"), 100_000)
	save(t, o, state.Write{Token: r.Token, Seq: 1, Snapshot: snapshot})
	save(t, o, state.Write{Token: r.Token, Seq: 2, Changes: [][]byte{change, change}})
	_, r = open(t, s, key)
	want(t, r, string(snapshot), string(change), string(change))
}

func testContext(t *testing.T, s state.Store, key string) {
	o, r := open(t, s, key)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Save(ctx, state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("x")}); err == nil || errors.Is(err, actors.ErrFenced) {
		t.Errorf("a save: %v", err)
	}
	if _, _, err := s.Open(ctx, key); err == nil {
		t.Error("an open has succeeded")
	}
	_, r = open(t, s, key)
	if r.Snapshot != nil { // it may have gone out all the same
		want(t, r, "x")
	}
}

// errFault is what a store with faults returns.
var errFault = errors.New("the store does not answer")

type number = *wrapperspb.Int64Value

// counters is a kind whose workers add to a number of theirs, and answer with the sum.
func counters(store state.Store) grid.Kind {
	return grid.Kind{
		Name: "counter", Accepts: []grid.Message{grid.MessageOf[number]()}, MaxRestarts: 1_000_000, Backoff: actors.Backoff{Initial: time.Millisecond, Max: time.Millisecond},
		Setup: func(w *actors.Worker, id string) error {
			st, err := state.Load[int64](w, id, state.Options{Store: store, Kind: "counter", SaveWithin: time.Hour})
			if err != nil {
				return err
			}
			actors.Handle(w, func(t *actors.Task, n number) (number, error) {
				var sum int64
				err := st.Update(t, func(v *int64) error { *v += n.Value; sum = *v; return nil })
				return wrapperspb.Int64(sum), err
			})
			return nil
		},
	}
}

func startGrid(t *testing.T, k grid.Kind) (*grid.Grid, *actor.RootContext) {
	t.Helper()
	sys := actortest.NewSystem(t)
	g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{k}})
	if err != nil {
		t.Fatal(err)
	}
	return g, sys.Root
}

// stored is what a counter has in the store.
func stored(t *testing.T, s state.Store, id string) int64 {
	t.Helper()
	_, r := open(t, s, "counter/"+id)
	var n int64
	if r.Snapshot != nil {
		if _, err := fmt.Sscan(string(r.Snapshot[1:]), &n); err != nil { // the first byte is the version
			t.Fatal(err)
		}
	}
	return n
}

// testWorker: a save of which the answer is lost is made again, and counts once.
func testWorker(t *testing.T, s state.Store, key string) {
	seed := rand.Uint64()
	t.Log("seed ", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	fault := func(one int) Fault {
		return func(context.Context, string, string) error {
			mu.Lock()
			defer mu.Unlock()
			if random.IntN(one) == 0 {
				return errFault
			}
			return nil
		}
	}
	f := &Faulty{Store: s}
	f.Set(fault(6), fault(4))
	g, root := startGrid(t, counters(f))
	pid := g.PID("counter", key)
	const n = 60
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range n / 3 {
				if _, err := actors.Call[number](t.Context(), root, pid, wrapperspb.Int64(1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, err := g.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if got := stored(t, s, key); got != n {
		t.Errorf("%d of %d are stored", got, n)
	}
}

// testTwoOwners has two processes, as it were, that each take a key for theirs. What was acknowledged is
// never lost, and what was fenced is not stored.
func testTwoOwners(t *testing.T, s state.Store, key string) {
	var acknowledged, unknown atomic.Int64
	var all sync.WaitGroup
	for range 2 {
		g, root := startGrid(t, counters(s))
		pid := g.PID("counter", key)
		all.Go(func() {
			for range 40 {
				_, err := actors.Call[number](t.Context(), root, pid, wrapperspb.Int64(1))
				switch {
				case err == nil:
					acknowledged.Add(1)
				case actors.RetrySafe(err), errors.Is(err, actors.ErrFenced):
				default:
					unknown.Add(1)
					t.Log(err)
				}
			}
			if _, err := g.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := stored(t, s, key)
	t.Logf("%d are stored, %d were acknowledged, %d may be", got, acknowledged.Load(), unknown.Load())
	if got < acknowledged.Load() || got > acknowledged.Load()+unknown.Load() {
		t.Errorf("%d are stored, %d were acknowledged, %d may be", got, acknowledged.Load(), unknown.Load())
	}
}
