// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

func newConsole(t testing.TB, o Options) *Console {
	t.Helper()
	return newConsoleOf(t, actortest.NewSystem(t), o)
}

func newConsoleOf(t testing.TB, sys *actor.ActorSystem, o Options) *Console {
	t.Helper()
	c, err := New(sys, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.look.stopSampler)
	return c
}

var (
	loopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000}
	outside  = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 8000}
	socket   = &net.UnixAddr{Name: "/run/x.sock", Net: "unix"}
)

// from makes a request as a server has it that was reached at local.
func from(local net.Addr, remote, method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	r.RemoteAddr = remote
	r.Host = "localhost:8000"
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// ask is the answer to a request.
func ask(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const testToken = "a token of a test"

// TestWhoIsLetIn has each way to be refused, and to be let in.
func TestWhoIsLetIn(t *testing.T) {
	const here, there = "127.0.0.1:5000", "10.0.0.2:5000"
	bearer := []string{"Authorization", "Bearer " + testToken}
	for name, c := range map[string]struct {
		o      Options
		r      *http.Request
		status int
	}{
		"loopback":           {r: from(loopback, here, "GET", "/api/about"), status: 200},
		"loopback, IPv6":     {r: from(&net.TCPAddr{IP: net.IPv6loopback}, "[::1]:5000", "GET", "/api/about", "Host", "[::1]:8000"), status: 200},
		"loopback by number": {r: from(loopback, here, "GET", "/api/about", "Host", "127.0.0.1:8000"), status: 200},
		"Unix socket":        {r: from(socket, "@", "GET", "/api/about"), status: 200},
		"the page":           {r: from(loopback, here, "GET", "/"), status: 200},
		"a deep link":        {r: from(loopback, here, "GET", "/worker?id=a"), status: 200},

		"foreign Host":                    {r: from(loopback, here, "GET", "/api/about", "Host", "evil.example:8000"), status: 421},
		"foreign Host, page":              {r: from(loopback, here, "GET", "/", "Host", "evil.example:8000"), status: 421},
		"foreign Host, Unix socket":       {r: from(socket, "@", "GET", "/api/about", "Host", "evil.example"), status: 421},
		"foreign Host that begins so":     {r: from(loopback, here, "GET", "/api/about", "Host", "localhost.evil.example"), status: 421},
		"an address that is not loopback": {r: from(outside, there, "GET", "/api/about", "Host", "10.0.0.1:8000"), status: 421},
		"a listed host without token":     {o: Options{Hosts: []string{"ops.example"}}, r: from(loopback, here, "GET", "/api/about", "Host", "ops.example"), status: 401},
		"a listed host with the token":    {o: Options{Hosts: []string{"ops.example"}, Token: testToken}, r: from(outside, there, "GET", "/api/about", append(bearer, "Host", "OPS.example.")...), status: 200},

		"foreign Origin":                      {r: from(loopback, here, "GET", "/api/about", "Origin", "http://evil.example"), status: 403},
		"foreign Origin, another port":        {r: from(loopback, here, "GET", "/api/about", "Origin", "http://localhost:9000"), status: 403},
		"foreign Origin, null":                {r: from(loopback, here, "GET", "/api/about", "Origin", "null"), status: 403},
		"own Origin":                          {r: from(loopback, here, "GET", "/api/about", "Origin", "http://localhost:8000"), status: 200},
		"another site's script":               {r: from(loopback, here, "GET", "/api/about", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"), status: 403},
		"another site's link to a page":       {r: from(loopback, here, "GET", "/waits", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"), status: 200},
		"another site's link to data":         {r: from(loopback, here, "GET", "/api/about", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"), status: 403},
		"foreign Origin, POST":                {o: Options{Actions: true}, r: from(loopback, here, "POST", "/api/act/capture", "Origin", "http://evil.example"), status: 403},
		"another site's form, without Origin": {o: Options{Actions: true}, r: from(loopback, here, "POST", "/api/act/capture", "Sec-Fetch-Site", "cross-site"), status: 403},

		"missing token":                  {r: from(outside, there, "GET", "/api/about"), status: 401},
		"missing token, page":            {r: from(outside, there, "GET", "/"), status: 401},
		"missing token, one is set":      {o: Options{Token: testToken}, r: from(loopback, here, "GET", "/api/about"), status: 401},
		"wrong token":                    {o: Options{Token: testToken}, r: from(outside, there, "GET", "/api/about", "Authorization", "Bearer x"), status: 401},
		"token":                          {o: Options{Token: testToken}, r: from(outside, there, "GET", "/api/about", bearer...), status: 200},
		"token in the address":           {o: Options{Token: testToken}, r: from(outside, there, "GET", "/api/about?token="+strings.ReplaceAll(testToken, " ", "+")), status: 200},
		"behind a proxy on this machine": {r: from(loopback, here, "GET", "/api/about", "X-Forwarded-For", "10.0.0.2"), status: 401},
		"behind a proxy, Unix socket":    {r: from(socket, "@", "GET", "/api/about", "Forwarded", "for=10.0.0.2"), status: 401},
		"from outside to loopback":       {r: from(loopback, there, "GET", "/api/about"), status: 401},
		"an unknown way":                 {r: from(nil, here, "GET", "/api/about"), status: 401},

		"Authorize lets in":             {o: Options{Authorize: func(*http.Request) (Grant, error) { return Grant{Look: true}, nil }}, r: from(outside, there, "GET", "/api/about"), status: 200},
		"Authorize grants nothing":      {o: Options{Authorize: func(*http.Request) (Grant, error) { return Grant{}, nil }}, r: from(socket, "@", "GET", "/api/about"), status: 403},
		"Authorize refuses":             {o: Options{Authorize: func(*http.Request) (Grant, error) { return Grant{Look: true}, errors.New("no") }}, r: from(socket, "@", "GET", "/api/about"), status: 403},
		"Authorize, and a foreign Host": {o: Options{Authorize: func(*http.Request) (Grant, error) { return Grant{Look: true}, nil }}, r: from(socket, "@", "GET", "/api/about", "Host", "evil.example"), status: 421},

		"GET on an action":            {o: Options{Actions: true}, r: from(loopback, here, "GET", "/api/act/capture"), status: 405},
		"HEAD on an action":           {o: Options{Actions: true}, r: from(loopback, here, "HEAD", "/api/act/capture"), status: 405},
		"POST on a page":              {r: from(loopback, here, "POST", "/api/about"), status: 405},
		"an action while none may be": {r: from(loopback, here, "POST", "/api/act/capture"), status: 403},
		"an action of who may look":   {o: Options{Actions: true, Authorize: func(*http.Request) (Grant, error) { return Grant{Look: true}, nil }}, r: from(loopback, here, "POST", "/api/act/capture"), status: 403},
		"an action that is no JSON":   {o: Options{Actions: true}, r: from(loopback, here, "POST", "/api/act/capture", "Content-Type", "text/plain"), status: 415},
		"an unknown page":             {r: from(loopback, here, "GET", "/api/nothing"), status: 404},
		"an unknown path":             {r: from(loopback, here, "GET", "/debug/pprof/"), status: 404},
		"a file above the assets":     {r: from(loopback, here, "GET", "/assets/..%2fconsole.go"), status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(newConsole(t, c.o).Handler(), c.r)
			if w.Code != c.status {
				t.Errorf("%d, want %d: %s", w.Code, c.status, w.Body)
			}
			if got := w.Header().Get("Content-Security-Policy"); got != policy {
				t.Errorf("policy %q", got)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("another site may read it")
			}
		})
	}
}

// TestTokenInAddress: a browser gets a cookie and an address without the token, under any
// prefix.
func TestTokenInAddress(t *testing.T) {
	h := newConsole(t, Options{Token: testToken}).Handler()
	r := from(outside, "10.0.0.2:5000", "GET", "/waits?token=a+token+of+a+test&kind=a")
	r.Host = "localhost"
	w := ask(h, r)
	if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "./waits?kind=a" {
		t.Fatalf("%d, to %q", w.Code, got)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("cookies: %v", cookies)
	}
	r = from(outside, "10.0.0.2:5000", "GET", "/api/about")
	if w := ask(h, r); w.Code != http.StatusUnauthorized {
		t.Errorf("without the cookie: %d", w.Code)
	}
	r.AddCookie(cookies[0])
	if w := ask(h, r); w.Code != http.StatusOK {
		t.Errorf("with the cookie: %d", w.Code)
	}
}

// TestTokenIsLoggedOnce: whoever is sent away finds it in the log.
func TestTokenIsLoggedOnce(t *testing.T) {
	sys := actortest.NewSystem(t)
	log := actortest.LogOf(sys)
	h := newConsoleOf(t, sys, Options{}).Handler()
	for range 3 {
		ask(h, from(outside, "10.0.0.2:5000", "GET", "/"))
	}
	found := log.Find(0, "token is required")
	if len(found) != 1 {
		t.Fatalf("%d records: %v", len(found), found)
	}
	token, _ := found[0].Attr("token").(string)
	if w := ask(h, from(outside, "10.0.0.2:5000", "GET", "/api/about", "Authorization", "Bearer "+token)); w.Code != http.StatusOK {
		t.Errorf("with it: %d", w.Code)
	}
}

// TestRateLimit: a client that asks without end does not keep the process from its work.
func TestRateLimit(t *testing.T) {
	l := limiter{rate: 50, burst: 200}
	now := time.Now()
	n := 0
	for range 1000 {
		if l.take(now) {
			n++
		}
	}
	if n != 200 {
		t.Errorf("%d at once", n)
	}
	n = 0
	for range 1000 {
		now = now.Add(10 * time.Millisecond)
		if l.take(now) {
			n++
		}
	}
	if n != 500 {
		t.Errorf("%d in 10 s", n)
	}

	h := newConsole(t, Options{}).Handler()
	for range 10_000 { // more than a slow machine makes before some are too many, which would be 200 if no time went by
		if w := ask(h, from(loopback, "127.0.0.1:5000", "GET", "/assets/none")); w.Code == http.StatusTooManyRequests {
			if w.Header().Get("Retry-After") == "" {
				t.Error("without Retry-After")
			}
			return
		}
	}
	t.Error("10,000 requests at once were answered")
}

// TestMistakes: all of an Options that cannot be meant are named at once.
func TestMistakes(t *testing.T) {
	_, err := New(nil, Options{Addr: "8000", Token: "short", Hosts: []string{"*"}, Record: -1})
	var fields []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		mistake, ok := errors.AsType[*actors.OptionError](e)
		if !ok {
			t.Fatalf("%v is a %T", e, e)
		}
		fields = append(fields, mistake.Field)
	}
	if got := strings.Join(fields, " "); got != "Addr Token Hosts Record sys" {
		t.Errorf("mistakes in %s: %v", got, err)
	}
	if strings.Contains(err.Error(), "short") && strings.Contains(err.Error(), `"short"`) {
		t.Errorf("the token is in the error: %v", err)
	}
}
