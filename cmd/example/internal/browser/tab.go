// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// screenshotsVariable is a folder for pictures of the pages.
const screenshotsVariable = "PROTOLOOP_TEST_SCREENSHOTS"

// giveUp is when something will not come any more. It is only ever waited for when a test fails, and so may be right for a
// machine that is far slower than others.
const giveUp = 5 * time.Minute

// Tab is a page in a browser.
type Tab struct {
	Context context.Context
	// Text is an expression of what the page shows, for the message of a failure.
	Text string
}

// Open opens a tab in the browser, or in another one of a new context, that ends with the test.
func Open(t *testing.T, in context.Context) *Tab {
	t.Helper()
	ctx, end := chromedp.NewContext(in)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as the context of its first call
		t.Fatal(err)
	}
	return &Tab{Context: ctx, Text: "document.title + '\\n' + document.body.innerText + '\\n' + (window.problems ?? []).join('\\n')"}
}

// Do does steps, one after another.
func (p *Tab) Do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.Context, giveUp)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%v; the page has %s", err, p.text())
	}
}

// Eval is the value of an expression that is a string.
func (p *Tab) Eval(t *testing.T, expression string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.Context, giveUp)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		t.Fatalf("%s: %v; the page has %s", expression, err, p.text())
	}
	return s
}

// Until waits until an expression is true.
func (p *Tab) Until(t *testing.T, expression string) {
	t.Helper()
	p.Do(t, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(giveUp)))
}

// text is what the page shows.
func (p *Tab) text() string {
	ctx, cancel := context.WithTimeout(p.Context, time.Minute)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](p.Text))
	if err != nil {
		return err.Error()
	}
	return s
}

// Look has the page in a color scheme and of a size, with so many dots for each of its pixels.
func (p *Tab) Look(t *testing.T, scheme string, width, height int64, scale float64) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}
	if _, err := chromedp.Call(p.Context, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	p.Do(t, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(scale)))
}

// WantsPictures reports whether somebody wants to look at the pages.
func WantsPictures() bool { return os.Getenv(screenshotsVariable) != "" }

// Picture takes one of the page, for somebody to look at, if the variable PROTOLOOP_TEST_SCREENSHOTS names a folder.
func (p *Tab) Picture(t *testing.T, name string) {
	t.Helper()
	if !WantsPictures() {
		return
	}
	png, err := chromedp.Run(p.Context, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Getenv(screenshotsVariable), name+".png"), png, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
