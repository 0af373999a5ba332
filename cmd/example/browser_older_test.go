// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/protoloop/protoloop/actortest"
)

// TestBrowserOlder: the page shows older items when it is asked to, keeps them
// when others come, and has its own add once, wherever it stands.
func TestBrowserOlder(t *testing.T) {
	longBrowser(t)
	t.Parallel()
	r := newService(t)
	r.start()
	p := newBrowser(t).open(t, r.addr)
	// An add whose acknowledgement, and more, the page has missed, or which was lost.
	p.Eval(t, "document.getElementById('text').value = 'mine'; document.getElementById('add').requestSubmit(); socket.disconnect(); ''")
	key := p.Eval(t, "[...outbox.keys()][0]")
	other, err := dial(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	add := func(item map[string]string) {
		if err := other.call(t.Context(), "add", item, &struct{}{}); err != nil {
			t.Error(err)
		}
	}
	total := func(n int) {
		t.Helper()
		actortest.Eventually(t, "all", func() bool { _, total := shown(t, r.addr); return total == n })
	}
	add(map[string]string{"key": key, "text": "mine"})
	total(1)
	const others = 1300
	var adds sync.WaitGroup
	for i := range 10 {
		adds.Go(func() {
			for j := range others / 10 {
				add(map[string]string{"text": fmt.Sprint("other ", i, "-", j)})
			}
		})
	}
	adds.Wait()
	total(1 + others)
	p.Eval(t, "document.getElementById('older').click(); ''")
	p.Until(t, "document.getElementById('problem').textContent.includes('Not connected')")
	p.Eval(t, "socket.connect(); ''")
	p.Until(t, "rows.size === 500")
	p.outbox(t) // though the item is not among those that are shown
	for _, n := range []int{1000, 1 + others} {
		p.Do(t, chromedp.Click(chromedp.CSS("#older")))
		p.Until(t, fmt.Sprintf("rows.size === %d", n))
	}
	p.outbox(t)
	const last = "document.querySelector('#list li:last-child span').textContent"
	p.Until(t, "document.getElementById('older').hidden && "+last+" === 'mine'")
	add(map[string]string{"text": "one more"})
	p.Until(t, fmt.Sprintf("rows.size === %d && %s === 'mine'", 2+others, last))

	// What streams in is bounded, in the order of the list, and the rest can be asked for.
	p.Eval(t, "for (let i = 1; i <= 1400; i++) socket.listeners('item_added')[0]({key: 'made-' + i, text: 'made', seq: 1e6 + i}); ''")
	p.Until(t, fmt.Sprintf(`rows.size === %d && !document.getElementById('older').hidden
		&& oldest === Number(document.querySelector('#list li:last-child').dataset.seq)
		&& [...document.querySelectorAll('#list li')].every((r, i, all) => i === 0 || Number(r.dataset.seq) < Number(all[i - 1].dataset.seq))`, 1+others+1000))
	p.Do(t, chromedp.Click(chromedp.CSS("#older")))
	p.Until(t, last+" === 'mine' && document.querySelectorAll('#list li').length === rows.size")

	// A row that the server does not have goes when it is to be removed.
	p.remove(t, "made")
	p.Until(t, "!rows.has('made-1400')")
	p.Until(t, "document.getElementById('problem').hidden")
	p.fine(t)
	r.stop()
}
