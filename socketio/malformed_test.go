// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/socketio"
)

// malformed are packets, as messages, that end their session.
var malformed = []string{
	"", "x", "4", "49", "4abc", "42", "42{}", "42[]", "42[null]", `42["x"`, `42abc["x"]`, `42["disconnect"]`, "43", "43{}", "44{}", "45", "451",
	`451-["x"]` + sep + `42["x"]`, `4599-["x"]`, `451-["x",{"_placeholder":true,"num":7}]` + sep + "bQQ==", "bQQ==", "b!", "40[]", "41{}",
	`4299999999999999999["x"]`, "40/" + strings.Repeat("n", 300), "2", "2probe", `42/none,["x"]`, "4\xff", `42["` + "\xc3\x28" + `"]`, "40", "7",
	"42" + strings.Repeat("[", 20_000), "4\x00",
}

const sep = "\x1e"

// TestMalformed sends 10,000 malformed packets over both transports, a tenth with
// -short, while good clients of both talk: they lose nothing, and nothing is left
// behind.
func TestMalformed(t *testing.T) {
	const workers = 8
	packets := 10_000
	if testing.Short() {
		packets /= 10
	}
	r := realServer(t, socketio.Options{HandshakesPerIP: -1})
	socketio.OnAck(r.io, "echo", func(_ *actors.Task, _ *socketio.Socket, n int) (int, error) { return n, nil })
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = workers
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	seed := time.Now().UnixNano()
	t.Log("seed", seed)

	stop := make(chan struct{})
	var good, bad sync.WaitGroup
	for i := range 4 {
		c := r.dial(t)
		good.Go(func() { c.talk(t, i, stop) })
	}
	runtime.GC()
	before := runtime.NumGoroutine()
	for i := range workers {
		rnd := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
		bad.Go(func() {
			for range packets / workers {
				packet := malformed[rnd.IntN(len(malformed))]
				if rnd.IntN(2) == 0 {
					r.malformedWebSocket(t, packet)
				} else {
					r.malformedPolling(t, packet)
				}
			}
		})
	}
	bad.Wait()
	close(stop)
	good.Wait()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	actortest.Eventually(t, "the sessions that were malformed are gone", func() bool {
		return r.io.Stats().Sessions == 0 && r.io.Remembered() == 0 && runtime.NumGoroutine() <= before
	})
	s := r.io.Stats()
	t.Logf("%+v", s)
	if s.Malformed != int64(packets) || s.Panics != 0 || s.PingTimeouts != 0 {
		t.Errorf("%+v", s)
	}
}

func (r *real) url(scheme, transport string) string {
	return scheme + "://" + r.addr + "/socket.io/?EIO=4&transport=" + transport
}

// malformedWebSocket begins a session, sends the packet, and waits for the end.
func (r *real) malformedWebSocket(t *testing.T, packet string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, r.url("ws", "websocket"), nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = c.CloseNow() }()
	for _, s := range append([]string{"40"}, strings.Split(packet, sep)...) {
		typ := websocket.MessageText
		if s == "bQQ==" {
			typ, s = websocket.MessageBinary, "A"
		}
		if err := c.Write(ctx, typ, []byte(s)); err != nil && !strings.Contains(packet, sep) {
			t.Errorf("%.40q: %v", packet, err)
		}
	}
	for {
		if _, _, err := c.Read(ctx); err != nil {
			if ctx.Err() != nil {
				t.Errorf("%.40q did not end its session", packet)
			}
			return
		}
	}
}

func (r *real) malformedPolling(t *testing.T, packet string) {
	do := func(method, url, body string) (int, string) {
		w := &world{T: t, http: http.DefaultClient}
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		return w.request(req)
	}
	_, open := do(http.MethodGet, r.url("http", "polling"), "")
	url := r.url("http", "polling") + "&sid=" + strings.Split(open, `"`)[3]
	do(http.MethodPost, url, "40")
	if status, body := do(http.MethodPost, url, packet); status != http.StatusBadRequest {
		t.Errorf("%.40q by polling: %d %s", packet, status, body)
	}
	if status, body := do(http.MethodGet, url, ""); status != http.StatusBadRequest {
		t.Errorf("%.40q did not end its session: %d %s", packet, status, body)
	}
}

// talker is a client that counts what it loses.
type talker struct{ c *websocket.Conn }

func (r *real) dial(t *testing.T) *talker {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), r.url("ws", "websocket"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Write(t.Context(), websocket.MessageText, []byte("40"))
	for range 2 {
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return &talker{c}
}

// talk asks for acknowledgements, one after the other.
func (c *talker) talk(t *testing.T, name int, stop <-chan struct{}) {
	defer func() { _ = c.c.Close(websocket.StatusNormalClosure, "") }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	n := 0
	for ; ; n++ {
		select {
		case <-stop:
			t.Logf("client %d has talked %d times", name, n)
			return
		default:
		}
		if err := c.ask(ctx, n); err != nil {
			t.Errorf("client %d: %v", name, err)
			return
		}
	}
}

// ask asks for one acknowledgement, in front of which nothing may come.
func (c *talker) ask(ctx context.Context, n int) error {
	_ = c.c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `42%d["echo",%d]`, n, n))
	_, got, err := c.c.Read(ctx)
	if string(got) == "2" {
		_ = c.c.Write(ctx, websocket.MessageText, []byte("3"))
		_, got, err = c.c.Read(ctx)
	}
	if want := fmt.Sprintf("43%d[%d]", n, n); err != nil || string(got) != want {
		return fmt.Errorf("got %q, %v, want %s", got, err, want)
	}
	return nil
}
