// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
)

// filled is a folder of a queue with n messages, and that of its stream therein.
func filled(t *testing.T, n int) (dir, stream string) {
	t.Helper()
	dir = t.TempDir()
	srv, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	ms := make([]consumer.Message, n)
	for i := range ms {
		ms[i].Body = fmt.Append(nil, "message ", i)
	}
	if err := q.Send(t.Context(), ms...); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, "jetstream", "$G", "streams", "ITEMS")
}

// TestServerNeedsAFolder: a start without one fails.
func TestServerNeedsAFolder(t *testing.T) {
	if _, err := embedded.Start(embedded.Options{}); err == nil {
		t.Error("a server without a folder has started")
	}
	if _, err := embedded.Start(embedded.Options{Dir: "/dev/null/x"}); err == nil {
		t.Error("a server has started where no folder can be")
	}
}

// TestServerTellsOfDamage: what the server finds wrong with its files is logged.
func TestServerTellsOfDamage(t *testing.T) {
	dir, stream := filled(t, 50)
	block := filepath.Join(stream, "msgs", "1.blk")
	info, err := os.Stat(block)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(block, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	srv, err := embedded.Start(embedded.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	srv.Shutdown()
	if s := log.String(); !strings.Contains(s, "level=WARN") || !strings.Contains(s, "ITEMS") || !strings.Contains(s, dir) {
		t.Errorf("logged of a file that has lost its half: %q", s)
	}
}

// TestServerCannotUseItsFolder is told at once, and why.
func TestServerCannotUseItsFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nothing of the first is in the way of the second
		began := time.Now()
		_, err := embedded.Start(embedded.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("start where a file is in the way: %v", err)
		}
		if d := time.Since(began); d > 15*time.Second {
			t.Errorf("it took %v", d)
		}
	}
}
