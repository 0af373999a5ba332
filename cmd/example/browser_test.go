// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	chromium "github.com/protoloop/protoloop/cmd/example/internal/browser"
)

// longBrowser leaves the rarer ways of the page to the long tests: each takes a service
// and a browser of its own.
func longBrowser(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: TestBrowser has the page's main way")
	}
}

// TestBrowser has two pages open: what one does the other shows, and both come
// back by themselves when the server was stopped or killed.
func TestBrowser(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	r := newService(t)
	r.start()
	one, two := browser.open(t, r.addr), browser.open(t, r.addr)

	one.add(t, "Tea from Assam")
	two.shows(t, "Tea from Assam")
	two.add(t, "Bread <b>with</b> seeds & salt")
	one.shows(t, "Bread <b>with</b> seeds & salt", "Tea from Assam")
	one.add(t, "Pears, four or five")
	two.shows(t, "Pears, four or five", "Bread <b>with</b> seeds & salt", "Tea from Assam")
	two.remove(t, "Tea from Assam")
	one.shows(t, "Pears, four or five", "Bread <b>with</b> seeds & salt")

	r.stop()
	one.state(t, "waiting")
	one.add(t, "Typed while the server was away") // it waits in the page
	two.state(t, "waiting")
	r.start()
	for _, p := range []*tab{one, two} {
		p.state(t, "connected")
		p.shows(t, "Typed while the server was away", "Pears, four or five", "Bread <b>with</b> seeds & salt")
	}
	r.kill()
	two.state(t, "waiting")
	r.start()
	c, err := dial(t.Context(), r.addr, nil) // perhaps before the pages are back
	if err != nil {
		t.Fatal(err)
	}
	if err := c.call(t.Context(), "add", map[string]string{"text": "Added by another client"}, &struct{}{}); err != nil {
		t.Error(err)
	}
	c.close()
	for _, p := range []*tab{one, two} {
		p.state(t, "connected")
		p.shows(t, "Added by another client", "Typed while the server was away", "Pears, four or five", "Bread <b>with</b> seeds & salt")
	}
	one.byKeyboard(t)
	two.shows(t, "By keyboard", "Typed while the server was away", "Pears, four or five", "Bread <b>with</b> seeds & salt")
	one.wrong(t)
	for _, p := range []*tab{one, two} {
		p.fine(t)
	}
	one.Do(t, chromedp.Navigate("http://"+r.addr))
	one.state(t, "connected")
	one.Until(t, "document.querySelectorAll('#list li').length > 0")
	one.pictures(t, "")
	r.stop()
}

// browser is a headless Chromium.
type browser struct{ ctx context.Context }

func newBrowser(t *testing.T, more ...chromedp.ExecAllocatorOption) browser {
	return browser{chromium.Start(t, more...)}
}

// tab is a page in it.
type tab struct {
	*chromium.Tab
	addr string
}

func (b browser) open(t *testing.T, addr string) *tab {
	t.Helper()
	p := &tab{chromium.Open(t, b.ctx), addr}
	p.Text = `document.body.innerText + " input: " + document.getElementById("text").value + " focus: " + document.activeElement.outerHTML.slice(0, 200)`
	p.Do(t, chromedp.EmulateViewport(800, 700), chromedp.Navigate("http://"+addr))
	p.Eval(t, `window.problems = []; addEventListener("error", (e) => problems.push(e.message));
		addEventListener("securitypolicyviolation", (e) => problems.push(e.violatedDirective)); ""`)
	p.state(t, "connected")
	return p
}

// fine checks that nothing has gone wrong in the page.
func (p *tab) fine(t *testing.T) {
	t.Helper()
	if got := p.Eval(t, "window.problems.join('; ')"); got != "" {
		t.Errorf("the page has thrown: %s", got)
	}
}

func (p *tab) state(t *testing.T, want string) {
	t.Helper()
	p.Until(t, fmt.Sprintf("document.getElementById('state').dataset.state === %q", want))
}

// shows waits until the list is exactly that, all of it confirmed.
func (p *tab) shows(t *testing.T, texts ...string) {
	t.Helper()
	want, err := json.Marshal(append([]string{}, texts...))
	if err != nil {
		t.Fatal(err)
	}
	p.Until(t, fmt.Sprintf(`JSON.stringify([...document.querySelectorAll("#list li:not(.waiting) span")].map((s) => s.textContent)) === JSON.stringify(%s)
		&& !document.querySelector("li.waiting") && document.getElementById("total").textContent === "(%d)"`, want, len(texts)))
}

func (p *tab) add(t *testing.T, text string) {
	t.Helper()
	p.Do(t, chromedp.SendKeys(chromedp.CSS("#text"), text), chromedp.Click(chromedp.CSS("#add button")))
}

func (p *tab) remove(t *testing.T, text string) {
	t.Helper()
	p.Do(t, chromedp.Click(chromedp.CSS(fmt.Sprintf(`button[aria-label=%q]`, "Remove "+text))))
}

// byKeyboard adds with Enter, goes to the second item with Tab and removes it;
// the focus stays in the list.
func (p *tab) byKeyboard(t *testing.T) {
	t.Helper()
	p.Do(t, chromedp.Focus(chromedp.CSS("#text")), chromedp.KeyEvent("By keyboard\r"))
	p.shows(t, "By keyboard", "Added by another client", "Typed while the server was away", "Pears, four or five", "Bread <b>with</b> seeds & salt")
	p.Do(t, chromedp.KeyEvent("\t\t\t")) // the add button, two remove buttons
	if got := p.Eval(t, "document.activeElement.getAttribute('aria-label')"); got != "Remove Added by another client" {
		t.Fatalf("the focus is on %q", got)
	}
	p.Do(t, chromedp.KeyEvent("\r"))
	p.Until(t, "document.activeElement.getAttribute('aria-label') === 'Remove Typed while the server was away'")
}

// wrong adds what the server refuses: the page says why, and keeps the text.
func (p *tab) wrong(t *testing.T) {
	t.Helper()
	p.Eval(t, "document.getElementById('text').value = 'a\\u0085b'")
	p.Do(t, chromedp.Click(chromedp.CSS("#add button")))
	p.outbox(t, "a\u0085b|Not added: text: it has characters that cannot be shown")
}

// pictures takes the page on a phone and a desk, in both color schemes, if it is
// asked for. Their names begin with prefix.
func (p *tab) pictures(t *testing.T, prefix string) {
	t.Helper()
	if !chromium.WantsPictures() {
		return
	}
	for name, size := range map[string][2]int64{"phone": {390, 700}, "desktop": {900, 600}} {
		for _, scheme := range []string{"light", "dark"} {
			p.Look(t, scheme, size[0], size[1], 2)
			p.Picture(t, prefix+name+"-"+scheme)
		}
	}
}
