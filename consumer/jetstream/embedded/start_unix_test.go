// SPDX-License-Identifier: Apache-2.0

//go:build unix

package embedded_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
)

// TestOneServerOnAFolder: two on the same files would destroy them, so a folder is refused
// from the start of a server until it has shut down, under whatever name.
func TestOneServerOnAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	first, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(beside string) {
		t.Helper()
		for _, d := range []string{dir, dir + "/.", link} {
			srv, err := embedded.Start(embedded.Options{Dir: d})
			if err == nil {
				srv.Shutdown()
			}
			if err == nil || !strings.Contains(err.Error(), "in use by another server") {
				t.Errorf("start on %s beside %s: %v", d, beside, err)
			}
		}
	}
	refused("the first")
	if err := first.Health(); err != nil {
		t.Error(err)
	}
	first.Shutdown()
	second, err := embedded.Start(embedded.Options{Dir: link})
	if err != nil {
		t.Fatalf("start after the first has shut down: %v", err)
	}
	first.Shutdown() // again: it has the folder no more
	refused("the second")
	second.Shutdown()
}

// TestServerThatDoesNotStart: a start that hangs in a file is left behind in
// time, with an error that names the folder. Until it has ended, no other server
// of this process gets the folder, and that is told at once.
func TestServerThatDoesNotStart(t *testing.T) {
	dir, stream := filled(t, 3)
	file := filepath.Join(stream, "meta.inf")
	kept := file + ".kept"
	if err := os.Rename(file, kept); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil { // to read it waits for somebody who writes
		t.Fatal(err)
	}
	_, err := embedded.Start(embedded.Options{Dir: dir, StartWithin: 300 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "may be damaged") {
		t.Fatalf("start that hangs: %v", err)
	}
	began := time.Now()
	if _, err = embedded.Start(embedded.Options{Dir: dir + "/."}); err == nil || !strings.Contains(err.Error(), "has not ended") {
		t.Errorf("start beside one that hangs: %v", err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v to refuse", d)
	}
	writer, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, file); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil { // the one that hangs goes on, finds nothing in it, and ends
		t.Fatal(err)
	}
	var srv *embedded.Server
	actortest.Eventually(t, "the folder to be free", func() bool {
		srv, err = embedded.Start(embedded.Options{Dir: dir})
		return err == nil
	})
	srv.Shutdown()
}
