// SPDX-License-Identifier: Apache-2.0

// Package pages_test looks at the pages of package console in a browser. It is in this module since the root
// module has no driver of browsers.
package pages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/cmd/example/internal/browser"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// serve has a console of a system, and returns its address.
func serve(t *testing.T, sys *actor.ActorSystem, o console.Options) string {
	t.Helper()
	o.Addr = "127.0.0.1:0"
	c, err := console.New(sys, o)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := actors.Spawn(context.Background(), sys.Root, "console", c.Setup, actors.Options{Kind: "console"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := actors.Stop(context.Background(), sys.Root, pid, actors.Forever); err != nil {
			t.Error(err)
		}
	})
	return c.URL()
}

// tab is a page in a browser.
type tab struct{ *browser.Tab }

// watch is run before the page's own scripts: it keeps what goes wrong.
const watch = `window.problems = [];
	addEventListener("error", (e) => problems.push(e.message));
	addEventListener("unhandledrejection", (e) => problems.push(String(e.reason)));
	new MutationObserver((_, o) => {
		if (!document.body?.dataset.painted) return;
		o.disconnect();
		requestAnimationFrame(() => setTimeout(() => { window.paintedAfter = performance.now(); }));
	}).observe(document, { subtree: true, childList: true, attributes: true });
	addEventListener("securitypolicyviolation", (e) => problems.push(e.violatedDirective + " " + e.blockedURI + " " + e.sample));`

// open opens a page; it ends with the test. It checks in the end that nothing went wrong in it, the
// policy for content included.
func open(t *testing.T, in context.Context) *tab {
	t.Helper()
	p := &tab{browser.Open(t, in)}
	if _, err := chromedp.Call(p.Context, cdp.AddScriptToEvaluateOnNewDocument, cdp.AddScriptToEvaluateOnNewDocumentParams{Source: watch}); err != nil {
		t.Fatal(err)
	}
	p.Look(t, "light", 1200, 800, 1)
	t.Cleanup(func() { p.fine(t) })
	return p
}

// fine checks that nothing has gone wrong in the page that is shown.
func (p *tab) fine(t *testing.T) {
	t.Helper()
	if got := p.Eval(t, "(window.problems ?? []).join('; ')"); got != "" {
		t.Errorf("the page has thrown, or its policy was violated: %s", got)
	}
}

// goTo shows a page, and waits until it is painted.
func (p *tab) goTo(t *testing.T, url string) {
	t.Helper()
	p.fine(t)
	p.Do(t, chromedp.Navigate(url))
	p.Until(t, "document.body.dataset.painted")
}

// await is what a promise of a string comes to.
func (p *tab) await(t *testing.T, expression string) string {
	t.Helper()
	p.Eval(t, `window.came = ""; (`+expression+`).then((s) => { window.came = s; }, (e) => { window.came = String(e); }); ""`)
	p.Until(t, "window.came")
	return p.Eval(t, "window.came")
}

// next waits until the page shows what was seen after this moment.
func (p *tab) next(t *testing.T) {
	t.Helper()
	p.Until(t, `(() => {
		const seq = Number(document.body.dataset.painted.split(" ")[1]);
		window.nextSeq ??= seq + 2;
		const is = seq >= nextSeq;
		if (is) delete window.nextSeq;
		return is;
	})()`)
}

// paintedAfter is how long after its begin the page has shown what there is.
func (p *tab) paintedAfter(t *testing.T) time.Duration {
	t.Helper()
	p.Until(t, "window.paintedAfter") // the text is there before it is painted
	ms, err := strconv.ParseFloat(p.Eval(t, "String(window.paintedAfter)"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// says waits until the page shows a text.
func (p *tab) says(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		p.Until(t, fmt.Sprintf("document.body.innerText.includes(%q)", text))
	}
}

// press presses a button by what is on it, within the elements that selector names.
func (p *tab) press(t *testing.T, selector, label string) {
	t.Helper()
	p.Until(t, fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => {
		const b = [...e.querySelectorAll("button")].find((b) => b.textContent === %q);
		b?.click();
		return b;
	})`, selector, label))
}

// examine takes pictures of the page if they are asked for, and has axe-core look at it, in both color schemes and on a
// phone, where nothing may stick out.
func (p *tab) examine(t *testing.T, name string) {
	t.Helper()
	for _, o := range []struct {
		name, scheme  string
		width, height int64
	}{{"light", "light", 1200, 800}, {"dark", "dark", 1200, 800}, {"phone", "light", 360, 740}} {
		p.Look(t, o.scheme, o.width, o.height, 1)
		p.Picture(t, name+"-"+o.name)
		if out := p.Eval(t, `String(document.documentElement.scrollWidth - innerWidth)`); out != "0" {
			t.Errorf("%s, %s: it is %s pixels too wide: %s", name, o.name, out, p.Eval(t, `[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll")).map((e) => e.outerHTML.slice(0, 80)).slice(0, 5).join(" ")`))
		}
		p.rows(t, name)
		p.axe(t, name+", "+o.name)
	}
	p.Look(t, "light", 1200, 800, 1)
}

// rows checks that a page has no more than it may.
func (p *tab) rows(t *testing.T, name string) {
	t.Helper()
	n, err := strconv.Atoi(p.Eval(t, `String(document.querySelectorAll("tbody tr, .tree .row, .stacks > .row").length)`))
	if err != nil || n > 200 {
		t.Errorf("%s has %d rows, %v", name, n, err)
	}
}

// axe checks that axe-core finds nothing in the page. Its script comes from the browser's side of the policy: the page
// itself could not load it.
func (p *tab) axe(t *testing.T, name string) {
	t.Helper()
	dir, err := testtools.Dir()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(dir, "axe", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		testtools.Lacking(t, "axe-core", "service-tools")
	}
	p.Eval(t, string(source)+`; window.axeDone = ""; axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) => {
		window.axeDone = JSON.stringify(r.violations.map((v) => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | ")));
	}, (e) => { window.axeDone = JSON.stringify(["axe failed: " + e]); }); ""`)
	p.Until(t, "window.axeDone")
	var violations []string
	if err := json.Unmarshal([]byte(p.Eval(t, "window.axeDone")), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Errorf("%s: %s", name, strings.ReplaceAll(v, "\n", " "))
	}
}

func newBrowser(t *testing.T) context.Context { return browser.Start(t) }
