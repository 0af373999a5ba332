// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestFaults: three hubs, five nodes whose keys have their state in the hubs' JetStream, and clients that ask. Nodes and hubs are
// killed, held, cut off in six ways, told to end, and one hub's disk becomes full. Each register is linearizable, each list has what was
// acknowledged, once and in order, and nothing of which its asker was told that it never ran; no token is good after a later one was;
// what etcd stores by tokens is in their order; and no ask outlives its budget by more than a second.
//
// It takes 5 minutes, and with PROTOLOOP_TEST_FULL=1 30.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("eleven processes and five minutes are much for a slow machine")
	}
	long := 5 * time.Minute
	if full() {
		long = 30 * time.Minute
	}
	if *lasts > 0 {
		long = *lasts
	}
	c := newCluster(t, false)
	for i := range c.clients {
		if err := c.client(i).request(command{Do: doStart}, nil); err != nil {
			t.Fatal(err)
		}
	}
	c.awaitAnswers(t, "before any fault")

	f := &faultMaker{cluster: c, until: time.Now().Add(long), count: map[string]int{}}
	var makers sync.WaitGroup
	makers.Go(func() { f.make(rand.New(rand.NewPCG(c.seed, 1000)), c.nodeFaults(), time.Second, 4*time.Second) })
	makers.Go(func() { f.make(rand.New(rand.NewPCG(c.seed, 2000)), c.hubFaults(), 3*time.Second, 8*time.Second) })
	makers.Wait()
	c.note("no more faults")
	for _, hub := range c.hubs {
		for !c.healthy(hub, time.Minute) { // the test's own timeout ends it
			c.note("%s is not well yet", hub)
			if c.programs[hub].process().hasEnded() {
				t.Fatalf("%s has ended", hub)
			}
		}
	}
	c.awaitAnswers(t, "after all faults")

	for i := range c.clients {
		if err := c.client(i).request(command{Do: doStop}, nil); err != nil {
			t.Fatal(err)
		}
	}
	history, err := readJournals[ask](c.dir, "history-*")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, a := range history {
		if a.Kind == kindList {
			keys = append(keys, a.Key)
		}
	}
	slices.Sort(keys)
	var last map[string][]string
	if err := c.client(0).request(command{Do: doRead, Keys: slices.Compact(keys)}, &last); err != nil {
		t.Fatal(err)
	}
	var puts []put
	if err := c.client(0).request(command{Do: doPuts}, &puts); err != nil {
		t.Fatal(err)
	}
	effects, err := readJournals[effect](c.dir, "effects-*")
	if err != nil {
		t.Fatal(err)
	}
	report(t, history, effects, puts, f.count)
	c.judge(history, last, effects, puts)
}

// judge says all that is wrong.
func (c *cluster) judge(history []ask, last map[string][]string, effects []effect, puts []put) {
	for what, wrong := range map[string][]string{
		"registers": checkRegisters(history, 2*time.Minute),
		"lists":     checkLists(history, last),
		"budgets":   checkBudgets(history),
		"tokens":    checkEffects(effects),
		"puts":      checkPuts(puts),
		"programs":  c.checkPrograms(),
	} {
		for i, w := range wrong {
			if i == 20 {
				c.t.Errorf("%s: and %d more", what, len(wrong)-i)
				break
			}
			c.t.Errorf("%s: %s", what, w)
		}
	}
	if c.t.Failed() {
		if b, err := os.ReadFile(c.log.Name()); err == nil {
			c.t.Logf("the faults:\n%s", b)
		}
	}
}

// report says what has happened.
func report(t *testing.T, history []ask, effects []effect, puts []put, faults map[string]int) {
	outcomes, errs := map[string]int{}, map[string]int{}
	var ends []time.Duration
	var worst time.Duration
	for _, a := range history {
		outcomes[a.Outcome]++
		if a.Err != "" {
			errs[a.Outcome+": "+shortened(a.Err)]++
		}
		if a.Outcome == answered {
			ends = append(ends, a.Ended)
		}
		worst = max(worst, a.Ended-a.Begun-a.Held-a.Budget)
	}
	slices.Sort(ends)
	var gap time.Duration
	for i := 1; i < len(ends); i++ {
		gap = max(gap, ends[i]-ends[i-1])
	}
	t.Logf("%d asks: %v. No ask was answered for %v at most; the latest ended %v after its budget. %d uses of tokens, %d puts in etcd.", len(history), outcomes, gap, worst, len(effects), len(puts))
	var lines []string
	for what, n := range errs {
		lines = append(lines, fmt.Sprintf("%6d %s", n, what))
	}
	slices.SortFunc(lines, func(a, b string) int { return -cmp.Compare(a, b) })
	t.Logf("how asks have failed:\n%s", strings.Join(lines[:min(len(lines), 30)], "\n"))
	t.Logf("faults: %v", faults)
}

// shortened is an error without what is different each time.
func shortened(s string) string {
	s = strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return '#'
		}
		return r
	}, s)
	for strings.Contains(s, "##") {
		s = strings.ReplaceAll(s, "##", "#")
	}
	return s[:min(len(s), 160)]
}

// awaitAnswers waits until each client is answered.
func (c *cluster) awaitAnswers(t *testing.T, when string) {
	t.Helper()
	for i := range c.clients {
		var first, count int64
		for n := 0; n == 0 || count < first+100; n++ {
			if err := c.client(i).request(command{Do: doCount}, &count); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			if n == 0 {
				first = count
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// fault is something that goes wrong for a while.
type fault struct {
	name string
	do   func(rng *rand.Rand) (what string, heal func() error)
}

// faultMaker makes faults, and counts them.
type faultMaker struct {
	*cluster
	until time.Time
	mu    sync.Mutex
	count map[string]int
}

// make makes one fault after the other, until the time is over: each once in any order, and then again. It fails the test by what cannot
// be healed.
func (f *faultMaker) make(rng *rand.Rand, faults []fault, pauseMin, pauseMax time.Duration) {
	pause := func() { time.Sleep(pauseMin + time.Duration(rng.Int64N(int64(pauseMax-pauseMin)))) }
	for {
		for _, i := range rng.Perm(len(faults)) {
			if pause(); time.Now().After(f.until) {
				return
			}
			what, heal := faults[i].do(rng)
			f.note("%s: %s", faults[i].name, what)
			if err := heal(); err != nil {
				f.t.Errorf("%s, %s: %v", faults[i].name, what, err)
				return
			}
			f.note("%s: healed", what)
			f.mu.Lock()
			f.count[faults[i].name]++
			f.mu.Unlock()
		}
	}
}

// upTo is a time of up to so many seconds, short ones as often as long ones.
func upTo(rng *rand.Rand, seconds float64) time.Duration {
	d := 0.1 * seconds
	if rng.IntN(2) == 0 {
		d = seconds
	}
	return 100*time.Millisecond + time.Duration(rng.Float64()*d*float64(time.Second))
}

// after waits, and heals.
func after(d time.Duration, heal ...func() error) func() error {
	return func() error {
		time.Sleep(d)
		for _, h := range heal {
			if err := h(); err != nil {
				return err
			}
		}
		return nil
	}
}

func (c *cluster) nodeFaults() []fault {
	some := func(rng *rand.Rand) *program { return c.programs[c.nodes[rng.IntN(len(c.nodes))]] }
	all := append(c.processFaults("node", some), []fault{
		{"a node sends nothing", func(rng *rand.Rand) (string, func() error) {
			g, d := some(rng), upTo(rng, 10)
			return fmt.Sprintf("%s for %v", g.host, d), c.cutFor(d, g.host, c.hubs, true, false)
		}},
		{"a node receives nothing", func(rng *rand.Rand) (string, func() error) {
			g, d := some(rng), upTo(rng, 10)
			return fmt.Sprintf("%s for %v", g.host, d), c.cutFor(d, g.host, c.hubs, false, true)
		}},
		{"a node is cut from a hub", func(rng *rand.Rand) (string, func() error) {
			g, d, hub := some(rng), upTo(rng, 10), c.hubs[rng.IntN(len(c.hubs))]
			return fmt.Sprintf("%s from %s for %v", g.host, hub, d), c.cutFor(d, g.host, []string{hub}, true, true)
		}},
		{"a client is cut from a hub", func(rng *rand.Rand) (string, func() error) {
			name, d, hub := c.clients[rng.IntN(len(c.clients))], upTo(rng, 10), c.hubs[rng.IntN(len(c.hubs))]
			return fmt.Sprintf("%s from %s for %v", name, hub, d), c.cutFor(d, name, []string{hub}, true, true)
		}},
		// The two that a node needs, each without the other.
		{"a node is cut from NATS alone", func(rng *rand.Rand) (string, func() error) {
			g, d := some(rng), upTo(rng, 10)
			return fmt.Sprintf("%s for %v", g.host, d), c.cutPortFor(d, g.host, natsPort)
		}},
		{"a node is cut from etcd alone", func(rng *rand.Rand) (string, func() error) {
			g, d := some(rng), upTo(rng, 10)
			return fmt.Sprintf("%s for %v", g.host, d), c.cutPortFor(d, g.host, etcdPort)
		}},
	}...)
	return all
}

func (c *cluster) hubFaults() []fault {
	some := func(rng *rand.Rand) *program { return c.programs[c.hubs[rng.IntN(len(c.hubs))]] }
	two := func(rng *rand.Rand) (a, b string) {
		i := rng.IntN(len(c.hubs))
		return c.hubs[i], c.hubs[(i+1+rng.IntN(len(c.hubs)-1))%len(c.hubs)]
	}
	leader := func(what string, of func(leaders) string) fault {
		return fault{"the leader of " + what + " is killed", func(rng *rand.Rand) (string, func() error) {
			d := upTo(rng, 5)
			var l leaders
			for { // until there is one
				if err := c.client(0).request(command{Do: doLeaders}, &l); err == nil && c.programs[of(l)] != nil {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			g := c.programs[of(l)]
			g.kill()
			return fmt.Sprintf("%s, of %+v, for %v", g.host, l, d), after(d, g.run)
		}}
	}
	return append(c.processFaults("hub", some), []fault{
		leader("etcd", func(l leaders) string { return l.Etcd }),
		leader("the state", func(l leaders) string { return l.NATS }),
		{"two hubs are cut from each other", func(rng *rand.Rand) (string, func() error) {
			a, b := two(rng)
			d := upTo(rng, 10)
			heal := c.cutFor(d, a, []string{b}, true, true)
			return fmt.Sprintf("%s and %s for %v", a, b, d), func() error { return errors.Join(c.awaitReached(a, b), heal()) }
		}},
		{"a hub sends another nothing", func(rng *rand.Rand) (string, func() error) {
			a, b := two(rng)
			d := upTo(rng, 10)
			return fmt.Sprintf("%s to %s for %v", a, b, d), c.cutFor(d, a, []string{b}, true, false)
		}},
		{"a hub's disk is full", func(rng *rand.Rand) (string, func() error) { return c.fillDisk(3*time.Second + upTo(rng, 5)) }},
	}...)
}

// processFaults are those of any program.
func (c *cluster) processFaults(called string, some func(rng *rand.Rand) *program) []fault {
	return []fault{
		{"a " + called + " is killed", func(rng *rand.Rand) (string, func() error) {
			g, d := some(rng), upTo(rng, 5)
			g.kill()
			return fmt.Sprintf("%s for %v", g.host, d), after(d, g.run)
		}},
		{"a " + called + " is told to end", func(rng *rand.Rand) (string, func() error) {
			g, d := some(rng), upTo(rng, 2)
			return fmt.Sprintf("%s for %v", g.host, d), func() error {
				g.stop()
				return after(d, g.run)()
			}
		}},
		{"a " + called + " is held", func(rng *rand.Rand) (string, func() error) {
			g, d := some(rng), upTo(rng, 10)
			p := g.process()
			p.signal(syscall.SIGSTOP)
			return fmt.Sprintf("%s for %v", g.host, d), after(d, func() error { p.signal(syscall.SIGCONT); return nil })
		}},
		{"a " + called + " is unplugged", func(rng *rand.Rand) (string, func() error) {
			g, d := some(rng), upTo(rng, 10)
			c.unplug(g.host)
			return fmt.Sprintf("%s for %v", g.host, d), after(d, func() error { c.plug(g.host); return nil })
		}},
	}
}

// cutFor cuts a host from others, in the ways that are asked for, until heal has returned.
func (c *cluster) cutFor(d time.Duration, host string, others []string, sends, receives bool) (heal func() error) {
	each := func(do func(from, to string)) {
		for _, other := range others {
			if sends {
				do(host, other)
			}
			if receives {
				do(other, host)
			}
		}
	}
	each(c.cut)
	return after(d, func() error { each(c.heal); return nil })
}

// cutPortFor cuts a host from a port of all hubs, until heal has returned.
func (c *cluster) cutPortFor(d time.Duration, host string, port int) (heal func() error) {
	for _, hub := range c.hubs {
		c.cutPort(host, hub, port)
	}
	return after(d, func() error {
		for _, hub := range c.hubs {
			c.healPort(host, hub, port)
		}
		return nil
	})
}

// awaitReached waits until a client reaches both hubs, NATS and etcd of each, and has a line. It is for hubs that do not reach each other. Another
// fault may have cut one of the clients off.
func (c *cluster) awaitReached(a, b string) error {
	last := ""
	for {
		for i := range c.clients {
			var wrong string
			if err := c.client(i).request(command{Do: doReach, Hubs: []string{c.addr(a), c.addr(b)}}, &wrong); err != nil {
				return err
			}
			if wrong == "" {
				c.note("%s reaches %s and %s", c.clients[i], a, b)
				return nil
			}
			if wrong != last {
				c.note("%s: %s", c.clients[i], wrong)
				last = wrong
			}
		}
		for _, hub := range []string{a, b} {
			if c.programs[hub].process().hasEnded() {
				return fmt.Errorf("%s has ended", hub)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// fillDisk fills the disk of the hub that has a small one. Then there is room again, and the hub is started anew if it has ended, or is
// not well.
func (c *cluster) fillDisk(d time.Duration) (string, func() error) {
	name := c.small()
	g, filler := c.programs[name], filepath.Join(c.hubDir(name), "filler")
	g.mayEnd(true)
	err := fill(filler)
	return fmt.Sprintf("%s for %v", name, d), func() error {
		if err != nil {
			return err
		}
		time.Sleep(d)
		if err := os.Remove(filler); err != nil {
			return err
		}
		if !c.healthy(name, 10*time.Second) {
			c.note("%s is started anew", name)
			g.stop()
			return g.run()
		}
		g.mayEnd(false)
		return nil
	}
}
