// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/protoloop/protoloop/actortest"
)

// TestBrowserRefused: what the server refuses stays on the page, whatever else is
// typed, until it is tried again or dismissed; by keyboard, too.
func TestBrowserRefused(t *testing.T) {
	longBrowser(t)
	t.Parallel()
	r := newService(t, "-max-items", "1")
	r.start()
	p := newBrowser(t).open(t, r.addr)
	p.add(t, "fills the list")
	p.shows(t, "fills the list")
	r.stop()
	p.state(t, "waiting")
	p.add(t, "first")
	p.add(t, "second")
	p.Do(t, chromedp.SendKeys(chromedp.CSS("#text"), "third"))
	r.start()
	p.outbox(t, "second|Not added: the list is full: remove something first", "first|Not added: the list is full: remove something first")
	if got := p.Eval(t, "document.getElementById('text').value"); got != "third" {
		t.Errorf("the input has %q", got)
	}
	p.Do(t, chromedp.Focus(chromedp.CSS("#text")), chromedp.KeyEvent("\t\t")) // the add button, the first row's
	p.focus(t, "Try again to add second")
	p.Do(t, chromedp.KeyEvent("\r"))
	p.focus(t, "Try again to add first")
	p.outbox(t, "second|Not added: the list is full: remove something first", "first|Not added: the list is full: remove something first")
	p.pictures(t, "refused-")
	p.remove(t, "fills the list")
	p.Until(t, "document.getElementById('total').textContent === '(0)'")
	p.Do(t, chromedp.Focus(chromedp.CSS("#text")), chromedp.KeyEvent("\t\t\r"))
	p.outbox(t, "first|Not added: the list is full: remove something first")
	p.shows(t, "second")
	p.Do(t, chromedp.Focus(chromedp.CSS("#text")), chromedp.KeyEvent("\t\t\t"))
	p.focus(t, "Dismiss first")
	p.Do(t, chromedp.KeyEvent("\r"))
	p.outbox(t)
	p.Until(t, "document.activeElement.id === 'text'")
	p.shows(t, "second")
	p.fine(t)
	r.stop()
}

// TestBrowserAway: an add that was handled while the page was away is not shown
// as on its way when the page is back: not if it was acknowledged, and not if the
// acknowledgement was lost.
func TestBrowserAway(t *testing.T) {
	longBrowser(t)
	t.Parallel()
	r := newService(t)
	r.env = []string{"PROTOLOOP_TEST_SLOW=3s"} // so that the page leaves before it hears of its item
	r.start()
	p := newBrowser(t).open(t, r.addr)
	other, err := dial(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	for _, acknowledged := range []bool{true, false} {
		p.add(t, "mine")
		if acknowledged {
			p.outbox(t, "mine|queued")
		}
		p.Eval(t, "socket.disconnect(); ''")
		key := p.Eval(t, "[...outbox.keys()][0]")
		if !acknowledged { // perhaps it has not even left the page
			if err := other.call(t.Context(), "add", map[string]string{"key": key, "text": "mine"}, &struct{}{}); err != nil {
				t.Fatal(err)
			}
			p.Eval(t, "outbox.values().next().value.state = 'sending'")
		}
		actortest.Eventually(t, "the item", func() bool { items, _ := shown(t, r.addr); return len(items) == 1 && items[0].Key == key })
		var got struct{ Removed bool }
		if err := other.call(t.Context(), "item_removed", map[string]string{"key": key}, &got); err != nil || !got.Removed {
			t.Fatal(err, got)
		}
		p.Eval(t, "socket.connect(); ''")
		p.state(t, "connected")
		p.outbox(t)
		p.shows(t)
	}
	// What was not handled yet is shown when it is.
	p.add(t, "later")
	p.outbox(t, "later|queued")
	p.Eval(t, "socket.disconnect().connect(); ''")
	p.shows(t, "later")
	p.outbox(t)
	p.fine(t)
	r.stop()
}

// outbox waits until what is not in the list yet is exactly that, each with its
// note.
func (p *tab) outbox(t *testing.T, rows ...string) {
	t.Helper()
	want := ""
	for _, row := range rows {
		want += row + "\n"
	}
	p.Until(t, fmt.Sprintf(`[...document.querySelectorAll("#outbox li")].map((r) => r.querySelector("span").textContent + "|" + r.querySelector("small").textContent + "\n").join("") === %q
		&& outbox.size === %d`, want, len(rows)))
}

// focus waits until the focus is on what has that label.
func (p *tab) focus(t *testing.T, label string) {
	t.Helper()
	p.Until(t, fmt.Sprintf("document.activeElement.getAttribute('aria-label') === %q", label))
}
