// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/messages"
)

// TestNodeIsLost: the process of a node is killed, or held, with many asks in flight. Each of them fails by the code that says
// that it may have run. All keys of the node answer again, elsewhere, with greater tokens.
func TestNodeIsLost(t *testing.T) {
	for _, how := range []struct {
		name   string
		signal os.Signal
		told   time.Duration
	}{{"killed", syscall.SIGKILL, 500 * time.Millisecond}, {"held", syscall.SIGSTOP, 2 * time.Second}} {
		t.Run(how.name, func(t *testing.T) {
			if testing.Short() && how.signal != syscall.SIGKILL {
				t.Skip("it waits for a lease to end once more")
			}
			testNodeIsLost(t, how.signal, how.told)
		})
	}
}

func testNodeIsLost(t *testing.T, signal os.Signal, limit time.Duration) {
	hubs, asks, nodes := 3, 10_000, []string{"a", "b", "c"}
	if testing.Short() {
		hubs, asks, nodes = 1, 500, []string{"a", "b"}
	}
	h := spawnHubs(t, hubs, authority(t), hubOptions{})
	asker := h.asker()
	for _, node := range nodes {
		h.spawnMember(node, memberOptions{}).Ready()
	}
	rounds := 1
	if *judged {
		rounds = 5
	}
	var told, back []time.Duration
	for i := range rounds {
		victim := fmt.Sprint("victim-", i)
		p := h.spawnMember(victim, memberOptions{})
		p.Ready()
		var keys []int
		before := asker.homes(t, append(nodes, victim)...)
		for key, a := range before {
			if a.node == victim {
				keys = append(keys, key)
			}
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		var last time.Duration
		var killed atomic.Pointer[time.Time]
		var flying, early, moved atomic.Int64
		flying.Store(int64(asks))
		for i := range asks {
			key := keys[i%len(keys)]
			all.Go(func() {
				for {
					_, err := asker.ask(t.Context(), key, hangs+" "+victim, actors.Timeout(actors.Forever))
					at := killed.Load()
					var f *messages.Failure
					switch {
					case at == nil && err != nil: // a machine that is slow enough loses a node that lives
						early.Add(1)
						continue
					case err == nil:
						moved.Add(1)
					case !errors.Is(err, actors.ErrNodeLost) || !errors.As(err, &f) || !f.MaybeRan:
						t.Errorf("an ask of %d in flight to the node: %v", key, err)
					default:
						mu.Lock()
						took := time.Since(*at)
						told, last = append(told, took), max(last, took)
						mu.Unlock()
					}
					return
				}
			})
		}
		actortest.Eventually(t, "all asks to be there", func() bool {
			text, err := inquire.Call(t.Context(), asker.sys.Root, asker.account(keys[0]), wrapperspb.String(hung))
			n := 0
			_, _ = fmt.Sscan(text.GetValue(), &n)
			return err == nil && n >= asks
		})
		now := time.Now()
		killed.Store(&now)
		p.Signal(signal)
		for _, key := range keys {
			all.Go(func() {
				for {
					a, err := asker.ask(t.Context(), key, who)
					if err == nil && a.node != victim {
						mu.Lock()
						defer mu.Unlock()
						back = append(back, time.Since(now))
						if a.token <= before[key].token {
							t.Errorf("the key %d has the token %d at %s, and had %d before", key, a.token, a.node, before[key].token)
						}
						return
					}
					if err != nil && !isCoded(err) {
						t.Errorf("an ask of %d after the loss: %v", key, err)
					}
				}
			})
		}
		all.Wait()
		if n := moved.Load(); n > 0 && early.Load() == 0 {
			t.Errorf("%d asks were answered by another node", n)
		}
		t.Logf("%d asks of %d keys; %d had failed before; the last was told after %v; the asker has lost its own connection %d times so far",
			asks, len(keys), early.Load(), last, len(asker.log.Find(slog.LevelWarn, "is lost")))
		p.Kill()
	}
	if t.Failed() {
		return
	}
	judge(t, figure{"asks in flight are told, 99 of 100", p99(told), limit},
		figure{"keys answer again, 99 of 100, with a lease of " + lease().String(), p99(back), 3 * time.Second})
	t.Logf("the last ask was told after %v, the first key answered after %v, the last after %v", told[len(told)-1], back[0], back[len(back)-1])
}

// TestLeaderIsLost: of three hubs that is killed which leads etcd, or JetStream's queue. No owner stops, as its token shows. Every ask
// ends.
func TestLeaderIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("three hubs and three nodes are much for a slow machine")
	}
	for _, of := range []string{"etcd", "NATS"} {
		t.Run(of, func(t *testing.T) { testLeaderIsLost(t, of) })
	}
}

func testLeaderIsLost(t *testing.T, of string) {
	h := spawnHubs(t, 3, authority(t), hubOptions{Options: hub.Options{Queues: []string{"ORDERS"}}, Healthy: true})
	nodes := []string{"a", "b", "c"}
	for _, node := range nodes {
		h.spawnMember(node, memberOptions{}).Ready()
	}
	rounds := 1
	if *judged {
		rounds = 3
	}
	s := &stream{T: t, errs: map[string]int{}}
	for range rounds {
		leader := h.leader(of)
		asker := h.askerAt(leader) // so that what is in flight is lost with it
		before := asker.homes(t, nodes...)
		stop := s.start(asker)
		s.more("before")
		s.begin()
		h.procs[leader].Kill()
		s.more("after")
		for time.Since(s.killed) < 2*lease() { // by then a lease is over that was not renewed
			s.more("with the leases renewed")
		}
		stop()
		if after := asker.homes(t, nodes...); !maps.Equal(before, after) {
			for key := range accounts {
				if before[key] != after[key] {
					t.Errorf("the key %d was at %v, and is at %v: an owner has stopped", key, before[key], after[key])
				}
			}
		}
		asker.leave()
		h.start(leader).Ready()
	}
	t.Logf("%d asks; failed:%s", s.asked, counted(s.errs))
	judge(t, figure{"new asks fail, of those after the kill the last", s.failing, time.Second},
		figure{"asks in flight end", s.flying, 1500 * time.Millisecond},
		figure{"the longest of all asks", s.longest, 1500 * time.Millisecond})
}

// stream is many asks, one after the other and beside each other, of which each takes a while.
type stream struct {
	*testing.T
	answered atomic.Int64

	mu sync.Mutex
	// With mu held.
	killed  time.Time // the leader, zero: it has not been
	asked   int
	errs    map[string]int
	failing time.Duration // from the kill until the last ask began that has failed
	flying  time.Duration // … ended that had begun before
	longest time.Duration // of those that have ended since
}

// start begins to ask, until stop is called.
func (s *stream) start(asker *member) (stop func()) {
	quit := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		atATime := make(chan struct{}, 500)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for key := 0; ; key++ {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			atATime <- struct{}{}
			all.Go(func() {
				begun := time.Now()
				_, err := asker.ask(s.Context(), key, works)
				s.note(begun, err)
				<-atATime
			})
		}
	})
	return func() {
		close(quit)
		all.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.killed = time.Time{}
	}
}

// begin notes that the leader is killed now.
func (s *stream) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killed = time.Now()
}

func (s *stream) note(begun time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.asked++
	if err == nil {
		s.answered.Add(1)
	} else if s.errs[err.Error()]++; !isCoded(err) {
		s.Errorf("an ask: %v", err)
	}
	if s.killed.IsZero() {
		return
	}
	s.longest = max(s.longest, now.Sub(begun))
	switch {
	case begun.Before(s.killed):
		s.flying = max(s.flying, now.Sub(s.killed))
	case err != nil:
		s.failing = max(s.failing, begun.Sub(s.killed))
	}
}

// more waits until more asks are answered.
func (s *stream) more(what string) {
	s.Helper()
	from := s.answered.Load()
	actortest.Eventually(s.T, "more asks to be answered "+what, func() bool { return s.answered.Load() > from+300 })
}

// leader is the hub that leads the others in etcd, or in the stream of NATS.
func (h *hubProcesses) leader(of string) (name string) {
	h.Helper()
	actortest.Eventually(h.T, "there to be a leader of "+of, func() bool {
		var err error
		if of == "etcd" {
			name, err = h.leaderOfEtcd()
		} else {
			name, err = h.leaderOfStream("ORDERS")
		}
		if err != nil {
			h.Log(err)
		}
		return err == nil && slices.Contains(slices.Collect(maps.Keys(h.procs)), name)
	})
	h.Logf("%s leads", name)
	return name
}
