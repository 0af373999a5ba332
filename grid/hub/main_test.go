// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestMain(m *testing.M) {
	if !child() {
		testtools.AtATime(4)
		actortest.Main(m)
	}
}

var quiet = slog.New(slog.DiscardHandler)

// ear is a receiver that notes what it is told.
type ear struct {
	mu    sync.Mutex
	heard []string
	at    map[string]time.Time // when it was heard last
}

func (e *ear) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	what := fmt.Sprintf(format, args...)
	if e.at == nil {
		e.at = map[string]time.Time{}
	}
	e.heard, e.at[what] = append(e.heard, what), time.Now()
}

func (e *ear) when(what string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at[what]
}

func (e *ear) Received(from string, f []byte)       { e.note("%s: %.40s", from, f) }
func (e *ear) Undelivered(to grid.Peer, tag uint64) { e.note("undelivered %s %d", to.Node, tag) }
func (e *ear) Gone(node string)                     { e.note("gone %s", node) }
func (e *ear) Missed()                              { e.note("missed") }

// topicEar is an ear for a topic.
type topicEar struct{ ear }

func (e *topicEar) Published(from string, f []byte) { e.Received(from, f) }

func (e *ear) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.heard, ", ")
}

func (e *ear) has(what string) bool { return strings.Contains(e.all(), what) }

func (e *ear) eventually(t testing.TB, what string) {
	t.Helper()
	actortest.Eventually(t, "to hear "+what, func() bool { return e.has(what) })
}

// start starts a hub that is alone, or one of Hubs.
func start(t testing.TB, o hub.Options) *hub.Hub {
	t.Helper()
	if o.Cluster == "" {
		o.Cluster = "shop"
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Logger == nil {
		o.Logger = quiet
	}
	h, err := hub.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Shutdown)
	return h
}

// authority signs for a test.
func authority(t testing.TB) *certs.Authority {
	t.Helper()
	a, err := certs.Development(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func hubFiles(t testing.TB, a *certs.Authority, name string) *certs.Files {
	t.Helper()
	f, err := a.Hub(name, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

func nodeFiles(t testing.TB, a *certs.Authority, name string) *certs.Files {
	t.Helper()
	f, err := a.Node(name)
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

// dial connects a node.
func dial(t testing.TB, o hubclient.Options) *hubclient.Client {
	t.Helper()
	o.Cluster, o.Logger = "shop", quiet
	c, err := hubclient.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t testing.TB, c *hubclient.Client, to grid.Receiver) grid.Line {
	t.Helper()
	l, err := c.Net().Open(t.Context(), grid.Peer{Node: c.Node(), Session: 1}, to)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// given has the first ports of all addresses that tests were given. A hub that is down, and is to be started again, has its ports still.
var given sync.Map

// addrs are n addresses of which each has four free ports. No other test of this process gets them.
func addrs(t testing.TB, n int) (all []string) {
	t.Helper()
	for len(all) < n {
		port := 10_000 + rand.IntN(2_000)*10
		free := true
		for i := range 4 {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+i))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if !free {
			continue
		}
		if _, is := given.LoadOrStore(port, true); !is {
			all = append(all, fmt.Sprint("127.0.0.1:", port))
		}
	}
	return all
}

// say has a frame come from one line to another.
func say(t testing.TB, from grid.Line, peer grid.Peer, ear *ear, what string) {
	t.Helper()
	actortest.Eventually(t, what+" to come", func() bool {
		if err := from.Send(peer, 1, []byte(what)); err != nil {
			t.Log(err)
			return false
		}
		time.Sleep(time.Millisecond)
		return ear.has(what)
	})
}

// counting is an ear for frames that have numbers, each greater than the one before.
type counting struct {
	*ear
	sent            atomic.Uint64
	got, disordered atomic.Int64
	last            uint64
}

func (c *counting) Received(_ string, f []byte) {
	n, _ := strconv.ParseUint(string(f), 10, 64)
	if c.got.Add(1); n <= c.last {
		c.disordered.Add(1)
	}
	c.last = n
}
