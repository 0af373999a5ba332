package engineio

import (
	"net/http"
	"net/url"
	"path"
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

// inAllowList matches as the WebSocket library does: the pattern of path.Match
// against the host, or against scheme://host if it has a scheme.
func (s *Server) inAllowList(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	for _, pattern := range s.opts.AllowedOrigins {
		target := u.Host
		if strings.Contains(pattern, "://") {
			target = u.Scheme + "://" + u.Host
		}
		if pattern == "*" {
			return true
		}
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(target)); ok && u.Host != "" {
			return true
		}
	}
	return false
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
