// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/internal/testtools"
)

var seed = flag.Uint64("faults.seed", 0, "the seed of all choices; 0: another each time")

var lasts = flag.Duration("faults.lasts", 0, "how long there are faults; 0: 5 minutes, or 30 with "+fullVariable+"=1")

var keep = flag.Bool("faults.keep", false, "keep logs and history also if the test passes")

// mistake shows that the checks find something: with it the test has to fail.
var mistake = flag.Bool("faults.mistake", false, "have nodes answer before what they say is saved, which the checks have to find")

// fullVariable asks for the full size.
const fullVariable = "PROTOLOOP_TEST_FULL"

func full() bool { return os.Getenv(fullVariable) != "" }

const (
	hubCount    = 3
	nodeCount   = 5
	clientCount = 2
	smallDisk   = 320  // megabytes of the hub whose disk becomes full; etcd alone takes 128 for its log
	natsPort    = 7420 // that of a hub's address
	etcdPort    = natsPort + 1
	healthPort  = natsPort + 10
)

// cluster is hubs, nodes and clients, each in a namespace of its own.
type cluster struct {
	*network
	t        *testing.T
	launcher *launcher
	dir      string // of logs and journals, which is kept if the test fails
	seed     uint64
	hubs     []string
	nodes    []string
	clients  []string
	programs map[string]*program
	files    map[string]*certs.Files
	queue    bool

	mu           sync.Mutex
	incarnations map[string]int
	log          *os.File // of faults
}

// newCluster makes the namespaces, and starts everything.
func newCluster(t *testing.T, queue bool) *cluster {
	t.Helper()
	needNetworks(t)
	c := &cluster{t: t, seed: *seed, programs: map[string]*program{}, files: map[string]*certs.Files{}, incarnations: map[string]int{}, queue: queue}
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano())
	}
	var err error
	if c.dir, err = os.MkdirTemp("", "plfaults-"); err != nil {
		t.Fatal(err)
	}
	t.Logf("-faults.seed=%d; logs and history are in %s while it runs, and stay there if it fails", c.seed, c.dir)
	t.Cleanup(func() {
		if t.Failed() || *keep {
			t.Logf("-faults.seed=%d; logs and history are in %s", c.seed, c.dir)
			return
		}
		if err := os.RemoveAll(c.dir); err != nil {
			t.Error(err)
		}
	})
	if c.log, err = os.Create(filepath.Join(c.dir, "faults.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.log.Close() })
	for i := range hubCount {
		c.hubs = append(c.hubs, fmt.Sprint("hub-", i+1))
	}
	for i := range nodeCount {
		c.nodes = append(c.nodes, fmt.Sprint("node-", i+1))
	}
	for i := range clientCount {
		c.clients = append(c.clients, fmt.Sprint("client-", i+1))
	}
	hosts := append(append(append([]string{}, c.hubs...), c.nodes...), c.clients...)
	mountSmall(t, c.hubDir(c.small()), smallDisk)
	c.network = newNetwork(t, hosts...)
	c.launcher = newLauncher(t)
	c.makeCertificates()
	hub := c.build()
	for _, name := range c.hubs {
		c.programs[name] = &program{host: name, start: func() (*process, error) { return c.startHub(hub, name) }}
	}
	for _, name := range c.nodes {
		c.programs[name] = &program{host: name, start: func() (*process, error) { return c.startChild(roleNode, name) }}
	}
	for _, name := range c.clients {
		c.programs[name] = &program{host: name, start: func() (*process, error) { return c.startChild(roleClient, name) }}
	}
	t.Cleanup(c.endAll)
	c.runAll(c.hubs)
	c.runAll(c.nodes)
	c.runAll(c.clients)
	return c
}

// small is the hub with the small disk.
func (c *cluster) small() string { return c.hubs[len(c.hubs)-1] }

func (c *cluster) hubDir(name string) string { return filepath.Join(c.dir, "data", name) }

func (c *cluster) makeCertificates() {
	c.t.Helper()
	ca, err := certs.Development(filepath.Join(c.dir, "certificates"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range c.hubs {
		f, err := ca.Hub(name, c.addr(name))
		if err != nil {
			c.t.Fatal(err)
		}
		c.files[name] = &f
	}
	for _, name := range append(append([]string{}, c.nodes...), c.clients...) {
		f, err := ca.Node(name)
		if err != nil {
			c.t.Fatal(err)
		}
		c.files[name] = &f
	}
}

// build builds cmd/hub, with the race detector if the test has it.
func (c *cluster) build() string {
	c.t.Helper()
	path := filepath.Join(c.dir, "hub")
	args := []string{"build", "-o", path}
	if testtools.RaceEnabled() {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "github.com/protoloop/protoloop/cmd/hub")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("build the hub: %v\n%s", err, out)
	}
	return path
}

func (c *cluster) startHub(path, name string) (*process, error) {
	var all []string
	for _, hub := range c.hubs {
		all = append(all, fmt.Sprintf("%s=%s:%d", hub, c.addr(hub), natsPort))
	}
	f := c.files[name]
	args := []string{
		"-cluster", "faults", "-name", name, "-hubs", strings.Join(all, ","), "-dir", c.hubDir(name), "-cert", f.Cert, "-key", f.Key, "-ca", f.CA,
		"-health", fmt.Sprintf("%s:%d", c.addr(name), healthPort), "-start-within", "10m",
	}
	if c.queue {
		args = append(args, "-partitions", queue)
	} else {
		args = append(args, "-buckets", bucket)
	}
	p, err := c.spawn(name, path, nil, args...)
	if err != nil {
		return nil, err
	}
	line, err := p.line()
	if err == nil && !strings.Contains(line, "is ready") {
		err = fmt.Errorf("%s says %q", name, line)
	}
	return p, err
}

func (c *cluster) startChild(role, name string) (*process, error) {
	c.mu.Lock()
	c.incarnations[name]++
	s := settings{Role: role, Dir: c.dir, Incarnation: c.incarnations[name], Shards: 64, Lease: 5 * time.Second, Queue: c.queue, Parts: parts, Mistake: *mistake}
	c.mu.Unlock()
	if full() {
		s.Lease = 0 // the default, which a slow machine could not keep
	}
	s.Hub = hubclient.Options{Cluster: "faults", Certificates: c.files[name], Node: name}
	for _, hub := range c.hubs {
		s.Hub.Hubs = append(s.Hub.Hubs, fmt.Sprintf("%s:%d", c.addr(hub), natsPort))
	}
	for i, client := range c.clients {
		if client == name {
			s.Seed = c.seed/100*100 + uint64(i)
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	p, err := c.spawn(name, os.Args[0], []string{childVariable + "=" + string(b)})
	if err != nil {
		return nil, err
	}
	line, err := p.line()
	if err == nil && line != "ready" {
		err = fmt.Errorf("%s says %q", name, line)
	}
	return p, err
}

// runAll starts programs side by side.
func (c *cluster) runAll(names []string) {
	c.t.Helper()
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { errs[i] = c.programs[name].run() })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *cluster) endAll() {
	for _, g := range c.programs {
		if p := g.process(); p != nil {
			p.end()
		}
	}
}

// checkPrograms says which programs have ended by themselves, and what they have logged that none may.
func (c *cluster) checkPrograms() (wrong []string) {
	for host, g := range c.programs {
		path := filepath.Join(c.dir, host+".log")
		if g.diedItself() {
			wrong = append(wrong, fmt.Sprintf("%s has ended by itself: see %s", host, path))
		}
		b, err := os.ReadFile(path)
		if err != nil {
			c.t.Error(err)
		}
		bad := brokenLine.FindAll(b, 5)
		if host == c.small() { // etcd panics when its disk is full
			bad = slices.DeleteFunc(bad, func(line []byte) bool { return !bytes.Contains(line, []byte("DATA RACE")) })
		}
		for _, line := range bad {
			wrong = append(wrong, fmt.Sprintf("%s has logged %q: see %s", host, line, path))
		}
	}
	return wrong
}

// brokenLine is what the runtime writes when a program is broken.
var brokenLine = regexp.MustCompile(`(?m)^(panic:|fatal error:|WARNING: DATA RACE).*`)

// client is one of the clients' processes.
func (c *cluster) client(i int) *process { return c.programs[c.clients[i]].process() }

// note writes to the log of faults.
func (c *cluster) note(format string, args ...any) {
	fmt.Fprintf(c.log, "%v %s\n", now(), fmt.Sprintf(format, args...))
}

// healthy waits until a hub says that it is well. It reports false if it has ended, or stays unwell for so long.
func (c *cluster) healthy(hub string, within time.Duration) bool {
	c.t.Helper()
	last := ""
	for begun := time.Now(); time.Since(begun) < within; time.Sleep(200 * time.Millisecond) {
		if c.programs[hub].process().hasEnded() {
			c.note("%s has ended", hub)
			return false
		}
		var wrong string
		if err := c.client(0).request(command{Do: doHealth, Hub: fmt.Sprintf("%s:%d", c.addr(hub), healthPort)}, &wrong); err != nil {
			c.t.Error(err)
			return false
		}
		if wrong == "" {
			return true
		}
		if wrong != last {
			c.note("%s is not well: %s", hub, wrong)
			last = wrong
		}
	}
	return false
}
