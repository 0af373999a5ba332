// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// originAllowed reports whether a request may come from the page it says it
// comes from. Without an Origin it is none of a browser's cross-origin ones.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || sameOrigin(r, origin) || s.inAllowList(origin)
}

func sameOrigin(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// inAllowList reports whether one of the patterns is the origin's.
func (s *Server) inAllowList(origin string) bool {
	for _, p := range s.origins {
		if p.matches(origin) {
			return true
		}
	}
	return false
}

// OriginPattern is an entry of the allow list.
type OriginPattern struct {
	any    bool   // "*"
	scheme string // "": any
	host   string // with the port; as a pattern of path.Match
	exact  string // an origin without a host: "null", "file://"
}

// ParseOrigin reads an entry of the allow list. The error says why no origin
// that a browser sends can match it.
func ParseOrigin(text string) (p OriginPattern, err error) {
	if text == "*" {
		return OriginPattern{any: true}, nil
	}
	text = strings.ToLower(text)
	scheme, host, hasScheme := strings.Cut(text, "://")
	switch {
	case text == "null", hasScheme && host == "" && schemeForm.MatchString(scheme):
		return OriginPattern{exact: text}, nil
	case !hasScheme:
		scheme, host = "", text
	case !schemeForm.MatchString(scheme):
		return p, fmt.Errorf("%q is no scheme", scheme)
	}
	switch i := strings.IndexFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f }); {
	case host == "":
		return p, errors.New("it is empty")
	case strings.ContainsAny(host, "/\\?#@"):
		return p, errors.New("an origin is a scheme, a host and a port, without a slash, path or user; the one wildcard is *")
	case i >= 0:
		return p, errors.New("it has a space or a letter that browsers do not send: write the host as xn--…")
	case !hostForm.MatchString(host):
		return p, fmt.Errorf("%q is no host, or host and port", host)
	}
	host = withoutDefaultPort(scheme, host)
	return OriginPattern{scheme: scheme, host: bracketsAsTheyAre.Replace(host)}, nil
}

// What a scheme and a host look like, in lower case; the host may have * in it,
// or be an IPv6 address in brackets.
var (
	schemeForm = regexp.MustCompile(`^[a-z*][a-z0-9+.*-]*$`)
	hostForm   = regexp.MustCompile(`^([a-z0-9._*-]+|\[[0-9a-f:.]+\])(:[0-9*]+)?$`)
)

// bracketsAsTheyAre is for path.Match, to which they are a class.
var bracketsAsTheyAre = strings.NewReplacer("[", `\[`, "]", `\]`)

// withoutDefaultPort is the host as browsers send it.
func withoutDefaultPort(scheme, host string) string {
	switch scheme {
	case "http", "ws":
		return strings.TrimSuffix(host, ":80")
	case "https", "wss":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

func (p OriginPattern) matches(origin string) bool {
	if p.any {
		return true
	}
	origin = strings.ToLower(origin)
	if p.exact != "" {
		return origin == p.exact
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if p.scheme != "" {
		if ok, _ := path.Match(p.scheme, u.Scheme); !ok {
			return false
		}
	}
	ok, _ := path.Match(p.host, u.Host)
	return ok
}

// Everybody reports whether it is the origin of pages that anybody can make.
func (p OriginPattern) Everybody() bool {
	name, _, _ := strings.Cut(p.host, ":")
	return p.any || p.exact == "" && strings.Trim(name, "*.") == ""
}

// allowOrigin sets the CORS headers of a request that has been allowed.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || sameOrigin(r, origin) {
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	if s.opts.AllowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers the OPTIONS request of a browser.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" {
		h.Set("Access-Control-Allow-Headers", wanted)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	w.WriteHeader(http.StatusNoContent)
}
