// SPDX-License-Identifier: Apache-2.0

package service

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// TestOlderItemsInOrder: a client that asks for older items gets them before it
// is told of a removal of one of them, though its session has not had a turn in
// between.
func TestOlderItemsInOrder(t *testing.T) {
	s := running(t)
	s.has(t, 3)
	began, free := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(free) })
	defer release()
	socketio.On(s.io, "busy", func(*actors.Task, *socketio.Socket, struct{}) error {
		close(began)
		<-free
		return nil
	})
	server := httptest.NewServer(s.io)
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	write := func(packet string) {
		t.Helper()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(packet)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(begins string) string {
		t.Helper()
		_, packet, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(packet), begins) {
			t.Fatalf("got %s, want what begins with %s", packet, begins)
		}
		return string(packet)
	}
	read("0")
	write("40")
	read("40")
	read(`42["items",`)

	asked := make(chan struct{})
	actors.Submit(s.system.Root, s.child(listName), func(*actors.Task) (struct{}, error) {
		<-asked
		return struct{}{}, nil
	})
	write(`421["items",{"before":3}]`)
	write(`42["busy",{}]`)
	<-began // so it has asked the list, and cannot go on
	close(asked)
	if was, err := s.removes("k0").Wait(t.Context()); !was || err != nil {
		t.Fatal(was, err)
	}
	page := read(`42["older_items",{`)
	if !strings.Contains(page, `"k0"`) || !strings.Contains(page, `"before":3`) || strings.Contains(page, `"k2"`) {
		t.Errorf("the page is %s", page)
	}
	if p := read(""); p != `42["item_removed",{"key":"k0"}]` {
		t.Errorf("then came %s", p)
	}
	release()
	if p := read(""); p != `431[]` {
		t.Errorf("then came %s", p)
	}
}
