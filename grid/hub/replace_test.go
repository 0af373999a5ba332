// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/internal/testtools"
)

// loseDisk kills a hub, and takes its files.
func (h *hubProcesses) loseDisk(name string) {
	h.Helper()
	h.procs[name].Kill()
	dir := h.options[name].Dir
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		h.Fatal(err)
	}
}

// replace starts a hub with Replace, and waits until it has all.
func (h *hubProcesses) replace(name string) {
	h.Helper()
	o := h.options[name]
	o.Replace, o.Healthy = true, true
	h.procs[name] = h.spawn(o)
	h.procs[name].Ready()
}

// replaceHalf starts a hub with Replace, and kills it when that has begun.
func (h *hubProcesses) replaceHalf(name string) {
	h.Helper()
	o := h.options[name]
	o.Replace = true
	h.procs[name] = h.spawn(o)
	for begun := false; !begun; { // as long as it takes
		time.Sleep(time.Millisecond)
		_, err := os.Stat(filepath.Join(o.Dir, "replacing"))
		_, ready := os.Stat(filepath.Join(o.Dir, "nats"))
		begun = err == nil || ready == nil
	}
	h.procs[name].Kill()
}

// TestDiskIsLost: the disk of a hub is lost, twice, and it begins anew, at first only half-way, while keys are asked to enter numbers into their state.
// After each, another hub is killed, so that what the new one has counts. No ask fails, and each number is stored once.
func TestDiskIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("JetStream takes seconds for each election")
	}
	t.Parallel()
	h := spawnHubs(t, 3, authority(t), hubOptions{Healthy: true, Options: hub.Options{Buckets: []string{"LEDGER"}, StartWithin: 10 * time.Minute}})
	o := memberOptions{Bucket: "LEDGER", Lease: time.Minute, SaveWithin: 2 * time.Minute}
	procs := map[string]*testtools.Process{}
	for _, node := range []string{"a", "b"} {
		procs[node] = h.spawnMember(node, o)
		procs[node].Ready()
	}
	l := startLoad(t, h.asker(), 10*loadEvery)
	const enough = 100
	l.more(enough, "before")
	for i, round := range [][2]string{{"hub-1", "hub-2"}, {"hub-1", "hub-3"}} { // twice: then nobody knows it by its first number
		lost, next := round[0], round[1]
		h.loseDisk(lost)
		l.more(enough, "without "+lost)
		if i == 0 {
			h.replaceHalf(lost)
		}
		h.replace(lost)
		l.more(enough, "with "+lost+" replaced")
		h.procs[next].Kill()
		l.more(enough, "with "+next+" killed")
		h.start(next).Ready()
		l.more(enough, "with all hubs")
	}
	h.procs["hub-1"].Stop()
	h.start("hub-1").Ready() // as any other
	l.more(enough, "after")
	l.stop()
	l.checkLedgers(h, procs, o)
}

// TestReplaceIsRefused: a hub that runs is not replaced, and none without a majority of the others; nothing changes then. What has begun and is
// not complete is done from its beginning, and a hub with all its files starts as any other.
func TestReplaceIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("three hubs are much for a slow machine")
	}
	t.Parallel()
	ca := authority(t)
	tr := startTrio(t, hub.Options{StartWithin: 10 * time.Minute}, func(name string) *certs.Files { return hubFiles(t, ca, name) })
	refuses := func(o hub.Options, why string) {
		t.Helper()
		h, err := hub.Start(t.Context(), o)
		if err == nil {
			h.Shutdown()
			t.Fatalf("it has started, and not failed by %q", why)
		}
		if !strings.Contains(err.Error(), why) {
			t.Errorf("it fails by %v, and not by %q", err, why)
		}
	}
	healthy := func() {
		t.Helper()
		actortest.Eventually(t, "all hubs to be well", func() bool {
			for _, h := range tr.hubs {
				if h.Health(t.Context()) != nil {
					return false
				}
			}
			return true
		})
	}
	start := func(i int, o hub.Options) {
		t.Helper()
		var err error
		if tr.hubs[i], err = hub.Start(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		healthy()
	}
	healthy()
	full := tr.o[0]
	empty := full
	empty.Replace, empty.Dir = true, t.TempDir()
	refuses(empty, "of its four ports one is not to be had")
	elsewhere := empty
	elsewhere.Hubs = maps.Clone(empty.Hubs)
	elsewhere.Hubs[elsewhere.Name] = addrs(t, 1)[0]
	elsewhere.StartWithin = 20 * time.Second // a slow machine may not hear of it directly
	refuses(elsewhere, "nothing has changed")
	healthy()

	tr.hubs[0].Shutdown()
	tr.hubs[1].Shutdown()
	empty.StartWithin = 10 * time.Second
	refuses(empty, "nothing has changed")
	empty.StartWithin = full.StartWithin
	if _, err := os.Stat(filepath.Join(empty.Dir, "replacing")); err == nil {
		t.Error("it has begun")
	}
	tr.restart(t, 0, 1)
	healthy()

	tr.hubs[0].Shutdown()
	plain := empty
	plain.Replace = false
	refuses(plain, "hub -replace")
	start(0, empty)
	tr.hubs[0].Shutdown()
	start(0, plain)
	tr.hubs[0].Shutdown()
	start(0, empty) // it has files
	tr.hubs[0].Shutdown()
	half := filepath.Join(empty.Dir, "replacing")
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(plain, "not complete")
	start(0, empty)
	if _, err := os.Stat(half); err == nil {
		t.Error("it is not complete")
	}
}
