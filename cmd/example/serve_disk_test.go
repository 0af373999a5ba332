// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
)

// TestServeFullDisk: while the disk of the embedded server is full the service is not
// ready, and when there is room again it comes back by itself, with all that was
// confirmed.
func TestServeFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	r := newService(t)
	r.data = filepath.Join(dir, "data")
	r.start()
	var confirmed []string
	add := func(key string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := dial(ctx, r.addr, nil)
		if err != nil {
			return err
		}
		defer c.close()
		err = c.call(ctx, "add", map[string]string{"key": key, "text": strings.Repeat("x", 400)}, &struct{}{})
		if err == nil {
			confirmed = append(confirmed, key)
		}
		return err
	}
	for i := range 20 {
		if err := add(fmt.Sprint("before ", i)); err != nil {
			t.Fatal(err)
		}
	}
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	for i := 0; ; i++ { // until the server finds that it cannot write
		if err := add(fmt.Sprint("full ", i)); err != nil {
			break
		}
		if i > 300 {
			t.Fatal("everything is confirmed although the disk is full")
		}
	}
	actortest.Eventually(t, "it is not ready", func() bool { return r.status("/readyz") == http.StatusServiceUnavailable })
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, "it is ready again", func() bool { return r.status("/readyz") == http.StatusOK })
	if err := add("after"); err != nil {
		t.Errorf("once it is ready: %v", err)
	}
	actortest.Eventually(t, "the list has all that was confirmed", func() bool {
		items, _ := shown(t, r.addr)
		there := map[string]bool{}
		for _, it := range items {
			there[it.Key] = true
		}
		return !slices.ContainsFunc(confirmed, func(key string) bool { return !there[key] })
	})
	r.stop()
}

// fill writes a file until nothing more fits.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}
