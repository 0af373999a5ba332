// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/internal/testtools"
)

// hubProcess is hub -dev, which can be killed and started again.
type hubProcess struct {
	t            *testing.T
	program, dir string
	addr         string // of the first start
	p            *process
}

func startHub(t *testing.T) *hubProcess {
	t.Helper()
	h := &hubProcess{t: t, program: testtools.Program(t, "cmd/hub"), dir: t.TempDir(), addr: "127.0.0.1:0"}
	h.start()
	return h
}

// start returns when the hub is ready.
func (h *hubProcess) start() {
	h.t.Helper()
	h.p = newLongProcess(h.t, 20*time.Minute, "-dev", "-dir", h.dir, "-name", "hub", "-hubs", "hub="+h.addr, "-queues", "ITEMS", "-buckets", "LIST")
	h.p.Path = h.program
	if err := h.p.Start(); err != nil {
		h.t.Fatal(err)
	}
	p := h.p
	h.t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
		if h.t.Failed() {
			h.t.Logf("the log of the hub: %s%s", p.out.String(), p.err.String())
		}
	})
	if !p.out.await(p.ctx, "development only") {
		h.t.Fatalf("the hub is not ready: %s", p.err.String())
	}
	_, at, _ := strings.Cut(p.out.String(), "is ready at ")
	h.addr, _, _ = strings.Cut(at, "\n")
}

func (h *hubProcess) kill() {
	h.t.Helper()
	if err := h.p.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	_ = h.p.Wait() // it says that it was killed
}

func (h *hubProcess) certificate(node string) certs.Files {
	dir := filepath.Join(h.dir, "certificates")
	of := filepath.Join(dir, "nodes", node)
	return certs.Files{Cert: filepath.Join(of, "cert.pem"), Key: filepath.Join(of, "key.pem"), CA: filepath.Join(dir, "ca", "cert.pem")}
}

// newNode is a service that joins the hub.
func (h *hubProcess) newNode(node string, args ...string) *running {
	f := h.certificate(node)
	r := newService(h.t, append([]string{"-join", h.addr, "-cert", f.Cert, "-key", f.Key, "-ca", f.CA}, args...)...)
	// Long enough for a machine that is busy. That of the grid is 2 s.
	r.env = []string{"PROTOLOOP_TEST_GRID_LEASE=5s"}
	return r
}

// balancer leads each request to one of several services that answers, and a session to the one that has the fewest.
type balancer struct {
	*httptest.Server
	mu       sync.Mutex
	backends []string
	sessions map[string]int
}

func newBalancer(t *testing.T, services ...*running) *balancer {
	b := &balancer{sessions: map[string]int{}}
	for _, r := range services {
		b.backends = append(b.backends, r.addr)
	}
	b.Server = httptest.NewServer(&httputil.ReverseProxy{
		Transport: b,
		Rewrite:   func(p *httputil.ProxyRequest) { p.Out.Host = p.In.Host }, // the origin of the page
	})
	t.Cleanup(b.Close)
	return b
}

func (b *balancer) addr() string { return strings.TrimPrefix(b.URL, "http://") }

// RoundTrip is a http.RoundTripper's.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	order := slices.Clone(b.backends)
	slices.SortStableFunc(order, func(x, y string) int { return b.sessions[x] - b.sessions[y] })
	b.mu.Unlock()
	var last error
	for _, backend := range order {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host = "http", backend
		answer, err := http.DefaultTransport.RoundTrip(out)
		if err == nil && answer.StatusCode == http.StatusServiceUnavailable {
			answer.Body.Close()
			err = fmt.Errorf("%s is not ready", backend)
		}
		if err != nil {
			last = err
			continue
		}
		if conn, is := answer.Body.(io.ReadWriteCloser); is && answer.StatusCode == http.StatusSwitchingProtocols {
			b.count(backend, 1)
			answer.Body = &proxied{ReadWriteCloser: conn, ended: sync.OnceFunc(func() { b.count(backend, -1) })}
		}
		return answer, nil
	}
	return nil, last
}

func (b *balancer) count(backend string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[backend] += n
}

// at is how many sessions a service has.
func (b *balancer) at(r *running) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions[r.addr]
}

// proxied is the connection of a session.
type proxied struct {
	io.ReadWriteCloser
	ended func()
}

func (s *proxied) Close() error {
	s.ended()
	return s.ReadWriteCloser.Close()
}

// TestBrowserOfTwoProcesses has pages at two processes behind one proxy. What one page does the other shows, and both go on, with all
// of the list, when either process is killed: one of these has the list.
func TestBrowserOfTwoProcesses(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	h := startHub(t)
	a, b := h.newNode("node-1"), h.newNode("node-2")
	a.start()
	b.start()
	proxy := newBalancer(t, a, b)
	one, two := browser.open(t, proxy.addr()), browser.open(t, proxy.addr())
	actortest.Eventually(t, "a page at each process", func() bool { return proxy.at(a) == 1 && proxy.at(b) == 1 })
	pages := []*tab{one, two}
	shows := func(texts ...string) {
		t.Helper()
		for _, p := range pages {
			p.state(t, "connected")
			p.shows(t, texts...)
		}
	}
	one.add(t, "Tea from Assam")
	shows("Tea from Assam")
	two.add(t, "Bread with seeds")
	shows("Bread with seeds", "Tea from Assam")
	one.remove(t, "Bread with seeds")
	shows("Tea from Assam")

	a.kill()
	actortest.Eventually(t, "the page of the killed process to be at the other", func() bool { return proxy.at(b) == 2 })
	one.add(t, "After one was killed")
	shows("After one was killed", "Tea from Assam")
	a.start()
	b.kill()
	actortest.Eventually(t, "both pages to be at the process that was started anew", func() bool { return proxy.at(a) == 2 })
	two.add(t, "After the other was killed")
	one.remove(t, "Tea from Assam")
	shows("After the other was killed", "After one was killed")
	b.start()

	h.kill() // what it has confirmed is on its disk
	one.add(t, "Typed while there was no hub")
	h.start()
	pages = append(pages, browser.open(t, proxy.addr()))
	actortest.Eventually(t, "a page at the process that was started last", func() bool { return proxy.at(b) > 0 })
	shows("Typed while there was no hub", "After the other was killed", "After one was killed")
	for _, p := range pages {
		p.fine(t)
	}
	one.pictures(t, "join-")
	for _, p := range pages {
		p.Do(t, chromedp.Navigate("about:blank"))
	}
	// One after the other: the first hands the list over.
	a.stop()
	b.stop()
}

// clusterEvent is one in the log of a service.
var clusterEvent = regexp.MustCompile(`event=(joined|left|lost) node=(\S+) session=(\d+)`)

// sessions are those of a node that another has seen come and not go.
func sessions(of *running, node string) map[uint64]bool {
	live := map[uint64]bool{}
	for _, m := range clusterEvent.FindAllStringSubmatch(of.p.err.String(), -1) {
		session, _ := strconv.ParseUint(m[3], 10, 64)
		if m[2] != node {
			continue
		}
		if m[1] == "joined" {
			live[session] = true
		} else {
			delete(live, session)
		}
	}
	return live
}

// hold holds a process until another has seen that its session is over, lets it go on, and waits until it is there again.
func hold(t *testing.T, r *running, node string, other *running) {
	t.Helper()
	var session uint64
	actortest.Eventually(t, node+" to be seen", func() bool {
		session = slices.Max(append(slices.Collect(maps.Keys(sessions(other, node))), 0))
		return session > 0
	})
	r.held = true
	if err := r.p.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, node+", which is held, to be lost", func() bool { return !sessions(other, node)[session] })
	if err := r.p.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, node+" to be seen again", func() bool {
		return slices.Max(append(slices.Collect(maps.Keys(sessions(other, node))), 0)) > session
	})
}

// TestNothingLostOfProcesses is TestNothingLost of three processes with one list behind a proxy, which are killed, stopped and held while
// others go on. Their hub is killed, too. A client of each process that listens is told of each change once, in order.
func TestNothingLostOfProcesses(t *testing.T) {
	t.Parallel()
	items, kills, stops, holds, hubKills := 300, 1, 1, 1, 1
	if os.Getenv(fullVariable) != "" {
		items, kills, stops, holds, hubKills = 20_000, 5, 5, 1, 2
	}
	h := startHub(t)
	tr := &trial{items: items}
	tr.init()
	var nodes []*running
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		r := h.newNode(name, "-tries", "1000", "-grace", "5s")
		r.env = append(r.env, "PROTOLOOP_TEST_FAULTS=0.05")
		r.start()
		nodes = append(nodes, r)
	}
	tr.service = nodes[0] // its log is shown when nothing goes on
	tr.addr = newBalancer(t, nodes...).addr()
	close(tr.up)
	listening, stop := context.WithCancel(t.Context())
	defer stop()
	var listeners sync.WaitGroup
	for _, r := range nodes {
		listeners.Go(func() { listen(listening, t, r.addr) })
	}
	tr.load(t, func() {
		events := slices.Concat(slices.Repeat([]string{"kill"}, kills), slices.Repeat([]string{"stop"}, stops), slices.Repeat([]string{"hold"}, holds), slices.Repeat([]string{"hub"}, hubKills))
		rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		at := make([]int, len(events))
		for i := range at {
			at[i] = int(float64(items) * (0.05 + 0.9*rand.Float64()))
		}
		slices.Sort(at)
		t.Logf("events %v at %v", events, at)
		for i, event := range events {
			tr.await(t, at[i])
			n := rand.IntN(len(nodes))
			switch r := nodes[n]; event {
			case "hold":
				hold(t, r, fmt.Sprint("node-", n+1), nodes[(n+1)%len(nodes)])
			case "kill":
				r.kill()
				r.start()
			case "stop":
				r.stop()
				r.start()
			case "hub":
				up := tr.down()
				h.kill()
				h.start()
				up()
			}
		}
	})
	if t.Failed() {
		return
	}
	shownItems, total := tr.settled(t)
	if total != tr.left() || len(shownItems) != total {
		t.Errorf("%d items are shown of a list of %d; %d were acknowledged and not removed", len(shownItems), total, tr.left())
	}
	tr.checkItems(t, shownItems)
	for _, r := range nodes {
		actortest.Eventually(t, "the same list at each process", func() bool {
			got, _ := shown(t, r.addr)
			return slices.Equal(got, shownItems)
		})
	}
	waiting, dead := h.queue()
	actortest.Eventually(t, "all messages to be handled", func() bool { waiting, dead = h.queue(); return waiting == 0 })
	if dead != 0 {
		t.Errorf("%d dead letters", dead)
	}
	stop()
	listeners.Wait()
	for _, r := range nodes {
		r.stop()
	}
	t.Logf("%d items accepted, %d removed, %d shown", tr.accepted, len(tr.keys)-tr.left(), len(shownItems))
}

// queue is how many messages and dead letters there are.
func (h *hubProcess) queue() (waiting, dead uint64) {
	h.t.Helper()
	files := h.certificate("node-3")
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*time.Minute)
	defer cancel()
	c, err := hubclient.Dial(ctx, hubclient.Options{Cluster: "dev", Hubs: []string{h.addr}, Certificates: &files})
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	nc, err := c.Queues()
	if err != nil {
		h.t.Fatal(err)
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		h.t.Fatal(err)
	}
	for name, n := range map[string]*uint64{"ITEMS": &waiting, "ITEMS_DEAD": &dead} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			h.t.Fatal(err)
		}
		*n = s.CachedInfo().State.Msgs
	}
	return waiting, dead
}

// listen connects to a service again and again until ctx ends, and checks what it is told.
func listen(ctx context.Context, t *testing.T, addr string) {
	for ctx.Err() == nil {
		last, here := uint64(0), map[string]bool{}
		c, err := dial(ctx, addr, func(event string, body json.RawMessage) {
			var i struct {
				Key string
				Seq uint64
			}
			if json.Unmarshal(body, &i) != nil {
				return // of the page that comes first
			}
			switch event {
			case "item_added":
				if i.Seq <= last || here[i.Key] {
					t.Errorf("%s: %s was added as number %d after %d; it was there: %v", addr, i.Key, i.Seq, last, here[i.Key])
				}
				last, here[i.Key] = i.Seq, true
			case "item_removed":
				if was, known := here[i.Key]; known && !was {
					t.Errorf("%s: %s was removed twice", addr, i.Key)
				}
				here[i.Key] = false
			}
		})
		if err != nil { // it is down
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-c.ended:
		case <-ctx.Done():
		}
		c.close()
	}
}
