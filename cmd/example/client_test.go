// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/cmd/example/internal/service"
)

// client is a Socket.IO client over WebSocket, as much of one as the tests need.
type client struct {
	conn *websocket.Conn
	// heard is called with each event, on one goroutine.
	heard func(event string, body json.RawMessage)
	ended chan struct{} // closed when the connection is

	mu   sync.Mutex
	next int
	acks map[string]chan json.RawMessage
}

var errCut = errors.New("the connection is gone")

// dial connects to the service on addr and returns when the server has said
// that it is connected.
func dial(ctx context.Context, addr string, heard func(event string, body json.RawMessage)) (*client, error) {
	conn, resp, err := websocket.Dial(ctx, "ws://"+addr+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	conn.SetReadLimit(16 << 20)
	c := &client{conn: conn, heard: heard, ended: make(chan struct{}), acks: map[string]chan json.RawMessage{}}
	for i, begins := range []string{"0", "40"} {
		if i == 1 {
			if err := conn.Write(ctx, websocket.MessageText, []byte("40")); err != nil {
				return nil, err
			}
		}
		_, packet, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(string(packet), begins) {
			conn.CloseNow()
			return nil, fmt.Errorf("got packet %q, want one that begins with %q", packet, begins)
		}
	}
	go c.read()
	return c, nil
}

func (c *client) close() { c.conn.CloseNow(); <-c.ended }

func (c *client) read() {
	defer close(c.ended)
	defer c.conn.CloseNow()
	for {
		_, packet, err := c.conn.Read(context.Background())
		if err != nil {
			return
		}
		switch p := string(packet); {
		case p == "2": // ping
			if c.conn.Write(context.Background(), websocket.MessageText, []byte("3")) != nil {
				return
			}
		case strings.HasPrefix(p, "42"):
			var event []json.RawMessage
			var name string
			if json.Unmarshal(packet[2:], &event) != nil || len(event) == 0 || json.Unmarshal(event[0], &name) != nil {
				return
			}
			event = append(event, nil)
			if c.heard != nil {
				c.heard(name, event[1])
			}
		case strings.HasPrefix(p, "43"):
			id, args, _ := strings.Cut(p[2:], "[")
			c.mu.Lock()
			answer := c.acks[id]
			delete(c.acks, id)
			c.mu.Unlock()
			if answer != nil {
				answer <- json.RawMessage(strings.TrimSuffix(args, "]"))
			}
		case p == "1" || p == "41": // closed by the server
			return
		}
	}
}

// call emits an event, waits for its acknowledgement and decodes it to out. An
// error that the server has answered with is a refusal.
func (c *client) call(ctx context.Context, event string, arg, out any) error {
	body, err := json.Marshal([]any{event, arg})
	if err != nil {
		return err
	}
	answer := make(chan json.RawMessage, 1)
	c.mu.Lock()
	c.next++
	id := strconv.Itoa(c.next)
	c.acks[id] = answer
	c.mu.Unlock()
	if err := c.conn.Write(ctx, websocket.MessageText, append([]byte("42"+id), body...)); err != nil {
		return errCut
	}
	select {
	case got := <-answer:
		var no struct{ Error *refusal }
		if json.Unmarshal(got, &no) == nil && no.Error != nil {
			return no.Error
		}
		if len(got) == 0 { // done, and nothing to tell
			return nil
		}
		return json.Unmarshal(got, out)
	case <-c.ended:
		return errCut
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refusal is an error in an acknowledgement.
type refusal struct {
	Message string
	Data    struct{ Retry bool }
}

func (r *refusal) Error() string { return r.Message }

// shown returns what a fresh client is shown: the page that comes by itself,
// and the older ones it asks for.
func shown(t *testing.T, addr string) (items []service.Item, total int) {
	t.Helper()
	pages := make(chan service.Page, 1)
	c, err := dial(t.Context(), addr, func(event string, body json.RawMessage) {
		var p service.Page
		if (event == "items" || event == "older_items") && json.Unmarshal(body, &p) == nil {
			pages <- p
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	page := <-pages
	items, total = page.Items, page.Total
	for page.Older {
		before := page.Items[len(page.Items)-1].Seq
		if err := c.call(t.Context(), "items", map[string]uint64{"before": before}, nil); err != nil {
			t.Fatal(err)
		}
		page = <-pages // which has come before the acknowledgement
		items = append(items, page.Items...)
	}
	return items, total
}
