// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestBrowserBehindPrefix has the page behind a proxy that serves it under a
// path, beside other things.
func TestBrowserBehindPrefix(t *testing.T) {
	longBrowser(t)
	t.Parallel()
	browser := newBrowser(t)
	r := newService(t)
	r.start()
	target := &url.URL{Scheme: "http", Host: r.addr}
	mux := http.NewServeMux()
	mux.Handle("/shop/list/", http.StripPrefix("/shop/list", &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host // what the browser calls it, as the origin of its requests does
	}}))
	proxy := httptest.NewServer(mux)
	defer proxy.Close()
	direct := browser.open(t, r.addr)
	page := browser.open(t, strings.TrimPrefix(proxy.URL, "http://")+"/shop/list/")
	page.add(t, "By way of the proxy")
	direct.shows(t, "By way of the proxy")
	direct.add(t, "Directly")
	page.shows(t, "Directly", "By way of the proxy")
	page.fine(t)
	page.Do(t, chromedp.Navigate(proxy.URL+"/shop/list/"))
	page.state(t, "connected")
	page.pictures(t, "prefix-")
	page.Do(t, chromedp.Navigate("about:blank"))
	direct.Do(t, chromedp.Navigate("about:blank"))
	r.stop()
}

// TestBrowserWithoutWebSockets has the page behind a proxy that passes none: it polls.
func TestBrowserWithoutWebSockets(t *testing.T) {
	longBrowser(t)
	t.Parallel()
	browser := newBrowser(t)
	r := newService(t)
	r.start()
	pass := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: r.addr})
		p.Out.Host = p.In.Host
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			http.Error(w, "no WebSockets here", http.StatusNotImplemented)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	page := browser.open(t, strings.TrimPrefix(proxy.URL, "http://"))
	page.add(t, "By polling")
	page.shows(t, "By polling")
	page.Do(t, chromedp.Navigate("about:blank"))
	r.stop()
}
