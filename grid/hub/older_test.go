// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/internal/testtools"
)

// olderCommit is that whose nodes and hubs today's have to go together with. It is the first whose test binary is a hub and a node with a
// journal; frames had a version by then. A release that is to stay compatible takes its place.
const olderCommit = "35dc45884b81"

// TestOlder: nodes and hubs that were built of an older commit run beside today's.
func TestOlder(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds an older version, which takes long on a slow machine")
	}
	build := olderBuild(t)
	t.Run("SideBySide", func(t *testing.T) { sideBySide(t, build) })
	t.Run("Upgrade", func(t *testing.T) { upgrade(t, build) })
}

// sideBySide: of three hubs two are older. At one of each kind are an older node and one of today. Each asks each. What a node has saved that is
// stopped those load that get its shards, and what these have saved the node loads that takes its place: across the versions, both ways.
func sideBySide(t *testing.T, build string) {
	h := spawnHubs(t, 3, authority(t), hubOptions{
		Healthy: true, Options: hub.Options{Buckets: []string{"LEDGER"}, StartWithin: 10 * time.Minute}, builds: map[string]string{"hub-1": build, "hub-3": build},
	})
	hubOf := map[string]string{"older-1": "hub-1", "older-2": "hub-2", "today-1": "hub-1", "today-2": "hub-2"}
	isOlder := func(node string) bool { return strings.HasPrefix(node, "older") }
	var nodes []string
	procs := map[string]*testtools.Process{}
	spawn := func(node string) {
		t.Helper()
		o := memberOptions{Lease: time.Minute, Bucket: "LEDGER", SaveWithin: 2 * time.Minute}
		hub := hubOf[node]
		o.Hubs = []string{h.options[hub].Hubs[hub]}
		program := os.Args[0]
		if isOlder(node) {
			program = build
		}
		procs[node] = h.spawnMemberOf(program, node, o)
		procs[node].Ready()
	}
	for node := range hubOf {
		spawn(node)
		nodes = append(nodes, node)
	}
	asker := h.asker()
	keys := map[string]int{} // one of each node
	for key, a := range asker.homes(t, nodes...) {
		keys[a.node] = key
	}
	for _, from := range nodes {
		for _, to := range nodes {
			a, err := asker.askBy(t, keys[from], accountOf(keys[to]), 10*time.Minute)
			if err != nil || a.node != to {
				t.Errorf("%s asks %s: %v, %v", from, to, a, err)
			}
		}
	}

	entered := map[int][]int64{}
	add := func() {
		t.Helper()
		for key := range accounts {
			n := int64(key + accounts*len(entered[key]))
			// It may be asked again: a key may be on its way to another node.
			if _, err := enter.Call(t.Context(), asker.sys.Root, asker.account(key), wrapperspb.Int64(n), actors.Idempotent(), actors.Timeout(10*time.Minute)); err != nil {
				t.Fatalf("the key %d: %v", key, err)
			}
			entered[key] = append(entered[key], n)
		}
	}
	crossed := map[string]int{}
	moved := func(before, after []string) {
		t.Helper()
		asker.homes(t, after...)
		for key := range accounts {
			id := accountOf(key)
			from, to := homeOf(id, before), homeOf(id, after)
			text, err := inquire.Call(t.Context(), asker.sys.Root, asker.account(key), wrapperspb.String(lists), actors.Idempotent(), actors.Timeout(10*time.Minute))
			want := strings.Trim(fmt.Sprint(entered[key]), "[]")
			if err != nil || text.GetValue() != want {
				t.Errorf("the key %d, which was at %s, has %q at %s, %v, want %q", key, from, text.GetValue(), to, err, want)
			}
			if isOlder(from) != isOlder(to) {
				crossed[from+" to "+to]++
			}
		}
		add() // what the new owner saves
	}
	add()
	for node := range hubOf {
		others := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == node })
		procs[node].Stop()
		moved(nodes, others)
		spawn(node)
		moved(others, nodes)
	}
	t.Logf("keys that were handed over: %v", crossed)
	for from := range hubOf {
		for to := range hubOf {
			if isOlder(from) != isOlder(to) && crossed[from+" to "+to] == 0 {
				t.Errorf("no key went from %s to %s", from, to)
			}
		}
	}
	asker.leave() // while there are hubs: later it would wait for its lease
}

// upgrade: a cluster of the older version under load becomes one of today's, nodes and hubs in turns, and then one node and one hub are
// older again. No ask fails, and each number is stored once.
func upgrade(t *testing.T, build string) {
	today := os.Args[0]
	h := spawnHubs(t, 3, authority(t), hubOptions{
		Healthy: true, Options: hub.Options{Buckets: []string{"LEDGER"}, StartWithin: 10 * time.Minute}, builds: map[string]string{"hub-1": build, "hub-2": build, "hub-3": build},
	})
	// Nobody crashes, and a slow machine is not to lose anything.
	o := memberOptions{Bucket: "LEDGER", Lease: time.Minute, SaveWithin: 2 * time.Minute}
	nodes := []string{"a", "b", "c"}
	procs := map[string]*testtools.Process{}
	for _, node := range nodes {
		procs[node] = h.spawnMemberOf(build, node, o)
		procs[node].Ready()
	}
	asker := h.asker()
	asker.homes(t, nodes...)
	l := startLoad(t, asker, loadEvery)
	l.more(500, "before")
	for _, step := range []struct{ name, program string }{
		{"a", today}, {"hub-1", today}, {"b", today}, {"hub-2", today}, {"hub-3", today}, {"c", today},
		{"b", build}, {"hub-2", build},
	} {
		if _, isHub := h.procs[step.name]; isHub {
			h.procs[step.name].Stop()
			h.options[step.name].builds[step.name] = step.program
			h.start(step.name).Ready()
		} else {
			procs[step.name].Stop()
			procs[step.name] = h.spawnMemberOf(step.program, step.name, o)
			procs[step.name].Ready()
		}
		l.more(300, fmt.Sprintf("with %s of %s", step.name, filepath.Base(step.program)))
	}
	l.more(500, "after")
	l.stop()
	l.checkLedgers(h, procs, o)
}

// olderBuild is the test binary of this package as it was at olderCommit: a hub, and a node. It is built once, without the race detector, and
// kept beside other tools of tests.
func olderBuild(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"go", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			testtools.Lacking(t, "the "+program+" command", "all")
		}
	}
	if out, err := exec.Command("git", "cat-file", "-e", olderCommit+"^{commit}").CombinedOutput(); err != nil {
		// Also where no tool may be missing: no script can fetch the history of a copy that has none.
		t.Skipf("the commit %s is not here, of which an older version is built: this is no clone with all of its history. "+
			"git fetch --unshallow gets that. %s", olderCommit, bytes.TrimSpace(out))
	}
	dir, err := testtools.Dir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "older", fmt.Sprintf("hub-%s-%s-%s-%s.test", olderCommit, runtime.Version(), runtime.GOOS, runtime.GOARCH))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	began := time.Now()
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Fatal(err)
	}
	tree := t.TempDir()
	archive := exec.Command("git", "-C", strings.TrimSpace(string(root)), "archive", "--format=tar", olderCommit)
	unpack := exec.Command("tar", "-x", "-C", tree)
	var archiveSaid, unpackSaid bytes.Buffer // one each: each command writes to its own at any time
	archive.Stderr, unpack.Stderr = &archiveSaid, &unpackSaid
	unpack.Stdin, err = archive.StdoutPipe()
	if err = errors.Join(err, archive.Start()); err == nil {
		err = errors.Join(unpack.Run(), archive.Wait())
	}
	if err != nil {
		t.Fatalf("the files of %s: %v\n%s%s", olderCommit, err, archiveSaid.Bytes(), unpackSaid.Bytes())
	}
	// It is built beside its place, so that nobody finds a half of it there.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	half, err := os.MkdirTemp(filepath.Dir(path), "build-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(half)
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-o", filepath.Join(half, "hub.test"), ".")
	cmd.Dir = filepath.Join(tree, "grid", "hub")
	cmd.Env = append(cmd.Environ(), "GOWORK="+filepath.Join(tree, "go.work"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("a build of %s: %v\n%s", olderCommit, err, out)
	}
	if err := os.Rename(filepath.Join(half, "hub.test"), path); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s was built in %v", path, time.Since(began))
	return path
}

// askBy has a key ask another who it is, for so long. To ask twice does no harm: on a slow machine a connection may be given up.
func (m *member) askBy(t *testing.T, key int, id string, within time.Duration) (answer, error) {
	return m.ask(t.Context(), key, fmt.Sprint(asks, " ", id, " ", within), actors.Idempotent())
}
