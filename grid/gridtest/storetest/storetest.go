// SPDX-License-Identifier: Apache-2.0

// Package storetest has the tests that a store of package grid must pass.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// Cluster is what a test needs of a store.
type Cluster struct {
	// Node is the store of another node. All are of one cluster.
	Node func(t *testing.T, name string) grid.Store
	// Shortest is the shortest time for which a session lasts. Tests wait for some of them.
	Shortest time.Duration
}

// Run tries a store. start makes an empty cluster for each test. Some tests wait for sessions to end, which takes
// seconds of real time or none of a testing/synctest bubble's: run, if not nil, is called with each test and may
// make one.
func Run(t *testing.T, start func(t *testing.T) Cluster, run func(t *testing.T, f func(t *testing.T))) {
	if run == nil {
		run = func(t *testing.T, f func(t *testing.T)) { f(t) }
	}
	for name, test := range map[string]func(s *suite){
		"sessions have growing numbers":                      testNumbers,
		"a view has what was joined, in order":               testView,
		"a node is shown by its first renewal":               testShown,
		"a drain is seen by all":                             testDrain,
		"that a node is cut off is seen by all":              testCutOff,
		"another number of shards is refused":                testShards,
		"a session lasts for its TTL, and then ends":         testExpires,
		"a session that is renewed lasts":                    testRenewed,
		"several renewals at a time":                         testRenewals,
		"a session that was left is over":                    testLeave,
		"a claim gives what is free":                         testClaim,
		"a claim of 128, and a release":                      testLargest,
		"a shard has one owner, however many claim":          testTokens,
		"a release gives up what is one's own":               testRelease,
		"a later owner has a greater token":                  testGrows,
		"what is given up is free for those who wait":        testFree,
		"a shard is free to each who waits, and again":       testFreeAgain,
		"who has released waits no longer":                   testWaitsNoLonger,
		"an ended context":                                   testContext,
		"what was given up has no effect after a later call": testLate,
		"many claim and release":                             testMany,
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) { test(&suite{t, start(t)}) })
		})
	}
}

type suite struct {
	*testing.T
	Cluster
}

const (
	shards = 300
	// long is a TTL that no test outlives, also where it takes very long.
	long = time.Hour
	// most is after how long a test that waits has failed.
	most = 5 * time.Minute
)

func (s *suite) ctx() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), most)
	s.Cleanup(cancel)
	return ctx
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// store and session of a node
type member struct {
	s     *suite
	store grid.Store
	grid.Session
}

func (s *suite) join(store grid.Store, name string, ttl time.Duration) *member {
	s.Helper()
	session, err := store.Join(s.ctx(), grid.Node{Name: name, Kinds: []string{"k"}, Shards: shards}, ttl)
	s.must(err)
	return &member{s, store, session}
}

// member is a new node, which is shown.
func (s *suite) member(name string) *member {
	s.Helper()
	m := s.join(s.Node(s.T, name), name, long)
	s.must(m.Renew(s.ctx()))
	return m
}

func (m *member) claim(all ...int) map[int]grid.Token {
	m.s.Helper()
	tokens, err := m.Claim(m.s.ctx(), all)
	m.s.must(err)
	for shard, token := range tokens {
		if token.Shard != shard || token.Rev == 0 || !slices.Contains(all, shard) {
			m.s.Fatalf("a claim of %v returned %v for shard %d", all, token, shard)
		}
	}
	return tokens
}

// claims is a claim of what must be free.
func (m *member) claims(all ...int) map[int]grid.Token {
	m.s.Helper()
	tokens := m.claim(all...)
	if len(tokens) != len(all) {
		m.s.Fatalf("it has claimed %v, and got %v", all, tokens)
	}
	return tokens
}

// claimsNone is a claim of what others have.
func (m *member) claimsNone(all ...int) {
	m.s.Helper()
	if tokens := m.claim(all...); len(tokens) > 0 {
		m.s.Fatalf("it has claimed %v, which others own, and got %v", all, tokens)
	}
}

func (m *member) release(all ...int) {
	m.s.Helper()
	m.s.must(m.Release(m.s.ctx(), all))
}

func (m *member) leave() {
	m.s.Helper()
	m.s.must(m.Leave(m.s.ctx()))
}

// waitsFor waits until these are free, and fails if another is.
func (m *member) waitsFor(all ...int) {
	m.s.Helper()
	for left := slices.Clone(all); len(left) > 0; {
		select {
		case shard := <-m.Free():
			at := slices.Index(left, shard)
			if at < 0 {
				m.s.Fatalf("shard %d is free; of %v these are not: %v", shard, all, left)
			}
			left = slices.Delete(left, at, at+1)
		case <-m.s.ctx().Done():
			m.s.Fatalf("not free: %v", left)
		}
	}
}

// sees waits for a view with these nodes, which must not have been received yet. What comes before is checked, too.
func (s *suite) sees(store grid.Store, what string, is func(nodes []grid.Node) bool) {
	s.Helper()
	var last []grid.Node
	ctx := s.ctx()
	for {
		select {
		case v := <-store.View():
			last = v.Nodes
			for i, n := range last {
				if i > 0 && n.Session <= last[i-1].Session {
					s.Fatalf("not in the order of sessions: %+v", last)
				}
			}
			if is(last) {
				return
			}
		case <-ctx.Done():
			s.Fatalf("not seen: %s; the last view was %+v", what, last)
		}
	}
}

func has(n grid.Node) func(nodes []grid.Node) bool {
	return func(nodes []grid.Node) bool {
		return slices.ContainsFunc(nodes, func(other grid.Node) bool { return same(n, other) })
	}
}

func same(a, b grid.Node) bool {
	return a.Name == b.Name && a.Session == b.Session && slices.Equal(a.Kinds, b.Kinds) && a.Shards == b.Shards && a.Draining == b.Draining && a.CutOff == b.CutOff
}

// hasWithout is true of views with the one, and without the other.
func hasWithout(one, other *member) func(nodes []grid.Node) bool {
	return func(nodes []grid.Node) bool {
		return has(one.Node())(nodes) && !slices.ContainsFunc(nodes, func(n grid.Node) bool { return n.Session == other.Node().Session })
	}
}

func (m *member) isOver() {
	m.s.Helper()
	ctx := m.s.ctx()
	for what, err := range map[string]error{
		"a renewal": m.Renew(ctx),
		"a claim":   second(m.Claim(ctx, []int{7})),
		"a release": m.Release(ctx, []int{7}),
		"a drain":   m.Drain(ctx),
		"a cut":     m.CutOff(ctx, true),
		"a leave":   m.Leave(ctx),
	} {
		if !errors.Is(err, actors.ErrFenced) {
			m.s.Errorf("%s of a session that is over: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func testNumbers(s *suite) {
	last := uint64(0)
	for i := range 5 {
		store := s.Node(s.T, "a")
		m := s.join(store, "a", long)
		if n := m.Node(); n.Session <= last || n.Name != "a" || n.Shards != shards || len(n.Kinds) != 1 || n.Draining {
			s.Fatalf("session %d is followed by %+v", last, n)
		}
		last = m.Node().Session
		if m.TTL() < long {
			s.Errorf("it lasts %v, and was to last %v", m.TTL(), long)
		}
		if i%2 == 0 {
			m.leave()
		}
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for i := range 10 {
		store := s.Node(s.T, fmt.Sprint("node ", i))
		all.Go(func() {
			m, err := store.Join(s.ctx(), grid.Node{Name: "x", Shards: shards}, long)
			if err != nil {
				s.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if n := m.Node().Session; seen[n] || n <= last {
				s.Errorf("session %d was given before", n)
			}
			seen[m.Node().Session] = true
		})
	}
	all.Wait()
}

func testView(s *suite) {
	one, two := s.Node(s.T, "one"), s.Node(s.T, "two")
	for _, store := range []grid.Store{one, two} {
		s.sees(store, "nobody", func(nodes []grid.Node) bool { return len(nodes) == 0 })
	}
	node := grid.Node{Name: "näme / with = everything\x00", Kinds: []string{"kind", "other kind"}, Shards: shards}
	session, err := one.Join(s.ctx(), node, long)
	s.must(err)
	s.must(session.Renew(s.ctx()))
	node.Session = session.Node().Session
	b := s.join(two, "two", long)
	s.must(b.Renew(s.ctx()))
	none, err := two.Join(s.ctx(), grid.Node{Name: "asks only", Shards: shards}, long)
	s.must(err)
	s.must(none.Renew(s.ctx()))
	late := s.Node(s.T, "late")
	for _, store := range []grid.Store{one, two, late} {
		s.sees(store, "three", func(nodes []grid.Node) bool {
			return len(nodes) == 3 && same(nodes[0], node) && same(nodes[1], b.Node()) && same(nodes[2], none.Node())
		})
	}
	b.leave()
	for _, store := range []grid.Store{one, two, late} {
		s.sees(store, "two", func(nodes []grid.Node) bool {
			return len(nodes) == 2 && same(nodes[0], node) && same(nodes[1], none.Node())
		})
	}
}

func testShown(s *suite) {
	a := s.join(s.Node(s.T, "a"), "a", long)
	b := s.member("b") // the view that has it is later than a's join
	s.sees(a.store, "b without a", func(nodes []grid.Node) bool { return len(nodes) == 1 && same(nodes[0], b.Node()) })
	b.claimsNone(slices.Sorted(maps.Keys(a.claims(1, 2)))...) // a session that nobody sees owns what it claims
	s.must(a.Renew(s.ctx()))
	s.sees(a.store, "itself", has(a.Node()))
	s.sees(b.store, "the other", has(a.Node()))
}

func testDrain(s *suite) {
	a, b := s.member("a"), s.member("b")
	a.claims(1, 2)
	s.must(a.Drain(s.ctx()))
	n := a.Node()
	n.Draining = true
	s.sees(b.store, "that a drains", has(n))
	s.sees(a.store, "that it drains", has(n))
	b.claimsNone(1, 2) // it keeps what it has
	s.must(a.Renew(s.ctx()))
	a.release(1, 2)
	b.waitsFor(1, 2)
	b.claims(1, 2)
	s.must(a.Drain(s.ctx())) // once more
	s.must(b.Drain(s.ctx()))
	s.sees(s.Node(s.T, "c"), "both draining", func(nodes []grid.Node) bool {
		return len(nodes) == 2 && nodes[0].Draining && nodes[1].Draining
	})
}

func testCutOff(s *suite) {
	a, b := s.member("a"), s.member("b")
	a.claims(1)
	for _, is := range []bool{true, true, false, true} {
		s.must(a.CutOff(s.ctx(), is))
		n := a.Node()
		n.CutOff = is
		s.sees(b.store, "whether a is cut off", has(n))
		s.must(a.Renew(s.ctx()))
	}
	b.claimsNone(1) // it keeps what it has
	s.must(a.Drain(s.ctx()))
	s.sees(b.store, "that a drains", func(nodes []grid.Node) bool {
		return slices.ContainsFunc(nodes, func(n grid.Node) bool { return n.Name == "a" && n.Draining })
	})
}

func testShards(s *suite) {
	a := s.member("a")
	refused := func(n int) {
		s.Helper()
		_, err := s.Node(s.T, "b").Join(s.ctx(), grid.Node{Name: "b", Shards: n}, long)
		if mistake := (*actors.OptionError)(nil); !errors.As(err, &mistake) || mistake.Field != "Shards" {
			s.Errorf("a join with %d shards: %v", n, err)
		}
	}
	refused(shards + 1)
	refused(shards - 1)
	a.leave()
	refused(2 * shards) // it never changes
	s.member("c")
}

// testExpires: a session does not end before its time, counted from when the last renewal was called, and it
// ends some time after that.
func testExpires(s *suite) {
	waiting := s.member("waiting")
	for _, renewals := range []int{0, 2} {
		for ttl := s.Shortest; !s.expires(waiting, renewals, ttl); ttl *= 2 {
			s.Log("this machine is too slow for ", ttl)
		}
	}
}

// expires returns false if the session has ended before it could be tried.
func (s *suite) expires(waiting *member, renewals int, ttl time.Duration) bool {
	called := time.Now()
	m := s.join(s.Node(s.T, "a"), "a", ttl)
	var err error
	for range renewals {
		if err == nil {
			called = time.Now()
			err = m.Renew(s.ctx())
		}
	}
	if err == nil {
		_, err = m.Claim(s.ctx(), []int{1, 2, 3})
	}
	if errors.Is(err, actors.ErrFenced) {
		if lasted := time.Since(called); lasted < m.TTL() {
			s.Fatalf("after %d renewals it lasted %v, and not %v", renewals, lasted, m.TTL())
		}
		return false
	}
	s.must(err)
	inTime := true
	if got := waiting.claim(1, 2, 3); len(got) > 0 {
		inTime = false
	} else {
		waiting.waitsFor(1, 2, 3)
	}
	if lasted := time.Since(called); lasted < m.TTL() {
		s.Fatalf("after %d renewals it lasted %v, and not %v", renewals, lasted, m.TTL())
	}
	m.isOver()
	waiting.claims(1, 2, 3)
	waiting.release(1, 2, 3)
	later := s.member("later")
	for _, store := range []grid.Store{waiting.store, s.Node(s.T, "new")} {
		s.sees(store, "its end", hasWithout(later, m))
	}
	return inTime
}

// testRenewed: whoever is told that a session is over was not so within the TTL of an acknowledged renewal. It may be, where
// this takes too long to renew in time.
func testRenewed(s *suite) {
	a := s.join(s.Node(s.T, "a"), "a", s.Shortest)
	good := time.Now()
	for range 8 {
		called := time.Now()
		err := a.Renew(s.ctx())
		switch {
		case err == nil:
			good = called
		case errors.Is(err, actors.ErrFenced):
			if lasted := time.Since(good); lasted < a.TTL() {
				s.Fatalf("it was over %v after its last renewal; its TTL is %v", lasted, a.TTL())
			}
			s.Log("this machine is too slow to renew in time")
			return
		default:
			s.Fatal(err)
		}
		time.Sleep(a.TTL() / 5)
	}
}

func testRenewals(s *suite) {
	a := s.join(s.Node(s.T, "a"), "a", long)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 5 {
				if err := a.Renew(s.ctx()); err != nil {
					s.Error(err)
				}
			}
		})
	}
	all.Wait()
	s.sees(a.store, "itself, once", func(nodes []grid.Node) bool { return len(nodes) == 1 && same(nodes[0], a.Node()) })
}

func testLeave(s *suite) {
	a, b := s.member("a"), s.member("b")
	first := a.claims(1, 2)
	b.claimsNone(1, 2)
	a.leave()
	for shard, token := range b.claims(1, 2) { // at once
		if token.Rev <= first[shard].Rev {
			s.Errorf("%v is followed by %v", first[shard], token)
		}
	}
	s.sees(b.store, "its end", hasWithout(b, a)) // b has come after a
	a.isOver()
	again := s.join(a.store, "a", long) // the same process
	s.must(again.Renew(s.ctx()))
	if again.Node().Session <= b.Node().Session {
		s.Errorf("session %d follows %d", again.Node().Session, b.Node().Session)
	}
	s.sees(b.store, "it again", has(again.Node()))
	a.isOver()
	again.claimsNone(1, 2)
	again.claims(3)
}

func testClaim(s *suite) {
	a, b := s.member("a"), s.member("b")
	if tokens := a.claim(); len(tokens) > 0 {
		s.Errorf("a claim of nothing: %v", tokens)
	}
	first := a.claims(0, 5, shards-1)
	if got := b.claim(4, 5, 6); len(got) != 2 || got[4].Rev == 0 || got[6].Rev == 0 {
		s.Errorf("5 is another's: %v", got)
	}
	if got := a.claim(4, 5, 6, 7); len(got) != 2 || got[5] != first[5] || got[7].Rev <= first[5].Rev {
		s.Errorf("5 is its own since %v: %v", first[5], got)
	}
	for range 2 {
		if got := a.claims(0, 5, shards-1); !maps.Equal(got, first) {
			s.Errorf("tokens of what it has have changed from %v to %v", first, got)
		}
	}
}

func testLargest(s *suite) {
	a, b := s.member("a"), s.member("b")
	all := upTo(128)
	first := a.claims(all...)
	if again := a.claims(all...); !maps.Equal(first, again) {
		s.Errorf("%v, %v", first, again)
	}
	b.claimsNone(all...)
	a.release(all...)
	b.waitsFor(all...)
	for shard, token := range b.claims(all...) {
		if token.Rev <= first[shard].Rev {
			s.Errorf("%v is followed by %v", first[shard], token)
		}
	}
	a.claimsNone(all...)
	b.leave()
	a.waitsFor(all...)
}

// testTokens: no shard is given to two, however many claim.
func testTokens(s *suite) {
	const n = 6
	var all sync.WaitGroup
	var mu sync.Mutex
	owners := map[int]int{}
	for i := range n {
		m := s.member(fmt.Sprint(i))
		all.Go(func() {
			for from := 0; from+30 <= shards; from += 15 {
				tokens, err := m.Claim(s.ctx(), upTo(shards)[from:from+30])
				if err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				for shard := range tokens {
					if other, is := owners[shard]; is && other != i {
						s.Errorf("shard %d is both %d's and %d's", shard, other, i)
					}
					owners[shard] = i
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(owners) != shards {
		s.Errorf("%d of %d shards are owned", len(owners), shards)
	}
}

func testRelease(s *suite) {
	a, b := s.member("a"), s.member("b")
	a.release() // nothing
	a.claims(1, 2, 3)
	b.claims(4)
	b.release(1, 4, 9) // another's, its own, nobody's
	a.release(2)
	if got := b.claim(1, 2, 3, 4); len(got) != 2 || got[2].Rev == 0 || got[4].Rev == 0 {
		s.Errorf("1 and 3 are another's: %v", got)
	}
	a.release(2) // it was its own
	a.claimsNone(2)
}

func testGrows(s *suite) {
	nodes := []*member{s.member("a"), s.member("b"), s.member("c")}
	last := uint64(0)
	for i := range 12 {
		m := nodes[i%len(nodes)]
		token := m.claims(1)[1]
		if token.Rev <= last {
			s.Fatalf("owner %d has %v after %d", i, token, last)
		}
		last = token.Rev
		switch i % 4 {
		case 3:
			m.leave()
			nodes[i%len(nodes)] = s.member("again")
		default:
			m.release(1)
		}
	}
}

func testFree(s *suite) {
	a, b, c := s.member("a"), s.member("b"), s.member("c")
	a.claims(1, 2, 3, 4)
	b.claims(5, 6)
	c.claimsNone(1, 2, 5)
	c.claims(7)
	a.release(1, 4) // nobody waits for 4
	c.waitsFor(1)
	b.leave()
	c.waitsFor(5)
	a.release(2)
	c.waitsFor(2)
	c.claims(1, 2, 5)
	c.release(1, 2, 5, 7) // its own
	c.claimsNone(3)
	a.leave()
	c.waitsFor(3)
}

// testFreeAgain: all who wait are told, the first who claims has it, and the others wait for that one.
func testFreeAgain(s *suite) {
	owner := s.member("owner")
	owner.claims(1)
	var waiting []*member
	for i := range 4 {
		m := s.member(fmt.Sprint(i))
		m.claimsNone(1)
		m.claimsNone(1) // they wait once
		waiting = append(waiting, m)
	}
	for len(waiting) > 0 {
		owner.release(1)
		for _, m := range waiting {
			m.waitsFor(1)
		}
		owner, waiting = waiting[0], waiting[1:]
		owner.claims(1)
		for _, m := range waiting {
			m.claimsNone(1)
		}
	}
}

func testWaitsNoLonger(s *suite) {
	a, b := s.member("a"), s.member("b")
	for range 10 {
		a.claims(1, 2, 3)
		b.claimsNone(1, 2, 3)
		b.release(1, 3)
		a.release(1)
		a.release(3)
		a.release(2)
		b.waitsFor(2) // and for nothing else
	}
}

func testContext(s *suite) {
	store := s.Node(s.T, "a")
	ended, cancel := context.WithCancel(s.ctx())
	cancel()
	if _, err := store.Join(ended, grid.Node{Name: "a", Shards: shards}, long); err == nil || errors.Is(err, actors.ErrFenced) {
		s.Errorf("a join: %v", err)
	}
	a := s.join(store, "a", long)
	a.claims(1)
	for what, err := range map[string]error{
		"a renewal": a.Renew(ended),
		"a claim":   second(a.Claim(ended, []int{7})),
		"a release": a.Release(ended, []int{7}),
		"a drain":   a.Drain(ended),
		"a leave":   a.Leave(ended),
	} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, actors.ErrFenced) {
			s.Errorf("%s: %v", what, err)
		}
	}
	// The leave may have had its effect.
	if err := a.Renew(s.ctx()); err != nil && !errors.Is(err, actors.ErrFenced) {
		s.Error(err)
	}
}

// giveUp makes a call and gives it up, some time before it has an answer or after.
func (m *member) giveUp(call func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(m.s.ctx(), rand.N(3*time.Millisecond))
	defer cancel()
	if err := call(ctx); errors.Is(err, actors.ErrFenced) {
		m.s.Error(err)
	}
}

// testLate: a call that its caller has given up may come late, but not after a later one that has returned.
func testLate(s *suite) {
	a, b := s.member("a"), s.member("b")
	all := upTo(20)
	for round := range 60 {
		var given sync.WaitGroup
		late := func(call func(ctx context.Context) error) { given.Go(func() { a.giveUp(call) }) }
		for range 1 + round%2 {
			late(func(ctx context.Context) error { return second(a.Claim(ctx, all)) })
			late(func(ctx context.Context) error { return a.Release(ctx, all) })
		}
		given.Wait()
		switch round % 3 {
		case 0:
			a.release(all...)
			b.claims(all...)
			b.release(all...)
			b.claims(all...)
		case 1:
			first := a.claims(all...)
			for range 3 {
				b.claimsNone(all...)
			}
			if again := a.claims(all...); !maps.Equal(first, again) {
				s.Fatalf("what it owns has changed from %v to %v", first, again)
			}
		case 2:
			s.must(a.Drain(s.ctx()))
			first := b.claim(all...)
			if again := b.claim(all...); !maps.Equal(first, again) {
				s.Fatalf("what is not a's has changed from %v to %v after its drain", first, again)
			}
			b.release(all...)
			if again := b.claim(all...); len(again) != len(first) {
				s.Fatalf("what is not a's has changed from %v to %v after its drain", first, again)
			}
			a.leave()
			a = s.member("a")
		}
		a.release(all...)
		b.release(all...)
		for range len(b.Free()) {
			<-b.Free()
		}
		for range len(a.Free()) {
			<-a.Free()
		}
	}
}

// testMany: of each shard a token has one owner, and is greater than those which were given out before it was asked for.
func testMany(s *suite) {
	type owned struct {
		node  int
		token uint64
	}
	var mu sync.Mutex
	given := map[int][]owned{} // by shard
	seed := rand.Uint64()
	s.Log("seed ", seed)
	var all sync.WaitGroup
	for i := range 6 {
		m := s.member(fmt.Sprint(i))
		dice := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for range 40 {
				some := dice.Perm(12)[:1+dice.IntN(6)]
				mu.Lock()
				before := map[int]owned{}
				for _, shard := range some {
					if n := len(given[shard]); n > 0 {
						before[shard] = given[shard][n-1]
					}
				}
				mu.Unlock()
				tokens, err := m.Claim(s.ctx(), some)
				if err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				for shard, token := range tokens {
					is := owned{i, token.Rev}
					if old := before[shard]; is.token < old.token || is.token == old.token && is != old {
						s.Errorf("shard %d: %+v, after %+v was given out", shard, is, old)
					}
					for _, other := range given[shard] {
						if other.token == is.token && other != is {
							s.Errorf("shard %d: %+v and %+v", shard, is, other)
						}
					}
					given[shard] = append(given[shard], is)
					slices.SortFunc(given[shard], func(a, b owned) int { return int(a.token) - int(b.token) })
				}
				mu.Unlock()
				if err := m.Release(s.ctx(), some[:len(some)/2+1]); err != nil {
					s.Error(err)
				}
				for range len(m.Free()) {
					<-m.Free()
				}
			}
			if err := m.Leave(s.ctx()); err != nil {
				s.Error(err)
			}
		})
	}
	all.Wait()
	last := s.member("last").claims(upTo(12)...)
	for shard, token := range last {
		if n := len(given[shard]); n > 0 && token.Rev <= given[shard][n-1].token {
			s.Errorf("shard %d: %v after %v", shard, token, given[shard])
		}
	}
}
