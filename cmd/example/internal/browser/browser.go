// SPDX-License-Identifier: Apache-2.0

// Package browser has a headless Chromium for tests.
package browser

import (
	"context"
	"os/exec"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/protoloop/protoloop/internal/testtools"
)

// Chromium is the path of the browser.
func Chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testtools.Lacking(t, "Chromium", "service-tools")
	return ""
}

// Start starts a browser, with more options if there are any. It ends with the test. Each context that chromedp makes of the one that is
// returned is a tab of its own.
func Start(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(Chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true))
	options = append(options, more...)
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), options...) // t.Context ends before the clean-up
	t.Cleanup(endAlloc)
	ctx, _ := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("end the browser: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // starts it
		t.Fatal(err)
	}
	return ctx
}
