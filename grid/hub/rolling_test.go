// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/internal/testtools"
)

// TestRollingRestart: one node after the other is stopped in order and started anew, with a build of a later version, and then one hub
// after the other, while keys are asked to enter numbers into their state. No ask fails, and each number is stored once.
func TestRollingRestart(t *testing.T) {
	hubCount, nodes, enough := 3, []string{"a", "b", "c", "d", "e"}, int64(500)
	build := os.Args[0]
	switch {
	case testing.Short():
		hubCount, nodes, enough = 1, nodes[:2], 200
	case *judged:
		enough = 1000
	default:
		build = laterBuild(t)
	}
	h := spawnHubs(t, hubCount, authority(t), hubOptions{Healthy: true, Options: hub.Options{Buckets: []string{"LEDGER"}}})
	o := memberOptions{Bucket: "LEDGER"}
	if !*judged {
		o.Lease, o.SaveWithin = time.Minute, 2*time.Minute // nobody crashes, and a slow machine is not to lose anything
	}
	procs := map[string]*testtools.Process{}
	for _, node := range nodes {
		procs[node] = h.spawnMember(node, o)
		procs[node].Ready()
	}
	asker := h.asker()
	asker.homes(t, nodes...)

	l := startLoad(t, asker, loadEvery)
	l.more(2*enough, "before")
	began := l.next.Load()
	for _, node := range nodes {
		procs[node].Stop()
		procs[node] = h.spawnMemberOf(build, node, o)
		procs[node].Ready()
		l.more(enough, "with the node "+node+" started anew")
	}
	l.more(2*enough, "with all nodes started anew")
	between := l.next.Load()
	for _, name := range slices.Sorted(maps.Keys(h.procs)) {
		if hubCount == 1 {
			break
		}
		h.procs[name].Stop()
		h.start(name).Ready()
		l.more(enough, "with "+name+" started anew")
	}
	l.more(2*enough, "after")
	l.stop()

	l.checkLedgers(h, procs, o)
	if *judged {
		judge(t, figure{"nodes restarted: an ask, 99 of 100", p99(l.between(began, between)), 500 * time.Millisecond},
			figure{"hubs restarted: an ask, 99 of 100", p99(l.between(between, l.next.Load())), 500 * time.Millisecond},
			figure{"all: an ask, 99 of 100", p99(l.between(0, l.next.Load())), 500 * time.Millisecond})
	}
}

// checkLedgers ends the nodes, and compares what was answered with what is stored.
func (l *load) checkLedgers(h *hubProcesses, procs map[string]*testtools.Process, o memberOptions) {
	l.Helper()
	repeats := 0
	for node := range procs {
		key := 0
		for l.asker.owner(l.T, key) != node {
			key++
		}
		repeats += l.asker.count(l.T, key, again)
	}
	// One that has all to load shows what is stored.
	for _, p := range procs {
		p.Stop()
	}
	h.spawnMember("reader", o).Ready()
	times := map[int]int{}
	for key := range accounts {
		actortest.Eventually(l.T, fmt.Sprint("the ledger of key ", key), func() bool {
			text, err := inquire.Call(l.Context(), l.asker.sys.Root, l.asker.account(key), wrapperspb.String(lists))
			for _, number := range strings.Fields(text.GetValue()) {
				n := 0
				_, _ = fmt.Sscan(number, &n)
				if times[n]++; n%accounts != key {
					l.Errorf("the number %d is in the ledger of the key %d", n, key)
				}
			}
			return err == nil
		})
	}
	l.check(times, repeats)
	l.asker.leave() // while there are hubs: later it would wait for its lease
}

// owner is the node that has a key.
func (m *member) owner(t *testing.T, key int) (node string) {
	t.Helper()
	actortest.Eventually(t, fmt.Sprint("the owner of ", key), func() bool {
		a, err := m.ask(t.Context(), key, who)
		node = a.node
		return err == nil
	})
	return node
}

// load asks keys to enter numbers, each another one: as many a second as it is to, or fewer if the machine is too slow for that. One in ten is relayed
// by another key, so that nodes ask each other.
type load struct {
	*testing.T
	asker    *member
	next     atomic.Int64 // number
	answered atomic.Int64
	quit     chan struct{}
	all      sync.WaitGroup

	mu     sync.Mutex
	took   map[int64]time.Duration // from when it was due
	failed map[int64]error
}

const loadEvery = time.Millisecond // 1,000 a second

func startLoad(t *testing.T, asker *member, every time.Duration) *load {
	l := &load{T: t, asker: asker, quit: make(chan struct{}), took: map[int64]time.Duration{}, failed: map[int64]error{}}
	within := 10 * time.Minute // a slow machine is to fail nothing
	atATime := make(chan struct{}, 32)
	if *judged {
		within, atATime = 30*time.Second, make(chan struct{}, 1<<20) // what is due is asked, whatever has become of the others
	}
	l.all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for due := time.Now(); ; due = due.Add(every) {
			for time.Until(due) > 0 {
				<-tick.C
			}
			select {
			case <-l.quit:
				return
			case atATime <- struct{}{}:
			}
			if !*judged {
				due = time.Now()
			}
			n := l.next.Add(1)
			l.all.Go(func() {
				l.ask(n, within)
				<-atATime
				l.mu.Lock()
				defer l.mu.Unlock()
				l.took[n] = time.Since(due)
			})
		}
	})
	t.Cleanup(l.stop)
	return l
}

func (l *load) ask(n int64, within time.Duration) {
	ctx, root := context.Background(), l.asker.sys.Root
	var err error
	var got entry
	if n%10 == 0 {
		got, err = relay.Call(ctx, root, l.asker.account(int(7*n+1)), wrapperspb.UInt64(uint64(n)), actors.Idempotent(), actors.Timeout(within))
	} else {
		got, err = enter.Call(ctx, root, l.asker.account(int(n)), wrapperspb.Int64(n), actors.Idempotent(), actors.Timeout(within))
	}
	if err == nil && got.GetValue() != n {
		l.Errorf("%d is answered by %d", n, got.GetValue())
	}
	if err == nil {
		l.answered.Add(1)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed[n] = err
}

// more waits until so many more are answered.
func (l *load) more(n int64, what string) {
	l.Helper()
	from := l.answered.Load()
	actortest.Eventually(l.T, fmt.Sprint(n, " more to be answered ", what), func() bool { return l.answered.Load() >= from+n })
}

func (l *load) stop() {
	select {
	case <-l.quit:
	default:
		close(l.quit)
	}
	l.all.Wait()
}

// between has how long the asks took from one number to another.
func (l *load) between(from, to int64) (all []time.Duration) {
	for n := from + 1; n <= to; n++ {
		all = append(all, l.took[n])
	}
	return all
}

// check compares what was answered with how often each number is stored.
func (l *load) check(times map[int]int, repeats int) {
	l.Helper()
	errs := map[string]int{}
	for _, err := range l.failed {
		errs[err.Error()]++
	}
	if len(errs) > 0 {
		l.Errorf("asks have failed:%s", counted(errs))
	}
	for n := range l.next.Load() {
		n++
		switch got := times[int(n)]; {
		case got == 0 && l.failed[n] == nil:
			l.Errorf("%d was acknowledged, and is not stored", n)
		case got > 1:
			l.Errorf("%d is stored %d times", n, got)
		}
	}
	all := l.between(0, l.next.Load())
	l.Logf("%d asks; %d have run more than once; 99 of 100 took at most %v, the longest %v", len(all), repeats, p99(all), slices.Max(all))
}

// TestVersions: nodes of two versions are asked by each other, and what each of them sends is understood by the other as far as it
// is to be. An ask that needs the later version runs on no node of the earlier.
func TestVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program, which takes long on a slow machine")
	}
	build := laterBuild(t)
	h := spawnHubs(t, 1, authority(t), hubOptions{})
	nodes := []string{"old-1", "new-1", "old-2", "new-2"}
	isNew := func(node string) bool { return strings.HasPrefix(node, "new") }
	for _, node := range nodes {
		o := memberOptions{Lease: time.Minute}
		if isNew(node) {
			h.spawnMemberOf(build, node, o).Ready()
		} else {
			h.spawnMember(node, o).Ready()
		}
	}
	asker := h.asker()
	keys := map[string]int{} // one of each node
	for key, a := range asker.homes(t, nodes...) {
		keys[a.node] = key
	}
	needs := map[string]string{} // a key of each node, an ask to which needs the later version if such a node sends it
	for i := 0; len(needs) < len(nodes); i++ {
		id := fmt.Sprint("new-", i)
		needs[homeOf(id, nodes)] = id
	}
	for _, from := range nodes {
		for _, to := range nodes {
			ask := func(id string, within time.Duration) (answer, error) {
				return asker.askBy(t, keys[from], id, within)
			}
			if a, err := ask(accountOf(keys[to]), 10*time.Minute); err != nil || a.node != to {
				t.Errorf("%s asks %s: %v, %v", from, to, a, err)
			}
			if !isNew(from) || isNew(to) {
				if a, err := ask(needs[to], 10*time.Minute); err != nil || a.node != to {
					t.Errorf("%s asks %s: %v, %v", from, to, a, err)
				}
				continue
			}
			before := asker.count(t, keys[to], later)
			_, err := ask(needs[to], 300*time.Millisecond) // it tries until its time is over
			if !errors.Is(err, actors.ErrTimeout) && !errors.Is(err, actors.ErrUnavailable) {
				t.Errorf("%s asks %s what that cannot understand: %v", from, to, err)
			}
			if n := asker.count(t, keys[to], later) - before; n != 0 {
				t.Errorf("%s has run what it cannot understand", to)
			}
		}
	}
}

// laterBuild is a build of the test binary with the next version of frames. What it sends has fields that this one
// does not know; frames with an ask to a key that begins with "new-" need the next version.
func laterBuild(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		testtools.Lacking(t, "the go command", "all")
	}
	file, err := filepath.Abs("../../internal/gridwire/gridwire.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for _, change := range [][2]string{
		{"const Version = 1\n", "const Version = 2\n"},
		{"const HeaderRoom = 40\n", "const HeaderRoom = 80\n"},
		{"	return protowire.AppendVarint(b, origin)\n", "	return AppendUnknown(protowire.AppendVarint(b, origin), 40)\n"},
		{"	return b, nil\n}\n\n// sizeOfBytes", "	return AppendUnknown(b, 20), nil\n}\n\n// sizeOfBytes"},
		{"	b = append(b, body...)\n", "	b = append(b, body...)\n	if strings.Contains(string(body), \"/new-\") {\n		SetNeeds(b, 2)\n	}\n"},
		{"	\"errors\"\n", "	\"errors\"\n	\"strings\"\n"},
	} {
		if strings.Count(text, change[0]) != 1 {
			t.Fatalf("%s does not have %q once", file, change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	changed, overlay, path := filepath.Join(t.TempDir(), "gridwire.go"), filepath.Join(t.TempDir(), "overlay.json"), filepath.Join(t.TempDir(), "later.test")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err := errors.Join(err, os.WriteFile(changed, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("a build of the next version: %v\n%s", err, out)
	}
	return path
}
