// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os/exec"
	"testing"
	"time"
)

// TestPython: the client of the world that the service replaces hears what is
// added, and can add and remove, by each transport.
func TestPython(t *testing.T) {
	t.Parallel()
	path := python(t)
	r := newService(t)
	r.start()
	c, err := dial(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, transports := range []string{"polling", "websocket", "polling,websocket"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, "testdata/client.py", "http://"+r.addr, transports)
		var out, stderr output
		cmd.Stdout, cmd.Stderr = &out, &stderr
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if !out.await(ctx, "watching\n") {
			t.Errorf("%s: it has not connected: %s", transports, stderr.String())
		}
		key := "key " + transports
		if err := c.call(ctx, "add", map[string]string{"key": key, "text": "for Python"}, &struct{}{}); err != nil {
			t.Error(err)
		}
		if _, err := io.WriteString(in, key+"\n"); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", transports, err, stderr.String())
		}
		if got, want := out.String(), "watching\nheard for Python\nadded from Python\nremoved\n"; got != want {
			t.Errorf("%s: it printed %q, want %q; %s", transports, got, want, stderr.String())
		}
	}
	if items, total := shown(t, r.addr); total != 3 || len(items) != 3 || items[0].Text != "from Python" {
		t.Errorf("the list is %v", items)
	}
	r.stop()
}
