// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/protoloop/protoloop/grid/hub"
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
	h.procs[name] = testtools.Spawn(h.T, hubVariable, o)
	h.procs[name].Ready()
}

// TestDiskIsLost: the disk of one hub after the other is lost, and it begins anew, while keys are asked to enter numbers into their state.
// After each, another hub is killed, so that what the new one has counts. No ask fails, and each number is stored once.
func TestDiskIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("JetStream takes seconds for each election")
	}
	h := spawnHubs(t, 3, authority(t), hubOptions{Healthy: true, Options: hub.Options{Buckets: []string{"LEDGER"}, StartWithin: 10 * time.Minute}})
	o := memberOptions{Bucket: "LEDGER", Lease: time.Minute, SaveWithin: 2 * time.Minute}
	procs := map[string]*testtools.Process{}
	for _, node := range []string{"a", "b"} {
		procs[node] = h.spawnMember(node, o)
		procs[node].Ready()
	}
	l := startLoad(t, h.asker())
	const enough = 500
	l.more(enough, "before")
	for _, round := range [][2]string{{"hub-1", "hub-2"}, {"hub-2", "hub-3"}, {"hub-1", "hub-3"}} { // hub-1 twice: then nobody knows it by its first number
		lost, next := round[0], round[1]
		h.loseDisk(lost)
		l.more(enough, "without "+lost)
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
