// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestItemChecked(t *testing.T) {
	for _, tt := range []struct{ key, text, problem string }{
		{"k", " tea ", ""},
		{"k", strings.Repeat("ä", maxText), ""},
		{"k", strings.Repeat("x", maxText+1), "501 characters"},
		{"k", " \n ", "there is none"},
		{"k", "a\x00b", "cannot be shown"},
		{"k", "a\xffb", "cannot be shown"},
		{"", "tea", "key"},
		{strings.Repeat("k", maxKey+1), "tea", "key"},
		{"a\nb", "tea", "key"},
	} {
		i, err := Item{Key: tt.key, Text: tt.text}.checked()
		if tt.problem == "" && (err != nil || i.Text != strings.TrimSpace(tt.text)) {
			t.Errorf("%q, %q: %q, %v", tt.key, tt.text, i.Text, err)
		}
		if tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("%q, %q: %v, want %q", tt.key, tt.text, err, tt.problem)
		}
	}
}

// TestListPages: pages are the newest items first and miss none, whatever was
// removed and came again.
func TestListPages(t *testing.T) {
	l := &list{contents: newContents()}
	seq := uint64(0)
	apply := func(key string, removed bool) bool {
		seq++
		return l.apply(entry{Item: Item{Key: key, Text: key, Seq: seq}, Removed: removed})
	}
	const n = 3*pageSize + 7
	for i := range n {
		if key := fmt.Sprint(i); !apply(key, false) || apply(key, false) {
			t.Fatalf("%s was not added once", key)
		}
	}
	for i := 0; i < n; i += 2 {
		if key := fmt.Sprint(i); !apply(key, true) || apply(key, true) {
			t.Fatalf("%s was not removed once", key)
		}
	}
	if !apply("0", false) { // forgotten, and added again
		t.Error("0 did not come again")
	}
	var got []Item
	for before, older := uint64(0), true; older; {
		p := l.page(before)
		if p.Total != n/2+1 || len(p.Items) > pageSize || len(p.Items) == 0 {
			t.Fatalf("a page of %d items, total %d", len(p.Items), p.Total)
		}
		got = append(got, p.Items...)
		before, older = p.Items[len(p.Items)-1].Seq, p.Older
	}
	if len(got) != n/2+1 || got[0].Key != "0" || got[1].Key != fmt.Sprint(n-2) {
		t.Errorf("%d items, the newest are %v", len(got), got[:2])
	}
	for i := 1; i < len(got); i++ {
		if got[i].Seq >= got[i-1].Seq {
			t.Fatalf("%v comes after %v", got[i], got[i-1])
		}
	}
}

// TestNotUpYet: clients are told to try again while the service starts.
func TestNotUpYet(t *testing.T) {
	h := &health{}
	served := false
	w := httptest.NewRecorder()
	h.whenUp(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })).ServeHTTP(w, httptest.NewRequest("GET", "/socket.io/", nil))
	if served || w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, header %v, served: %v", w.Code, w.Header(), served)
	}
}
