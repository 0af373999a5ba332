// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/socketio"
)

// world is a server in a synctest bubble: HTTP runs over net.Pipe, time is
// virtual.
type world struct {
	*testing.T
	sys    *actor.ActorSystem
	io     *socketio.Server
	ln     *pipeListener
	server *http.Server
	http   *http.Client
}

// bubble runs f with a server, which is shut down behind it.
func bubble(t *testing.T, o socketio.Options, f func(w *world)) {
	t.Helper()
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		w := newWorld(t, sys, o)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, _ = w.io.Stop(ctx)
			w.close()
			synctest.Wait()
		})
		f(w)
	})
}

func newWorld(t *testing.T, sys *actor.ActorSystem, o socketio.Options) *world {
	io, err := socketio.NewServer(sys, o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, sys: sys, io: io, ln: newPipeListener()}
	w.server = &http.Server{Handler: w.io}
	go func() { _ = w.server.Serve(w.ln) }()
	w.http = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return w.ln.dial() },
	}}
	return w
}

func (w *world) close() {
	w.http.CloseIdleConnections()
	_ = w.server.Close()
}

// pipeListener is a listener of net.Pipe connections.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- pipeConn{server}:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "192.0.2.1:1234" }

// pipeConn has an address that looks like one.
type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

const (
	base = "http://pipe/socket.io/?EIO=4&transport="
	wait = 10 * time.Second // of virtual time, for what has to come
)

// peer is a client at the level of packets.
type peer struct {
	*world
	c       *websocket.Conn
	in      chan string // "" was sent for a ping that has been answered
	closed  chan struct{}
	err     error // when closed is
	noPongs atomic.Bool
	id      string // of the socket, after connect
}

// dial begins a session by WebSocket and reads the handshake.
func (w *world) dial(header ...string) *peer {
	w.Helper()
	p := w.dialURL(base+"websocket", header...)
	if open := p.next(); !strings.HasPrefix(open, `0{"sid":"`) {
		w.Fatal("no handshake:", open)
	}
	return p
}

func (w *world) dialURL(url string, header ...string) *peer {
	w.Helper()
	p, err := w.tryDial(url, header...)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) tryDial(url string, header ...string) (*peer, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	c, _, err := websocket.Dial(context.Background(), url, &websocket.DialOptions{HTTPClient: w.http, HTTPHeader: h})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(16 << 20)
	p := &peer{world: w, c: c, in: make(chan string, 10_000), closed: make(chan struct{})}
	w.Cleanup(func() { _ = c.CloseNow(); <-p.closed })
	go p.read()
	return p, nil
}

func (p *peer) read() {
	defer close(p.closed)
	for {
		typ, b, err := p.c.Read(context.Background())
		if err != nil {
			p.err = err
			return
		}
		switch {
		case typ == websocket.MessageBinary:
			p.in <- "b" + string(b)
		case string(b) == "2" && !p.noPongs.Load():
			p.send("3")
		default:
			p.in <- string(b)
		}
	}
}

func (p *peer) send(packets ...string) {
	for _, s := range packets {
		_ = p.c.Write(context.Background(), websocket.MessageText, []byte(s))
	}
}

func (p *peer) sendBinary(b string) {
	_ = p.c.Write(context.Background(), websocket.MessageBinary, []byte(b))
}

// next returns the next packet.
func (p *peer) next() string {
	p.Helper()
	select {
	case s := <-p.in:
		return s
	default:
	}
	select {
	case s := <-p.in:
		return s
	case <-p.closed:
		select {
		case s := <-p.in:
			return s
		default:
		}
		p.Fatal("a packet was to come, but the connection was closed:", p.err)
	case <-time.After(wait):
		p.Fatal("no packet came")
	}
	return ""
}

// expect checks the next packets.
func (p *peer) expect(want ...string) {
	p.Helper()
	for _, s := range want {
		if got := p.next(); got != s {
			p.Fatalf("got %q, want %q", got, s)
		}
	}
}

// asked checks that the next packet asks for an acknowledgement, and is want but
// for its id; it returns the id.
func (p *peer) asked(want string) (id string) {
	p.Helper()
	got := p.next()
	before, payload, ok := strings.Cut(got, "[")
	if id = strings.TrimLeft(before[min(2, len(before)):], "/abcdefghijklmnopqrstuvwxyz,"); !ok || id == "" || strings.TrimSuffix(before, id)+"["+payload != want {
		p.Fatalf("got %q, want %q with an id", got, want)
	}
	return id
}

// quiet checks that nothing comes without time passing.
func (p *peer) quiet() {
	p.Helper()
	synctest.Wait()
	select {
	case s := <-p.in:
		p.Fatalf("got %q, want nothing", s)
	default:
	}
}

// gone checks that the server closes the connection.
func (p *peer) gone() {
	p.Helper()
	select {
	case <-p.closed:
	case <-time.After(wait):
		p.Fatal("the connection was not closed")
	}
}

// connect connects to a namespace and keeps the socket's id.
func (p *peer) connect(namespace string) *peer {
	p.Helper()
	prefix := "40"
	if namespace != "/" {
		prefix += namespace + ","
	}
	p.send(prefix)
	got := p.next()
	if !strings.HasPrefix(got, prefix+`{"sid":"`) {
		p.Fatalf("got %q, want to be connected to %s", got, namespace)
	}
	p.id = strings.Split(got, `"`)[3]
	return p
}

// client is a new session that is connected to the main namespace.
func (w *world) client() *peer {
	w.Helper()
	return w.dial().connect("/")
}

// poller is a polling client.
type poller struct {
	*world
	url string
}

func (w *world) poller() *poller {
	w.Helper()
	p := &poller{world: w, url: base + "polling"}
	status, body := p.get()
	if status != http.StatusOK || !strings.HasPrefix(body, `0{"sid":"`) {
		w.Fatal("no handshake:", status, body)
	}
	p.url += "&sid=" + strings.Split(body, `"`)[3]
	return p
}

func (p *poller) get() (int, string) {
	p.Helper()
	return p.do(http.MethodGet, nil)
}

func (p *poller) post(body string) (int, string) {
	p.Helper()
	return p.do(http.MethodPost, strings.NewReader(body))
}

func (p *poller) do(method string, body io.Reader) (int, string) {
	p.Helper()
	r, err := http.NewRequest(method, p.url, body)
	if err != nil {
		p.Fatal(err)
	}
	return p.request(r)
}

func (w *world) request(r *http.Request) (int, string) {
	w.Helper()
	resp, err := w.http.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// events collects what a test's handlers tell it.
type events struct{ testtools.Trace }

// want lets everything come to rest, and checks what has been told since the last
// call.
func (e *events) want(t testing.TB, want ...string) {
	t.Helper()
	synctest.Wait()
	e.Want(t, want...)
}

var errTest = errors.New("it is broken")

// ok checks that there is no error.
func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Error(err)
	}
}

// fails checks that err is the one.
func (w *world) fails(err, target error) {
	w.Helper()
	if !errors.Is(err, target) {
		w.Errorf("error %v, want %v", err, target)
	}
}
