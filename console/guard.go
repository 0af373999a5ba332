// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/protoloop/protoloop/internal/label"
)

// guard lets a request through to next, or says why not. The order is that of the package doc.
func (c *Console) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secureHeaders(w.Header())
		if !c.knowsHost(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "the console has another name than "+hostOf(r.Host)+": see console.Options.Hosts")
			return
		}
		if err := cross.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "a page of another site has asked: "+err.Error())
			return
		}
		if why := foreign(r); why != "" {
			refuse(w, http.StatusForbidden, why)
			return
		}
		grant, status, err := c.authorize(w, r)
		limit := &c.asked
		if err != nil {
			limit = &c.refused // of its own: strangers are not to keep out who may look
		}
		if !limit.take(time.Now()) {
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, "too many requests")
			return
		}
		switch {
		case err != nil:
			refuse(w, status, err.Error())
			return
		case status == http.StatusSeeOther: // with a cookie now
			w.WriteHeader(status)
			return
		}
		grant.Act = grant.Act && c.opts.Actions
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), grantKey{}, grant)))
	})
}

type grantKey struct{}

// grantOf is what whoever has sent a request may do.
func grantOf(r *http.Request) Grant {
	g, _ := r.Context().Value(grantKey{}).(Grant)
	return g
}

// policy allows the page its own files and nothing else: no code from a text, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

func secureHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// knowsHost reports whether a request may name that host.
func (c *Console) knowsHost(host string) bool {
	name := hostOf(host)
	return isLoopback(name) || c.hosts[name]
}

// hostOf is the host without its port, in lower case.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isLoopback reports whether a host is a name or an address of this machine for itself.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// foreign is why a request that changes nothing is refused all the same: a page of
// another site has made it. Such a page could not read the answer, but it need not have one. A link
// to a page is no such request.
func foreign(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return "a page of " + origin + " has asked, which is another site"
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return ""
	}
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" && !strings.HasPrefix(r.URL.Path, "/api/") {
		return ""
	}
	return "a page of another site has asked"
}

// maxWho bounds what an Authorize calls somebody, which may be what they call themselves in a header; in bytes.
const maxWho = 256

// authorize says what whoever has sent a request may do, or the status that refuses it.
// StatusSeeOther leads a browser to the same page without the token, which is a cookie then.
func (c *Console) authorize(w http.ResponseWriter, r *http.Request) (Grant, int, error) {
	if c.opts.Authorize != nil {
		g, err := c.opts.Authorize(r)
		switch {
		case err != nil:
			return Grant{}, http.StatusForbidden, err
		case !g.Look && !g.Act:
			return Grant{}, http.StatusForbidden, errors.New("you may not look at the console")
		}
		g.Who = label.Text(g.Who, maxWho)
		return g, 0, nil
	}
	who, trusted := c.trustedPeer(r)
	if trusted {
		return Grant{Who: who, Look: true, Act: true}, 0, nil
	}
	given, byQuery := c.tokenOf(r)
	if given == "" {
		c.logToken("")
		w.Header().Set("WWW-Authenticate", `Bearer realm="protoloop console"`)
		return Grant{}, http.StatusUnauthorized, errors.New("a token is required: open the address with ?token=TOKEN, or send it as a bearer token; it is in the log of the process, or it was set by console.Options.Token")
	}
	if !sameSecret(given, c.token) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="protoloop console", error="invalid_token"`)
		return Grant{}, http.StatusUnauthorized, errors.New("the token is not that of this console")
	}
	if byQuery && r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/") {
		http.SetCookie(w, &http.Cookie{Name: c.cookie(), Value: c.token, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
		q := r.URL.Query()
		q.Del("token")
		to := url.URL{Path: "./" + strings.TrimPrefix(r.URL.Path, "/"), RawQuery: q.Encode()}
		w.Header().Set("Location", to.String()) // not by http.Redirect, which makes it absolute: a prefix may be before it
		return Grant{}, http.StatusSeeOther, nil
	}
	return Grant{Who: who + " with the token", Look: true, Act: true}, 0, nil
}

// trustedPeer says who is at the other end, and whether they need no token: the mode of a Unix
// socket has let them in, or they are on this machine, and no proxy speaks for somebody else.
func (c *Console) trustedPeer(r *http.Request) (who string, trusted bool) {
	proxied := r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("X-Real-Ip") != ""
	ours := isLoopback(hostOf(r.Host)) && !proxied
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local != nil && local.Network() == "unix" {
		if who, _ = r.Context().Value(peerKey{}).(string); who == "" {
			who = "unix socket"
		}
		return who, ours
	}
	local2, ok := local.(*net.TCPAddr)
	return r.RemoteAddr, ours && ok && local2.IP.IsLoopback() && isLoopback(hostOf(r.RemoteAddr)) && c.opts.Token == ""
}

// tokenOf is the token that a request has, and whether it is in its address.
func (c *Console) tokenOf(r *http.Request) (token string, byQuery bool) {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(bearer), false
	}
	if t := r.URL.Query().Get("token"); t != "" {
		return t, true
	}
	if k, err := r.Cookie(c.cookie()); err == nil {
		return k.Value, false
	}
	return "", false
}

// cookie is the name of the cookie: browsers send cookies to all ports of a host, and several
// consoles may be on one.
func (c *Console) cookie() string {
	sum := sha256.Sum256([]byte(c.token))
	return "protoloop_" + hex.EncodeToString(sum[:4])
}

func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// logToken logs the token that was made, once: whoever reads the log may look.
func (c *Console) logToken(where string) {
	if c.opts.Token != "" || c.opts.Authorize != nil {
		return
	}
	c.tokenLogged.Do(func() {
		if where != "" {
			c.log.Info("console: a token is required", "url", where+"?token="+c.token)
			return
		}
		c.log.Info("console: a token is required", "token", c.token)
	})
}

// limiter is a token bucket.
type limiter struct {
	rate, burst float64

	mu   sync.Mutex
	at   time.Time
	left float64
}

func (l *limiter) take(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() {
		l.left = l.burst
	} else {
		l.left = min(l.burst, l.left+l.rate*now.Sub(l.at).Seconds())
	}
	l.at = now
	if l.left < 1 {
		return false
	}
	l.left--
	return true
}
