// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// add has each item accepted: it is sent again, with its key, until then.
func (tr *trial) add(t *testing.T, todo <-chan int) {
	var c *client
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for n := range todo {
		item := map[string]string{"key": fmt.Sprintf("item-%d", n), "text": fmt.Sprintf("Number %d", n)}
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			if c == nil {
				c, _ = dial(ctx, tr.addr, nil)
			}
			err := errCut
			if c != nil {
				var got struct{ Key string }
				err = c.call(ctx, "add", item, &got)
			}
			cancel()
			if err == nil {
				break
			}
			if no, ok := errors.AsType[*refusal](err); ok && !no.Data.Retry {
				t.Errorf("%s was refused: %v", item["key"], err)
				return
			} else if !ok && c != nil {
				c.close()
				c = nil
			}
			if !tr.again(t.Context()) {
				return
			}
		}
		tr.accept(item["key"])
	}
}

// again waits until the service can be used, and reports whether it is to be.
func (tr *trial) again(ctx context.Context) bool {
	tr.mu.Lock()
	up := tr.up
	tr.mu.Unlock()
	select {
	case <-up:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// remove removes each tenth item that it is told of.
func (tr *trial) remove(ctx context.Context, seen chan string) {
	for ctx.Err() == nil {
		c, err := dial(ctx, tr.addr, func(event string, body json.RawMessage) {
			var i struct{ Key string }
			if event == "item_added" && json.Unmarshal(body, &i) == nil && strings.HasSuffix(i.Key, "7") {
				seen <- i.Key
			}
		})
		if err != nil {
			tr.again(ctx)
			continue
		}
		tr.removeBy(ctx, c, seen)
		c.close()
	}
}

// removeBy removes until the connection is gone.
func (tr *trial) removeBy(ctx context.Context, c *client, seen chan string) {
	for {
		select {
		case key := <-seen:
			// Not with ctx: a removal that has begun is seen through. One that was
			// not there was removed before, and the answer was lost.
			var got struct{ Removed bool }
			if err := c.call(context.WithoutCancel(ctx), "item_removed", map[string]string{"key": key}, &got); err != nil {
				seen <- key
				return
			}
			tr.mu.Lock()
			tr.keys[key] = true
			tr.mu.Unlock()
		case <-c.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}
