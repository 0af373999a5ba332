// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	chromium "github.com/protoloop/protoloop/cmd/example/internal/browser"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/socketio/admin"
)

// adminPage is the page of npm's @socket.io/admin-ui, as it is published.
const adminPage = "../../socketio/internal/clients/node_modules/@socket.io/admin-ui/ui/dist"

// TestAdminUI drives the official admin UI in a browser: it logs in, sees what there is and
// what changes, and acts, as far as it may.
func TestAdminUI(t *testing.T) {
	if _, err := os.Stat(filepath.Join(adminPage, "index.html")); err != nil {
		testtools.Lacking(t, "the npm package @socket.io/admin-ui", "socketio-clients")
	}
	// The page takes fonts from other hosts. They are not looked up.
	b := newBrowser(t, chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))

	pages := httptest.NewServer(http.FileServer(http.Dir(adminPage)))
	defer pages.Close()
	io, err := socketio.NewServer(actortest.NewSystem(t), socketio.Options{AllowedOrigins: []string{pages.URL}, AllowCredentials: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.New(io, admin.Options{
		Authorize: func(_ context.Context, c admin.Credentials) (admin.Access, error) {
			switch c {
			case admin.Credentials{Username: "ann", Password: "secret", Address: "127.0.0.1"}:
				return admin.Act, nil
			case admin.Credentials{Username: "bob", Password: "secret", Address: "127.0.0.1"}:
				return admin.Look, nil
			}
			return admin.Refused, nil
		},
		ServerID: "server-one", Arguments: true, Logger: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	io.OnConnect(func(_ *actors.Task, s *socketio.Socket) error { return s.Join("lobby") })
	socketio.On(io, "hi", func(_ *actors.Task, s *socketio.Socket, name string) error { return s.Emit("hello", name) })
	server := httptest.NewServer(io)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if _, err := io.Stop(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	}()
	live, id := adminClient(t, server.URL)
	_, other := adminClient(t, server.URL)

	p := b.openAdmin(t, pages.URL)
	p.logIn(t, server.URL, "ann", "wrong")
	p.Until(t, `document.body.innerText.includes("Invalid credentials")`)
	p.picture(t, "admin-invalid")
	p.logIn(t, server.URL, "ann", "secret")
	p.Until(t, `!document.querySelector(".v-dialog--active")`)
	// The client's connection of the page itself is one, too.
	p.sees(t, "#/", "Dashboard", "/admin", "HEALTHY")
	p.picture(t, "admin-dashboard")
	p.sees(t, "#/servers/", "server-one", "HEALTHY")
	p.sees(t, "#/clients/", io.Socket(id).SessionID(), io.Socket(other).SessionID(), "127.0.0.1")
	p.picture(t, "admin-clients")
	p.sees(t, "#/rooms/", "lobby", "public")
	p.picture(t, "admin-rooms")
	p.sees(t, "#/sockets/", id, other, "WebSocket")
	p.picture(t, "admin-sockets")

	if err := live.Write(t.Context(), websocket.MessageText, []byte(`42["hi","Grace"]`)); err != nil {
		t.Fatal(err)
	}
	p.sees(t, "#/events/", "hi", "hello")
	p.click(t, `[...document.querySelectorAll("tbody tr")].find((r) => r.innerText.includes("hello")).querySelector("button")`)
	p.Until(t, `document.querySelector("main").innerText.includes("Grace")`)
	p.picture(t, "admin-events")

	// Joins and leaves a room by the page of the socket.
	p.sees(t, "#/n/%2F/sockets/"+id, "lobby")
	p.Do(t, chromedp.SendKeys(chromedp.CSS("main form input"), "workshop"))
	p.click(t, `document.querySelector("main form button[type=submit]")`)
	joined := func(n int) func() bool { return func() bool { return io.Of("/").Rooms()["workshop"] == n } }
	actortest.Eventually(t, "the socket joins", joined(1))
	p.Until(t, `[...document.querySelectorAll("tr")].some((r) => r.innerText.includes("workshop"))`)
	p.picture(t, "admin-socket")
	p.click(t, `[...document.querySelectorAll("tbody tr")].find((r) => r.innerText.includes("workshop")).querySelector("button")`)
	actortest.Eventually(t, "the socket leaves", joined(0))

	// Disconnects it in the list of sockets.
	// A click now and then goes nowhere, probably because the page draws its rows anew
	// whenever it is told of something: so it is made again.
	gone := func() bool { return io.Socket(id) == nil }
	for tries := 0; tries < 20 && !gone(); tries++ {
		p.sees(t, "#/sockets/", id, other)
		p.click(t, fmt.Sprintf(`[...document.querySelectorAll("tbody tr")].find((r) => r.innerText.includes(%q)).querySelector("button")`, id))
		testtools.Poll(3*time.Second, gone)
	}
	actortest.Eventually(t, "the socket is disconnected", gone)
	if io.Socket(other) == nil {
		t.Error("the other one is disconnected, too")
	}
	p.sees(t, "#/sockets/", other) // the click on the row has led to the socket's own page, too
	p.Until(t, fmt.Sprintf(`!document.querySelector("main").innerText.includes(%q)`, id))
	p.fine(t)

	// Somebody else may look only.
	q := newBrowser(t, chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")).openAdmin(t, pages.URL)
	q.logIn(t, server.URL, "bob", "secret")
	q.Until(t, `!document.querySelector(".v-dialog--active")`)
	q.sees(t, "#/sockets/", other)
	q.Until(t, `document.querySelectorAll("tbody tr").length === 1 && !document.querySelector("tbody tr button")`)
	q.picture(t, "admin-read-only")
	q.fine(t)
}

// adminClient is a client of the server, and the id of its socket.
func adminClient(t *testing.T, url string) (c *websocket.Conn, id string) {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	if err := c.Write(t.Context(), websocket.MessageText, []byte("40")); err != nil {
		t.Fatal(err)
	}
	for {
		_, packet, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(packet), "40") {
			return c, strings.Split(string(packet), `"`)[3]
		}
	}
}

// openAdmin opens the admin page.
func (b browser) openAdmin(t *testing.T, url string) *tab {
	t.Helper()
	p := &tab{chromium.Open(t, b.ctx), strings.TrimPrefix(url, "http://")}
	p.Do(t, chromedp.EmulateViewport(1300, 900), chromedp.Navigate(url))
	p.Eval(t, `window.problems = []; addEventListener("error", (e) => problems.push(e.message)); ""`)
	p.Until(t, `document.querySelectorAll(".v-dialog--active form input").length >= 3`)
	return p
}

// logIn fills in the page's form, over what it has.
func (p *tab) logIn(t *testing.T, url, user, password string) {
	t.Helper()
	for i, text := range []string{url, user, password} {
		field := fmt.Sprintf(".v-dialog--active form > .v-input:nth-of-type(%d) input", i+1)
		p.Eval(t, fmt.Sprintf(`{ const e = document.querySelector(%q); e.value = ""; e.dispatchEvent(new Event("input")); "" }`, field))
		p.Do(t, chromedp.SendKeys(chromedp.CSS(field), text))
	}
	p.click(t, `document.querySelector(".v-dialog--active form button[type=submit]")`)
}

// click clicks what an expression finds, as soon as it is there. The page may draw it anew at any moment, so it is not looked
// for once more.
func (p *tab) click(t *testing.T, element string) {
	t.Helper()
	p.Until(t, fmt.Sprintf(`(() => { try { %s.click(); return true } catch { return false } })()`, element))
}

// sees goes to a part of the page and waits until it shows all of that.
func (p *tab) sees(t *testing.T, at string, texts ...string) {
	t.Helper()
	p.Eval(t, fmt.Sprintf(`location.hash = %q`, at))
	for _, text := range texts {
		t.Logf("%s: %s", at, text) // what it waits for
		p.Until(t, fmt.Sprintf(`document.querySelector("main").innerText.toLowerCase().includes(%q)`, strings.ToLower(text)))
	}
}

// picture takes one, for somebody to look at.
func (p *tab) picture(t *testing.T, name string) {
	t.Helper()
	if chromium.WantsPictures() {
		time.Sleep(500 * time.Millisecond) // the page moves its parts
		p.Picture(t, name)
	}
}
