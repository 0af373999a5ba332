// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/protoloop/protoloop/actortest"
)

// TestServeCloud runs the service on a queue of gocloud.dev. The list is on disk
// as ever.
func TestServeCloud(t *testing.T) {
	t.Parallel()
	r := newService(t, "-queue", "mem://items", "-dead-letters", "mem://dead")
	r.start()
	c, err := dial(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, key := range []string{"a", "b", "a"} {
		if err := c.call(t.Context(), "add", map[string]string{"key": key, "text": key}, &struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	actortest.Eventually(t, "three messages", func() bool { return r.consumed().Acked == 3 })
	// The driver promises no order.
	if items, total := shown(t, r.addr); total != 2 || len(items) != 2 || items[0].Key == items[1].Key {
		t.Errorf("the list is %v", items)
	}
	r.stop()
	r.start()
	if items, _ := shown(t, r.addr); len(items) != 2 {
		t.Errorf("after a restart the list is %v", items)
	}
	r.stop()
	wrong := newProcess(t, "-addr", "127.0.0.1:0", "-data", t.TempDir(), "-queue", "mem://items?nonsense=1")
	if err := wrong.Start(); err != nil {
		t.Fatal(err)
	}
	if err := wrong.Wait(); err == nil || !strings.Contains(wrong.err.String(), `invalid query parameter "nonsense"`) {
		t.Errorf("a wrong URL: %v, %s", err, wrong.err.String())
	}
}
