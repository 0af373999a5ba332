// SPDX-License-Identifier: Apache-2.0

package nats_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/nats"
	"github.com/protoloop/protoloop/internal/testtools"
)

// ear is a receiver that notes what it is told.
type ear struct {
	hold chan struct{} // Received waits for it, if there is one

	mu    sync.Mutex
	heard []string
}

func (e *ear) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, fmt.Sprintf(format, args...))
}

func (e *ear) Received(from string, f []byte) {
	if e.hold != nil {
		<-e.hold
	}
	e.note("%s: %.20s", from, f)
}
func (e *ear) Undelivered(to grid.Peer, tag uint64) { e.note("undelivered %s %d", to.Node, tag) }
func (e *ear) Gone(node string)                     { e.note("gone %s", node) }
func (e *ear) Missed()                              { e.note("missed") }

func (e *ear) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.heard, ", ")
}

func (e *ear) has(what string) bool { return strings.Contains(e.all(), what) }

func (e *ear) eventually(t *testing.T, what string) {
	t.Helper()
	actortest.Eventually(t, "to hear "+what, func() bool { return e.has(what) })
}

func open(t testing.TB, n *nats.Net, node string, to grid.Receiver) grid.Line {
	t.Helper()
	l, err := n.Open(t.Context(), grid.Peer{Node: node, Session: 1}, to)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// dialRaw connects without anything of this package.
func dialRaw(t testing.TB, s *server.Server) *natsgo.Conn {
	t.Helper()
	nc, err := natsgo.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// TestServerIsBack: without a connection a Send fails at once, and nothing is sent later. When there is one again the
// receiver knows that it may have missed something.
func TestServerIsBack(t *testing.T) {
	s := startServer(t, server.Options{})
	port := s.Addr().(*net.TCPAddr).Port
	var a, b ear
	lineA := open(t, connect(t, nats.Options{URL: s.ClientURL()}), "a", &a)
	lineB := open(t, connect(t, nats.Options{URL: s.ClientURL()}), "b", &b)
	s.Shutdown()
	s.WaitForShutdown()
	sent := 0
	actortest.Eventually(t, "a Send to fail", func() bool {
		sent++
		return lineA.Send(grid.Peer{Node: "b", Session: 1}, 1, []byte("before")) != nil
	})
	err := lineA.Send(grid.Peer{Node: "b", Session: 1}, 1, []byte("too late"))
	if err == nil || !strings.Contains(err.Error(), "no connection") {
		t.Errorf("sent without a connection: %v", err)
	}
	startServer(t, server.Options{Port: port})
	a.eventually(t, "missed")
	b.eventually(t, "missed")
	for _, send := range []func() error{
		func() error { return lineA.Send(grid.Peer{Node: "b", Session: 1}, 1, []byte("again")) },
		func() error { return lineB.Send(grid.Peer{Node: "a", Session: 1}, 1, []byte("again")) },
	} {
		if err := send(); err != nil {
			t.Error(err)
		}
	}
	a.eventually(t, "b: again")
	b.eventually(t, "a: again")
	if b.has("too late") {
		t.Errorf("b heard %s", b.all())
	}
	if strings.Count(b.all(), "a: before") > sent {
		t.Errorf("of %d frames came more: %s", sent, b.all())
	}
}

// TestServerDoesNotGreet: what a line is asked while the client makes a connection, which a server takes that says nothing, is
// answered at once. The client has its lock meanwhile.
func TestServerDoesNotGreet(t *testing.T) {
	s := startServer(t, server.Options{})
	silent := testtools.NewSilentServer(t)
	n := connect(t, nats.Options{URL: s.ClientURL() + ",nats://" + silent.Addr, NATS: []natsgo.Option{natsgo.DontRandomize()}, Timeout: 5 * time.Minute})
	line := open(t, n, "a", &ear{}).(grid.TopicLine)
	isConnected := line.(grid.ConnectedLine).Connected
	if !isConnected() {
		t.Error("the line is not connected")
	}
	longest := line.MaxFrame()
	s.Shutdown()
	first := silent.Taken()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for what, err := range map[string]error{"sent": line.Send(grid.Peer{Node: "b", Session: 1}, 1, []byte("x")), "published": line.Publish("topic", []byte("x"))} {
			if err == nil || !strings.Contains(err.Error(), "no connection") {
				t.Errorf("%s without a connection: %v", what, err)
			}
		}
		if isConnected() {
			t.Error("the line is connected")
		}
		if got := line.MaxFrame(); got != longest {
			t.Errorf("a frame may have %d bytes, and could have %d", got, longest)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("the line waits until the server is given up")
	}
	first.Close()
	silent.Close()
	<-done
}

// stalled is a way to a server on which nothing goes any more once it is cut, as with a server that is stopped.
type stalled struct {
	net.Listener
	cut chan struct{}
}

func startStalled(t *testing.T, to string) *stalled {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stalled{l, make(chan struct{})}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, c, up)
			mu.Unlock()
			for _, way := range [][2]net.Conn{{c, up}, {up, c}} {
				wg.Go(func() {
					buf := make([]byte, 32<<10)
					for {
						n, err := way[0].Read(buf)
						select {
						case <-s.cut:
							return
						default:
						}
						if err != nil {
							way[1].Close()
							return
						}
						if _, err := way[1].Write(buf[:n]); err != nil {
							return
						}
					}
				})
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

// TestServerDoesNotRead: a Send does not wait for a server that is stopped. It fails when too much waits, and the node goes to
// the other server.
func TestServerDoesNotRead(t *testing.T) {
	s := startServer(t, server.Options{})
	p := startStalled(t, s.Addr().String())
	var a, b ear
	n := connect(t, nats.Options{URL: "nats://" + p.Addr().String() + "," + s.ClientURL(), SendBuffer: 4 << 20, Ping: 300 * time.Millisecond, NATS: []natsgo.Option{natsgo.DontRandomize()}})
	line := open(t, n, "a", &a)
	open(t, connect(t, nats.Options{URL: s.ClientURL()}), "b", &b)
	close(p.cut)
	frame := make([]byte, 100<<10)
	var err error
	for sent := 0; err == nil; sent += len(frame) {
		if err = line.Send(grid.Peer{Node: "b", Session: 1}, 1, frame); sent > 64<<20 {
			t.Fatal("64 MB were taken for a server that does not read")
		}
	}
	if !strings.Contains(err.Error(), "too much waits") && !strings.Contains(err.Error(), "no connection") {
		t.Error(err)
	}
	a.eventually(t, "missed")
	actortest.Eventually(t, "b to be sent to by the other server", func() bool { // a slow machine may lose that connection, too
		err := line.Send(grid.Peer{Node: "b", Session: 1}, 1, []byte("by the other"))
		if err != nil && !strings.Contains(err.Error(), "no connection") {
			t.Fatal(err)
		}
		return b.has("a: by the other")
	})
}

// startThin starts a way to a server on which little comes at a time.
func startThin(t *testing.T, to string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept() // once: another connection is refused
		l.Close()
		if err != nil {
			return
		}
		defer c.Close()
		up, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer up.Close()
		wg.Go(func() {
			_, _ = io.Copy(up, c)
			up.Close()
		})
		for each := time.NewTicker(10 * time.Millisecond); ; <-each.C {
			if _, err := io.CopyN(c, up, 32<<10); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l
}

// TestMuchComesFromServer: a server whose answer to a ping comes behind much else is there.
func TestMuchComesFromServer(t *testing.T) {
	s := startServer(t, server.Options{})
	thin := startThin(t, s.Addr().String())
	log := actortest.NewLog()
	n := connect(t, nats.Options{URL: "nats://" + thin.Addr().String(), Ping: 250 * time.Millisecond, Logger: slog.New(log)})
	var b ear
	open(t, n, "b", &b)
	line := open(t, connect(t, nats.Options{URL: s.ClientURL()}), "a", &ear{})
	const frames = 120
	for range frames {
		if err := line.Send(grid.Peer{Node: "b", Session: 1}, 1, make([]byte, 100<<10)); err != nil { // 12 MB, which take 4 s
			t.Fatal(err)
		}
	}
	if err := line.Send(grid.Peer{Node: "b", Session: 1}, 1, []byte("the last")); err != nil {
		t.Fatal(err)
	}
	b.eventually(t, "a: the last")
	if got := strings.Count(b.all(), "a: "); got != frames+1 {
		t.Errorf("%d frames have come of %d", got, frames+1)
	}
	if lost := log.Find(slog.LevelWarn, "is lost"); len(lost) > 0 {
		t.Errorf("the connection was given up: %v", lost)
	}
}

// TestReceiverIsSlow: what comes while too much waits is dropped, and the receiver is told.
func TestReceiverIsSlow(t *testing.T) {
	s := startServer(t, server.Options{})
	slow := ear{hold: make(chan struct{})}
	var a ear
	log := actortest.NewLog()
	open(t, connect(t, nats.Options{URL: s.ClientURL(), ReceiveBuffer: 64 << 10, Logger: slog.New(log)}), "slow", &slow)
	line := open(t, connect(t, nats.Options{URL: s.ClientURL()}), "a", &a)
	to := grid.Peer{Node: "slow", Session: 1}
	const sent = 100
	for range sent {
		if err := line.Send(to, 1, make([]byte, 10<<10)); err != nil {
			t.Fatal(err)
		}
	}
	actortest.Eventually(t, "one to be dropped", func() bool { return len(log.Find(slog.LevelWarn, "frames were dropped")) > 0 })
	close(slow.hold)
	slow.eventually(t, "missed")
	if err := line.Send(to, 1, []byte("later")); err != nil {
		t.Fatal(err)
	}
	slow.eventually(t, "a: later")
	if n := strings.Count(slow.all(), "a: ") - 1; n >= sent {
		t.Errorf("%d frames have come, and none was dropped", n)
	}
}

// TestLateFrames: what a sender has sent by an earlier connection, and what comes behind that of a later one,
// is dropped, so that the order holds.
func TestLateFrames(t *testing.T) {
	s := startServer(t, server.Options{})
	var b ear
	open(t, connect(t, nats.Options{URL: s.ClientURL()}), "b", &b)
	nc := dialRaw(t, s)
	send := func(reply, frame string) {
		t.Helper()
		if err := nc.PublishRequest("pl.shop.b.1.a", reply, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	send("pl.shop.a.7.3.1.1", "first")
	send("pl.shop.a.7.4.1.1", "second")
	send("pl.shop.a.7.3.1.1", "late")
	send("pl.shop.a.8.1.1.1", "of another session")
	send("pl.shop.a.7.4.1.1", "third")
	b.eventually(t, "third")
	if got := b.all(); got != "a: first, a: second, missed, a: of another session, a: third" {
		t.Errorf("heard %s", got)
	}
}

// hostile is what comes to the subjects of a line and is no frame.
var hostile = []struct{ subject, reply string }{
	{"pl.shop.b.1.a", ""}, {"pl.shop.b.1.a", "x"}, {"pl.shop.b.1.a", "pl.shop.a.1"}, {"pl.shop.b.1.a", "pl.shop.other.7.1.1.1"},
	{"pl.shop.b.1.a", "pl.other.a.7.1.1.1"}, {"pl.shop.b.1.a", "pl.shop.a.x.1.1.1"}, {"pl.shop.b.1.a", "pl.shop.a.7.-1.1.1"},
	{"pl.shop.b.1.a", "pl.shop.a.07.1.1.1"}, {"pl.shop.b.1.%", "pl.shop.%.7.1.1.1"}, {"pl.shop.b.1.gone", "pl.shop.gone.7.1.1.1"},
	{"pl.shop.b.1.1.1.1", ""}, {"pl.shop.b.1.x.y.z.z.z.z", ""}, {"pl.shop.b.1.1.-.0", ""},
}

// TestHostileFrames: they are dropped, and told of once.
func TestHostileFrames(t *testing.T) {
	s := startServer(t, server.Options{})
	log := actortest.NewLog()
	var b ear
	open(t, connect(t, nats.Options{URL: s.ClientURL(), Logger: slog.New(log)}), "b", &b)
	nc := dialRaw(t, s)
	for _, h := range hostile {
		if err := nc.PublishRequest(h.subject, h.reply, []byte("x")); h.reply != "" && err != nil {
			t.Fatal(err)
		}
		if err := nc.Publish(h.subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	forged := natsgo.NewMsg("pl.shop.b.1.1.99.1") // a notice of what was not sent
	forged.Header.Set("Status", "503")
	if err := nc.PublishMsg(forged); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"pl.shop.gone.%", "pl.shop.gone.gone", "pl.shop.gone.a.b"} {
		if err := nc.PublishRequest(gone, "pl.shop.hub", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.PublishRequest("pl.shop.b.1.a", "pl.shop.a.1.1.1.1", []byte("right")); err != nil {
		t.Fatal(err)
	}
	b.eventually(t, "right")
	if got := b.all(); got != "a: right" {
		t.Errorf("heard %s", got)
	}
	if n := len(log.Find(slog.LevelWarn, "no node sends")); n != 1 {
		t.Errorf("told of it %d times: %s", n, log)
	}
}

// TestGone: a notice comes to all lines but those of the node itself.
func TestGone(t *testing.T) {
	s := startServer(t, server.Options{})
	var a, b, c ear
	n := connect(t, nats.Options{URL: s.ClientURL()})
	open(t, n, "a", &a)
	open(t, n, "b", &b)
	open(t, connect(t, nats.Options{URL: s.ClientURL(), Cluster: "other"}), "a", &c)
	nc := dialRaw(t, s)
	if err := errors.Join(
		nc.Publish("pl.shop.gone.y", nil), nc.PublishRequest("pl.shop.gone.z", "pl.other.hub", nil), // of no hub
		nc.PublishRequest("pl.shop.gone.b", "pl.shop.hub", nil), nc.PublishRequest("pl.shop.gone.%67%6F%6E%65", "pl.shop.hub", nil), nc.PublishRequest("pl.other.gone.x", "pl.other.hub", nil),
	); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, "gone gone")
	b.eventually(t, "gone gone")
	c.eventually(t, "gone x")
	if a.all() != "gone b, gone gone" || b.all() != "gone gone" || c.all() != "gone x" {
		t.Errorf("a heard %s; b %s; c %s", a.all(), b.all(), c.all())
	}
}

// TestNameOfAnother: a server that vouches for names refuses the line of a node that is called otherwise, in words that
// say so.
func TestNameOfAnother(t *testing.T) {
	perms := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"pl.shop.*.*.a"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"pl.shop.a.>"}},
	}
	s := startServer(t, server.Options{Users: []*server.User{{Username: "a", Password: "secret", Permissions: perms}}})
	log := actortest.NewLog()
	n := connect(t, nats.Options{URL: s.ClientURL(), NATS: []natsgo.Option{natsgo.UserInfo("a", "secret")}, Logger: slog.New(log)})
	if _, err := n.Open(t.Context(), grid.Peer{Node: "b", Session: 1}, &ear{}); err == nil || !strings.Contains(err.Error(), "does not let this node be called so") {
		t.Errorf("line of another node: %v", err)
	}
	if err := n.Check(t.Context(), "b"); err == nil || !strings.Contains(err.Error(), "does not let this node be called so") {
		t.Errorf("another node: %v", err)
	}
	if err := n.Check(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	var a ear
	line := open(t, n, "a", &a)
	if err := line.Send(grid.Peer{Node: "b", Session: 1}, 9, nil); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, "undelivered b 9")
	actortest.Eventually(t, "to hear that nobody tells who is gone", func() bool { return len(log.Find(slog.LevelWarn, "does not tell which nodes are gone")) == 1 })

	_, err := nats.Connect(t.Context(), nats.Options{Cluster: "shop", URL: s.ClientURL(), Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), "does not take the certificate or user") {
		t.Errorf("without a user: %v", err)
	}
}

// TestNoNotices: a line fails to open where nobody would be told that a frame came to nobody.
func TestNoNotices(t *testing.T) {
	s := startServer(t, server.Options{})
	nc := dialRaw(t, s)
	if _, err := nc.Subscribe(">", func(*natsgo.Msg) {}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	n := connect(t, nats.Options{URL: s.ClientURL()})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, io.ErrUnexpectedEOF)
	defer cancel()
	if _, err := n.Open(ctx, grid.Peer{Node: "a", Session: 1}, &ear{}); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "subscribe to all") {
		t.Errorf("a line where somebody takes all: %v", err)
	}
}

// TestHandshakeFails: a connection that is made and of no use, as to a server that ends just then, is closed before the next is made.
func TestHandshakeFails(t *testing.T) {
	s := startServer(t, server.Options{})
	p := testtools.StartProxy(t, s.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{}, 1)
	var all sync.WaitGroup
	defer all.Wait()
	defer l.Close()
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_, _ = io.WriteString(c, "this is no server\r\n")
				_, _ = io.Copy(io.Discard, c)
				select {
				case closed <- struct{}{}:
				default:
				}
			})
		}
	})
	n := connect(t, nats.Options{URL: "nats://" + p.Addr + ",nats://" + l.Addr().String(), NATS: []natsgo.Option{natsgo.DontRandomize()}})
	var heard ear
	open(t, n, "a", &heard)
	p.Cut()
	select {
	case <-closed:
	case <-t.Context().Done():
		t.Fatal("it was not closed")
	}
	p.Mend()
	heard.eventually(t, "missed")
}

// TestConnectInVain: no server, a server that says nothing, an end of ctx.
func TestConnectInVain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	url := "nats://" + l.Addr().String() // it never says a word
	o := nats.Options{Cluster: "shop", URL: url, Timeout: 50 * time.Millisecond, Logger: quiet}
	if _, err := nats.Connect(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no connection to a server") {
		t.Errorf("connected to nobody: %v", err)
	}
	o.Timeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := nats.Connect(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("connect by a context that has ended: %v", err)
	}
	l.Close()
	if _, err := nats.Connect(t.Context(), o); err == nil {
		t.Error("connected to nobody")
	}
}

// TestClosedNet: no line is opened, and nothing sent, after its Close.
func TestClosedNet(t *testing.T) {
	s := startServer(t, server.Options{})
	n := connect(t, nats.Options{URL: s.ClientURL()})
	line := open(t, n, "a", &ear{})
	for range 2 {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := line.Send(grid.Peer{Node: "b", Session: 1}, 1, nil); err == nil {
		t.Error("a frame was taken")
	}
	if err := line.Close(); err != nil {
		t.Error(err)
	}
	if _, err := n.Open(t.Context(), grid.Peer{Node: "a", Session: 2}, &ear{}); err == nil {
		t.Error("a line was opened")
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]nats.Options{
		"Cluster":       {URL: "nats://127.0.0.1:1"},
		"URL":           {Cluster: "c"},
		"TLS":           {Cluster: "c", URL: "nats://localhost:1,nats://hub-1.example:1"},
		"SendBuffer":    {Cluster: "c", URL: "nats://[::1]:1", SendBuffer: -1},
		"ReceiveBuffer": {Cluster: "c", URL: "nats://127.0.0.1:1", ReceiveBuffer: -1},
		"Ping":          {Cluster: "c", URL: "nats://127.0.0.1:1", Ping: -1},
		"Timeout":       {Cluster: "c", URL: "nats://127.0.0.1:1", Timeout: -1},
	} {
		_, err := nats.Connect(t.Context(), o)
		if mistake, is := errors.AsType[*actors.OptionError](err); !is || mistake.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []nats.Options{
		{Cluster: "c", URL: "http://127.0.0.1:1"}, {Cluster: "c", URL: "127.0.0.1:1"}, {Cluster: "c", URL: "tls://127.0.0.1:1"},
		{Cluster: strings.Repeat(".", 86), URL: "nats://127.0.0.1:1"},
	} {
		if o.Validate() == nil {
			t.Errorf("%+v is right", o)
		}
	}
	s := startServer(t, server.Options{})
	n := connect(t, nats.Options{URL: s.ClientURL()})
	for _, name := range []string{"", strings.Repeat("x", 256)} {
		if _, err := n.Open(t.Context(), grid.Peer{Node: name, Session: 1}, &ear{}); err == nil {
			t.Errorf("a node was called %q", name)
		}
	}
	line := open(t, n, strings.Repeat("a", 255), &ear{})
	if err := line.Send(grid.Peer{Node: strings.Repeat("x", 256), Session: 1}, 1, nil); err == nil {
		t.Error("sent to a name that is too long")
	}
	if err := line.Send(grid.Peer{Node: strings.Repeat("x", 255), Session: 1}, 1, nil); err != nil {
		t.Error(err)
	}
}

// topicEar is an ear for a topic.
type topicEar struct{ ear }

func (e *topicEar) Published(from string, f []byte) { e.Received(from, f) }

// hears subscribes, and returns when the server knows of that.
func (e *topicEar) hears(t *testing.T, l grid.Line, topic string) (end func()) {
	t.Helper()
	end, err := l.(grid.TopicLine).Subscribe(topic, e)
	if err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, "the subscription", func() bool {
		if err := l.(grid.TopicLine).Publish(topic, []byte("subscribed")); err != nil {
			t.Fatal(err)
		}
		return e.has("subscribed")
	})
	return end
}

// without is what it has heard beside that.
func (e *topicEar) without(what string) string {
	var all []string
	for one := range strings.SplitSeq(e.all(), ", ") {
		if !strings.HasSuffix(one, what) {
			all = append(all, one)
		}
	}
	return strings.Join(all, ", ")
}

func publish(t *testing.T, l grid.Line, topic, frame string) {
	t.Helper()
	if err := l.(grid.TopicLine).Publish(topic, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// TestTopicsWhenServerIsBack: without a connection a Publish fails, and when there is one again a topic is heard as before, and its
// receiver knows that it may have missed something.
func TestTopicsWhenServerIsBack(t *testing.T) {
	s := startServer(t, server.Options{})
	port := s.Addr().(*net.TCPAddr).Port
	var a ear
	var b topicEar
	lineA := open(t, connect(t, nats.Options{URL: s.ClientURL()}), "a", &a)
	b.hears(t, open(t, connect(t, nats.Options{URL: s.ClientURL()}), "b", &ear{}), "prices")
	s.Shutdown()
	s.WaitForShutdown()
	actortest.Eventually(t, "a Publish to fail", func() bool { return lineA.(grid.TopicLine).Publish("prices", []byte("before")) != nil })
	startServer(t, server.Options{Port: port})
	b.eventually(t, "missed")
	a.eventually(t, "missed")
	publish(t, lineA, "prices", "again")
	b.eventually(t, "a: again")
	if got := b.without("before"); !strings.HasSuffix(got, "missed, a: again") || strings.Count(got, "again") != 1 {
		t.Errorf("heard %s", got)
	}
}

// TestTopicReceiverIsSlow: what comes while too much waits for the receiver of a topic is dropped, and that one is told. Others
// do not wait for it.
func TestTopicReceiverIsSlow(t *testing.T) {
	s := startServer(t, server.Options{})
	n := connect(t, nats.Options{URL: s.ClientURL(), ReceiveBuffer: 64 << 10})
	var own ear
	line := open(t, n, "slow", &own)
	slow := topicEar{}
	slow.hears(t, line, "prices")
	var quick topicEar
	quick.hears(t, line, "other")
	slow.mu.Lock() // the receiver waits for it
	from := open(t, connect(t, nats.Options{URL: s.ClientURL()}), "a", &ear{})
	for range 100 {
		publish(t, from, "prices", strings.Repeat("x", 10<<10))
	}
	publish(t, from, "other", "behind that")
	quick.eventually(t, "a: behind that")
	slow.mu.Unlock()
	slow.eventually(t, "missed")
	publish(t, from, "prices", "later")
	slow.eventually(t, "a: later")
	if n := strings.Count(slow.all(), "a: "); n > 50 {
		t.Errorf("%d frames have come, and none was dropped", n)
	}
	if own.has("missed") || quick.has("missed") {
		t.Errorf("others are told that they have missed something: %s; %s", own.all(), quick.all())
	}
}

// TestHostilePublications: what comes to the subject of a topic and was not published is dropped, told of once, and counted.
func TestHostilePublications(t *testing.T) {
	s := startServer(t, server.Options{})
	log := actortest.NewLog()
	var b topicEar
	n := connect(t, nats.Options{URL: s.ClientURL(), Logger: slog.New(log)})
	b.hears(t, open(t, n, "b", &ear{}), "prices")
	nc := dialRaw(t, s)
	hostile := []struct{ subject, reply string }{
		{"pl.shop.$topic.prices.a", ""}, {"pl.shop.$topic.prices.a", "x"}, {"pl.shop.$topic.prices.a", "pl.shop.a.1"}, {"pl.shop.$topic.prices.a", "pl.shop.other.7.1.1.1"},
		{"pl.shop.$topic.prices.a", "pl.other.a.7.1.1.1"}, {"pl.shop.$topic.prices.a", "pl.shop.a.x.1.1.1"}, {"pl.shop.$topic.prices.a", "pl.shop.a.7.-1.1.1"},
		{"pl.shop.$topic.prices.%", "pl.shop.%.7.1.0.0"}, {"pl.shop.$topic.prices.gone", "pl.shop.gone.7.1.0.0"}, {"pl.shop.$topic.prices.b", "pl.shop.a.7.1.0.0"},
	}
	for _, h := range hostile {
		if err := nc.PublishRequest(h.subject, h.reply, []byte("x")); h.reply != "" && err != nil {
			t.Fatal(err)
		} else if h.reply == "" {
			if err := nc.Publish(h.subject, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	late := func(epoch, frame string) {
		if err := nc.PublishRequest("pl.shop.$topic.prices.a", "pl.shop.a.7."+epoch+".0.0", []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	late("3", "first")
	late("4", "second")
	late("3", "late")
	late("4", "third")
	b.eventually(t, "third")
	if got := b.without("subscribed"); got != "a: first, a: second, missed, a: third" {
		t.Errorf("heard %s", got)
	}
	if told, counted := len(log.Find(slog.LevelWarn, "no node sends")), n.Refused(); told != 1 || counted != int64(len(hostile)) {
		t.Errorf("told of it %d times, counted %d of %d: %s", told, counted, len(hostile), log)
	}
}

// TestTopicsAreNotPermitted: a node whose server does not let it subscribe is told what that has to permit, and its line goes on.
func TestTopicsAreNotPermitted(t *testing.T) {
	perms := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"pl.shop.*.*.a"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"pl.shop.a.>", "pl.shop.gone.*"}},
	}
	s := startServer(t, server.Options{Users: []*server.User{{Username: "a", Password: "secret", Permissions: perms}}})
	log := actortest.NewLog()
	var a topicEar
	line := open(t, connect(t, nats.Options{URL: s.ClientURL(), NATS: []natsgo.Option{natsgo.UserInfo("a", "secret")}, Logger: slog.New(log)}), "a", &a.ear)
	if _, err := line.(grid.TopicLine).Subscribe("prices", &a); err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, "to be told", func() bool { return len(log.Find(slog.LevelError, "pl.shop.$topic.>")) > 0 })
	publish(t, line, "prices", "x")
	if err := line.Send(grid.Peer{Node: "a", Session: 1}, 1, []byte("own")); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, "a: own")
}
