// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
)

// TestNoOthers: a server that does not become ready, because the others are not there, is given up in time, and then ends.
func TestNoOthers(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir(), Name: "a", Servers: map[string]string{}, StartWithin: 100 * time.Millisecond}
	for _, name := range []string{"a", "b", "c"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		o.Servers[name] = l.Addr().String()
		if name == "a" {
			l.Close()
		}
	}
	_, err := embedded.Start(o)
	if err == nil || !strings.Contains(err.Error(), "more than half") {
		t.Errorf("started without the others: %v", err)
	}
	actortest.Eventually(t, "its folder to be free", func() bool {
		_, err = embedded.Start(o)
		return err != nil && !strings.Contains(err.Error(), "in use")
	})
	if s := fmt.Sprint(err); !strings.Contains(s, "more than half") {
		t.Error(s)
	}
}
