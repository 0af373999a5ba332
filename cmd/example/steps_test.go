// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// stepsPage has the commands.
const stepsPage = "../../docs/grid-operations.md"

// steps runs the commands of the page, as they stand there but for the addresses.
type steps struct {
	*testing.T
	dir      string // where they run
	hub      string // the program
	blocks   map[int][]string
	replaced *strings.Replacer
}

func newSteps(t *testing.T) *steps {
	t.Helper()
	page, err := os.ReadFile(stepsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## From one process to three hubs in ten steps\n")
	section, _, _ = strings.Cut(section, "\n## ")
	s := &steps{T: t, dir: t.TempDir(), hub: testtools.Program(t, "cmd/hub"), blocks: map[int][]string{}}
	block := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	for i, step := range strings.Split(section, "\n### ")[1:] {
		if want := fmt.Sprintf("%d. ", i+1); !strings.HasPrefix(step, want) {
			t.Fatalf("a step does not begin with %q: %.40s", want, step)
		}
		s.blocks[i+1] = nil
		for _, m := range block.FindAllStringSubmatch(step, -1) {
			s.blocks[i+1] = append(s.blocks[i+1], m[1])
		}
	}
	if len(s.blocks) != 10 {
		t.Fatalf("%d steps", len(s.blocks))
	}
	replaced := []string{"127.0.0.1:7420", freePorts(t, 4), "127.0.0.1:8081", freePorts(t, 1), "127.0.0.1:8082", freePorts(t, 1)}
	for n := 1; n <= 3; n++ {
		hub := freePorts(t, 5)
		_, port, _ := net.SplitHostPort(hub)
		var first int
		fmt.Sscan(port, &first)
		replaced = append(replaced, fmt.Sprintf("10.0.0.%d:7420", n), hub, fmt.Sprintf("10.0.0.%d:7430", n), fmt.Sprintf("127.0.0.1:%d", first+4))
	}
	s.replaced = strings.NewReplacer(append(replaced, "10.0.0.$n", "127.0.0.1")...)
	return s
}

// at is the address that an address of the page stands for.
func (s *steps) at(addr string) string { return s.replaced.Replace(addr) }

// commands are the lines of a step, which must begin so.
func (s *steps) commands(step int, begin string) []string {
	s.Helper()
	var all []string
	for _, b := range s.blocks[step] {
		for line := range strings.Lines(b) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, begin) {
				s.Fatalf("step %d has the line %q, which does not begin with %q", step, line, begin)
			}
			all = append(all, s.replaced.Replace(line))
		}
	}
	if len(all) == 0 {
		s.Fatalf("step %d has no commands", step)
	}
	return all
}

// start starts a program of the page in the background.
func (s *steps) start(command string) *process {
	s.Helper()
	words := strings.Fields(command)
	p := newLongProcess(s.T, 20*time.Minute, words[1:]...)
	p.Dir = s.dir
	p.Env = append(os.Environ(), "PROTOLOOP_TEST_GRID_LEASE=5s") // long enough for a machine that is busy
	if words[0] == "hub" {
		p.Path = s.hub
	}
	if !strings.Contains(command, "-hubs ") { // its default address may be in use
		p.Env = append(p.Env, "PROTOLOOP_HUB_NAME=hub", "PROTOLOOP_HUB_HUBS=hub="+s.at("127.0.0.1:7420"))
	}
	if err := p.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
		if s.Failed() {
			s.Logf("%s\n%s%s", command, p.out.String(), p.err.String())
		}
	})
	return p
}

// shell runs commands to their end.
func (s *steps) shell(script string) error {
	cmd := exec.CommandContext(s.Context(), "bash", "-e", "-c", s.replaced.Replace(script))
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// node is a process with a page.
type node struct {
	*process
	s    *steps
	addr string
}

// startNodes starts what a step does, and waits until it is ready.
func (s *steps) startNodes(step int) (all []*node) {
	s.Helper()
	for _, command := range s.commands(step, "example ") {
		n := &node{s.start(command), s, strings.Fields(command)[2]}
		all = append(all, n)
		actortest.Eventually(s.T, command+" to be ready", func() bool {
			answer, err := http.Get("http://" + n.addr + "/readyz")
			if err != nil {
				return false
			}
			answer.Body.Close()
			return answer.StatusCode == http.StatusOK
		})
	}
	return all
}

func (n *node) kill() {
	n.s.Helper()
	if err := n.Process.Kill(); err != nil {
		n.s.Fatal(err)
	}
	_ = n.Wait() // it says that it was killed
}

// end is SIGTERM, by which a process ends in peace.
func (s *steps) end(p *process) {
	s.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		s.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		s.Errorf("%s: %v\n%s", p.Path, err, p.err.String())
	}
}

// add adds an item by one node, until it is accepted, and waits until all show exactly these.
func (s *steps) add(by *node, all []*node, texts ...string) {
	s.Helper()
	text := texts[0]
	actortest.Eventually(s.T, fmt.Sprintf("%q to be added", text), func() bool {
		c, err := dial(s.Context(), by.addr, nil)
		if err != nil {
			return false
		}
		defer c.close()
		return c.call(s.Context(), "add", map[string]string{"key": text, "text": text}, &struct{}{}) == nil
	})
	for _, n := range all {
		actortest.Eventually(s.T, fmt.Sprintf("%q at %s", texts, n.addr), func() bool {
			items, total := shown(s.T, n.addr)
			if total != len(texts) {
				return false
			}
			for i, it := range items {
				if it.Text != texts[i] {
					return false
				}
			}
			return true
		})
	}
}

// TestTenSteps runs the commands of the page that leads from one process to three hubs, one after the other.
func TestTenSteps(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		testtools.Lacking(t, "OpenSSL", toolsScript)
	}
	s := newSteps(t)
	dev := s.start(s.commands(3, "hub ")[0])
	if !dev.out.await(dev.ctx, "development only") {
		t.Fatal("the hub is not ready")
	}
	one := s.startNodes(4)[0]
	two := s.startNodes(5)[0]
	s.add(one, []*node{one, two}, "at the first")
	one.kill() // step 6
	s.add(two, []*node{two}, "at the second", "at the first")
	s.end(two.process)
	s.end(dev)

	if err := s.shell(strings.Join(s.blocks[7], "\n")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hub-1", "node-3"} {
		if _, err := os.Stat(filepath.Join(s.dir, name+".pem")); err != nil {
			t.Error(err)
		}
	}
	commands := s.commands(8, "hub ")
	var hubs []*process
	for _, command := range commands {
		hubs = append(hubs, s.start(command))
	}
	for _, h := range hubs {
		if !h.out.await(h.ctx, "is ready at") {
			t.Fatal("a hub is not ready")
		}
	}
	nodes := s.startNodes(9)
	s.add(nodes[0], nodes, "on three hubs")

	if err := hubs[0].Process.Kill(); err != nil { // step 10
		t.Fatal(err)
	}
	_ = hubs[0].Wait()
	if s.shell(s.blocks[10][0]) == nil {
		t.Error("a hub that was killed is well")
	}
	s.add(nodes[0], nodes, "on two hubs", "on three hubs")
	hubs[0] = s.start(commands[0])
	actortest.Eventually(t, "the hub to be well", func() bool { return s.shell(s.blocks[10][0]) == nil })
	s.end(nodes[0].process)
	s.add(nodes[1], nodes[1:], "at one node", "on two hubs", "on three hubs")
	s.end(nodes[1].process)
	for _, h := range hubs {
		s.end(h)
	}
}
