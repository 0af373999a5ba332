// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/socketio/admin"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// wait bounds what has to come, on a slow machine.
const wait = 2 * time.Minute

// world is a server with an admin namespace.
type world struct {
	*testing.T
	io  *socketio.Server
	url string
	log lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, o admin.Options) *world {
	t.Helper()
	io, err := socketio.NewServer(actortest.NewSystem(t), socketio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, io: io}
	if o.Authorize == nil {
		o.Authorize = authorize
	}
	o.Logger = slog.New(slog.NewTextHandler(&w.log, nil))
	if _, err := admin.New(io, o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(io)
	w.url = server.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if _, err := io.Stop(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return w
}

// authorize knows two people.
func authorize(ctx context.Context, c admin.Credentials) (admin.Access, error) {
	switch {
	case c.Username == "broken":
		return admin.Act, errors.New("the directory is down")
	case c.Username == "ann" && c.Password == "secret":
		return admin.Act, nil
	case c.Username == "bob" && c.Password == "secret":
		return admin.Look, nil
	}
	return admin.Refused, nil
}

// client is a client at the level of packets.
type client struct {
	*world
	c  *websocket.Conn
	in chan string
}

func (w *world) dial() *client {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	c, _, err := websocket.Dial(ctx, w.url+"/socket.io/?EIO=4&transport=websocket&token=s3cr3t",
		&websocket.DialOptions{HTTPHeader: map[string][]string{"User-Agent": {"test"}, "Cookie": {"s3cr3t=1"}}})
	if err != nil {
		w.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	p := &client{w, c, make(chan string, 1000)}
	over, done := make(chan struct{}), make(chan struct{})
	w.Cleanup(func() { close(over); _ = c.CloseNow(); <-done })
	go func() {
		defer close(done)
		defer close(p.in)
		for {
			_, b, err := c.Read(context.Background())
			if err != nil {
				return
			}
			if string(b) == "2" {
				p.send("3")
				continue
			}
			select {
			case p.in <- string(b):
			case <-over: // the test has not read all
				return
			}
		}
	}()
	p.next() // the handshake
	return p
}

func (p *client) send(packet string) {
	_ = p.c.Write(context.Background(), websocket.MessageText, []byte(packet))
}

func (p *client) next() string {
	p.Helper()
	select {
	case s, ok := <-p.in:
		if !ok {
			p.Fatal("the connection has ended")
		}
		return s
	case <-time.After(wait):
		p.Fatal("nothing came")
		return ""
	}
}

// event returns the arguments of the next event of that name.
func (p *client) event(name string) (args []json.RawMessage) {
	p.Helper()
	for {
		s := p.next()
		rest, ok := strings.CutPrefix(s, "42/admin,")
		if !ok {
			p.Fatalf("got %s, want the event %s", s, name)
		}
		var all []json.RawMessage
		if err := json.Unmarshal([]byte(rest), &all); err != nil {
			p.Fatal(err)
		}
		if string(all[0]) == `"`+name+`"` {
			return all[1:]
		}
	}
}

// user is a client in the main namespace.
func (w *world) user() (p *client, id string) {
	w.Helper()
	p = w.dial()
	p.send("40")
	var sid struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(p.next(), "40")), &sid); err != nil {
		w.Fatal(err)
	}
	return p, sid.SID
}

// logIn tries to; "" is that it is in, or else the error.
func (p *client) logIn(auth string) string {
	p.Helper()
	p.send("40/admin," + auth)
	s := p.next()
	if strings.HasPrefix(s, "40/admin,") {
		return ""
	}
	return strings.TrimPrefix(s, "44/admin,")
}

func (w *world) admin(name string) *client {
	w.Helper()
	p := w.dial()
	if why := p.logIn(fmt.Sprintf(`{"username":%q,"password":"secret"}`, name)); why != "" {
		w.Fatal(why)
	}
	return p
}

const invalid = `{"message":"invalid credentials"}`

// Nobody gets in but by a password, or with the session of somebody who has.
func TestLogIn(t *testing.T) {
	w := newWorld(t, admin.Options{})
	for _, auth := range []string{``, `{}`, `{"username":"ann"}`, `{"username":"ann","password":"wrong"}`, `{"username":7}`,
		`{"username":"broken","password":"secret"}`, `{"sessionId":"x"}`, `{"sessionId":null}`} {
		if why := w.dial().logIn(auth); why != invalid {
			t.Errorf("%s: %s", auth, why)
		}
	}
	p := w.admin("ann")
	var id string
	if err := json.Unmarshal(p.event("session")[0], &id); err != nil || len(id) < 20 {
		t.Fatalf("session %q, %v", id, err)
	}
	p.config("ALL_EVENTS", "EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
	again := w.dial()
	if why := again.logIn(fmt.Sprintf(`{"sessionId":%q}`, id)); why != "" {
		t.Error("with a session:", why)
	}
	again.config("ALL_EVENTS", "EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
	w.admin("bob").config("ALL_EVENTS")
	if log := w.log.String(); strings.Contains(log, "secret") || strings.Contains(log, "wrong") || !strings.Contains(log, "user=ann") || !strings.Contains(log, "the directory is down") {
		t.Errorf("the log:\n%s", log)
	}
	before := len(w.log.String())
	if why := w.dial().logIn(fmt.Sprintf(`{"username":%q,"password":"x"}`, strings.Repeat("x", 50_000))); why != invalid {
		t.Error("a long name:", why)
	}
	if n := len(w.log.String()) - before; n == 0 || n > 1000 {
		t.Errorf("a long name has %d bytes in the log", n)
	}
}

// config checks what the page may offer.
func (p *client) config(want ...string) {
	p.Helper()
	var config struct{ SupportedFeatures []string }
	if err := json.Unmarshal(p.event("config")[0], &config); err != nil || !slices.Equal(config.SupportedFeatures, append([]string{"AGGREGATED_EVENTS"}, want...)) {
		p.Errorf("features %q, %v, want %q", config.SupportedFeatures, err, want)
	}
}

// Without a life a session cannot be come back with; ReadOnly is for everybody.
func TestReadOnlyWithoutSessions(t *testing.T) {
	w := newWorld(t, admin.Options{ReadOnly: true, SessionLife: -1, CountsOnly: true})
	p := w.admin("ann")
	if s := p.next(); s != `42/admin,["config",{"supportedFeatures":["AGGREGATED_EVENTS"]}]` {
		t.Errorf("first comes %s", s)
	}
	if s := p.next(); !strings.HasPrefix(s, `42/admin,["server_stats",`) {
		t.Errorf("then comes %s", s)
	}
	user, _ := w.user()
	p.send(`42/admin,1["_disconnect","/",true,null]`)
	if s := p.acknowledged(); s != `[{"error":{"message":"admin: _disconnect: not allowed"}}]` {
		t.Errorf("acknowledged by %s", s)
	}
	if n := len(w.io.Sockets()); n != 1 {
		t.Errorf("%d sockets are left of %v", n, user)
	}
}

// acknowledged returns the next acknowledgement.
func (p *client) acknowledged() string {
	p.Helper()
	for {
		s := p.next()
		if rest, ok := strings.CutPrefix(s, "43/admin,1"); ok {
			return rest
		}
	}
}

// What happens is shown, in order, and nothing that may be a secret.
func TestShows(t *testing.T) {
	w := newWorld(t, admin.Options{Arguments: true, ServerID: "one"})
	socketio.On(w.io, "hi", func(_ *actors.Task, s *socketio.Socket, who string) error {
		s.SetData("s3cr3t")
		if err := s.Join("lobby"); err != nil {
			return err
		}
		return s.Emit("hello", who)
	})
	user, id := w.user()
	p := w.admin("bob")
	var all []struct {
		ID, ClientID, Transport, NSP string
		Handshake                    struct{ Headers map[string]string }
		Rooms                        []string
	}
	raw := p.event("all_sockets")[0]
	if err := json.Unmarshal(raw, &all); err != nil || len(all) != 2 || all[0].ID != id || all[0].Transport != "websocket" || all[0].NSP != "/" ||
		all[0].ClientID != w.io.Socket(id).SessionID() || all[0].Handshake.Headers["user-agent"] != "test" || all[1].NSP != "/admin" || !slices.Equal(all[0].Rooms, []string{id}) {
		t.Errorf("%s, %v", raw, err)
	}
	if strings.Contains(string(raw), "s3cr3t") {
		t.Errorf("all sockets have a secret: %s", raw)
	}
	user.send(`42["hi","Ann"]`)
	args := fmt.Sprintf(`"/",%q`, id)
	for _, want := range []string{
		`["event_received",` + args + `,["hi","Ann"],T]`,
		fmt.Sprintf(`["room_joined","/","lobby",%q,T]`, id),
		`["event_sent",` + args + `,["hello","Ann"],T]`,
	} {
		if got := p.timeless(); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	}
	w.io.Socket(id).Leave("lobby")
	if got, want := p.timeless(), fmt.Sprintf(`["room_left","/","lobby",%q,T]`, id); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	_, other := w.user()
	if got := p.timeless(); !strings.HasPrefix(got, `["socket_connected",{"id":"`+other+`"`) || strings.Contains(got, "s3cr3t") {
		t.Errorf("told %s", got)
	}
	w.io.Socket(other).Close()
	if got, want := p.timeless(), fmt.Sprintf(`["socket_disconnected","/",%q,"server namespace disconnect",T]`, other); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	if got, want := p.timeless(), fmt.Sprintf(`["room_left","/",%q,%q,T]`, other, other); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	var stats struct {
		ServerID                          string
		ClientsCount, PollingClientsCount int
		Namespaces                        []struct {
			Name         string
			SocketsCount int
		}
		AggregatedEvents []struct {
			Type  string
			Count int
		}
	}
	if err := json.Unmarshal(p.event("server_stats")[0], &stats); err != nil || stats.ServerID != "one" || stats.ClientsCount != 2 || stats.PollingClientsCount != 0 ||
		len(stats.Namespaces) != 2 || stats.Namespaces[0].SocketsCount != 1 || len(stats.AggregatedEvents) == 0 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// timeless is the next event but the server's stats, with T for the time that ends it.
func (p *client) timeless() string {
	p.Helper()
	for {
		s := strings.TrimPrefix(p.next(), "42/admin,")
		if strings.HasPrefix(s, `["server_stats"`) {
			continue
		}
		i := strings.LastIndex(s, `,"20`)
		if i < 0 {
			p.Fatalf("%s has no time", s)
		}
		return s[:i] + ",T]"
	}
}

// Without Arguments events are shown by their names.
func TestHidesArguments(t *testing.T) {
	w := newWorld(t, admin.Options{})
	_, id := w.user()
	p := w.admin("bob")
	p.event("all_sockets")
	if err := w.io.Emit("news", "s3cr3t"); err != nil {
		t.Fatal(err)
	}
	if got, want := p.timeless(), fmt.Sprintf(`["event_sent","/",%q,["news"],T]`, id); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

// The page's actions are done for who may act, and logged; what makes no sense is refused.
func TestActs(t *testing.T) {
	w := newWorld(t, admin.Options{})
	a, idA := w.user()
	b, _ := w.user()
	p := w.admin("ann")
	do := func(args, want string) {
		t.Helper()
		p.send("42/admin,1" + args)
		if got := p.acknowledged(); got != want {
			t.Errorf("%s is acknowledged by %s, want %s", args, got, want)
		}
	}
	do(`["join","/","lobby",`+fmt.Sprintf("%q", idA)+`]`, "[]")
	do(`["join","/","all",null]`, "[]")
	if rooms := w.io.Of("/").Rooms(); rooms["lobby"] != 1 || rooms["all"] != 2 {
		t.Errorf("rooms %v", rooms)
	}
	do(`["leave","/","all","lobby"]`, "[]")
	if rooms := w.io.Of("/").Rooms(); rooms["all"] != 1 {
		t.Errorf("rooms %v", rooms)
	}
	do(`["emit","/","lobby","hello",{"n":1},2]`, "[]")
	if got := a.next(); got != `42["hello",{"n":1},2]` {
		t.Errorf("the client got %s", got)
	}
	do(`["_disconnect","/",false,`+fmt.Sprintf("%q", idA)+`]`, "[]")
	if got := a.next(); got != "41" {
		t.Errorf("the client got %s", got)
	}
	do(`["_disconnect","/",true]`, "[]")
	if got := b.next(); got != "41" {
		t.Errorf("the client got %s", got)
	}
	for args, why := range map[string]string{
		`["join","/none","x",null]`:    `admin: there is no namespace \"/none\"`,
		`["join","/","",null]`:         `admin: \"\" is no name of a room`,
		`["join","/"]`:                 "admin: join with too few arguments",
		`["emit","/",null,"connect"]`:  `admin: \"connect\" is no name of an event`,
		`["emit","/",7,"x"]`:           "admin: emit: 7 is no room",
		`["leave"]`:                    "admin: leave without a namespace, or with binary data",
		`["_disconnect","/","x",null]`: `admin: \"x\" is neither true nor false`,
	} {
		do(args, `[{"error":{"message":"`+why+`"}}]`)
	}
	if n := len(w.io.Namespaces()); n != 2 {
		t.Errorf("there are %d namespaces now", n)
	}
	for _, want := range []string{"action=join user=ann", "filter=" + idA, "action=leave", "action=emit", "event=hello", "action=_disconnect", "close=true"} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, w.log.String())
		}
	}
}

// A page is not cut off for what there is to be seen, however much that is: it is told of it as fast as it reads.
func TestShowsMoreThanIsBuffered(t *testing.T) {
	w := newWorld(t, admin.Options{})
	const rooms = 900
	missing := map[string]bool{}
	for range 3 { // 5.4 MB of names; MaxBuffered is 4 MiB
		_, id := w.user()
		s := w.io.Socket(id)
		for i := range rooms {
			room := fmt.Sprintf("%d %s", i, strings.Repeat("x", 2000))
			if err := s.Join(room); err != nil {
				t.Fatal(err)
			}
			missing[id+room] = true
		}
	}
	p := w.admin("bob")
	for len(missing) > 0 {
		rest, ok := strings.CutPrefix(p.next(), "42/admin,")
		if !ok {
			t.Fatal("it is no event")
		}
		var all []json.RawMessage
		if err := json.Unmarshal([]byte(rest), &all); err != nil {
			t.Fatal(err)
		}
		if string(all[0]) == `"room_joined"` {
			var room, id string
			if err := errors.Join(json.Unmarshal(all[2], &room), json.Unmarshal(all[3], &id)); err != nil {
				t.Fatal(err)
			}
			delete(missing, id+room)
		}
	}
}

// TestPageThatDoesNotRead: what happens meanwhile does not cut it off. It misses some, which is logged, and goes on.
func TestPageThatDoesNotRead(t *testing.T) {
	w := newWorld(t, admin.Options{})
	const rooms = 900
	var users []*socketio.Socket
	for range 15 { // 27 MB of names; MaxBuffered is 4 MiB, and the kernel keeps some, too
		_, id := w.user()
		users = append(users, w.io.Socket(id))
	}
	p := w.admin("bob")
	join := func(s *socketio.Socket, room string) {
		if err := s.Join(room); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range users {
		for i := range rooms {
			join(s, fmt.Sprintf("%d %s", i, strings.Repeat("x", 2000)))
		}
	}
	for i := 0; ; i++ { // until it is told of one of these
		join(users[0], fmt.Sprint("marker ", i))
		users[0].Leave(fmt.Sprint("marker ", i))
		if args := p.event("room_joined"); strings.HasPrefix(string(args[1]), `"marker`) {
			break
		}
	}
	if !strings.Contains(w.log.String(), "reads more slowly") {
		t.Errorf("it was told of all, or the log does not say so: %s", &w.log)
	}
}

// Who only looks does nothing.
func TestLookOnly(t *testing.T) {
	w := newWorld(t, admin.Options{})
	_, id := w.user()
	p := w.admin("bob")
	for _, args := range []string{`["emit","/",null,"x"]`, `["join","/","r",null]`, `["leave","/","r",null]`, `["_disconnect","/",true,null]`} {
		p.send("42/admin,1" + args)
		if got := p.acknowledged(); !strings.Contains(got, "not allowed") {
			t.Errorf("%s is acknowledged by %s", args, got)
		}
	}
	if s := w.io.Socket(id); s == nil || len(s.Rooms()) != 1 {
		t.Errorf("the client is %v", s)
	}
}

func TestBasic(t *testing.T) {
	f := admin.Basic("ann", "secret", admin.Look)
	for c, want := range map[admin.Credentials]admin.Access{
		{Username: "ann", Password: "secret"}: admin.Look, {Username: "ann", Password: "Secret"}: admin.Refused, {Username: "bob", Password: "secret"}: admin.Refused, {}: admin.Refused,
	} {
		if got, err := f(context.Background(), c); got != want || err != nil {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}

func TestOptions(t *testing.T) {
	_, err := admin.New(nil, admin.Options{})
	var e *actors.OptionError
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "io is missing") || !strings.Contains(err.Error(), "Options.Authorize is missing") {
		t.Error(err)
	}
}
