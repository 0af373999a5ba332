// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hub_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

// TestTwoHubsAreLost: with one hub of three there, the owner stops with its lease, and asks fail. When another is back all goes on.
func TestTwoHubsAreLost(t *testing.T) {
	if testing.Short() {
		t.Skip("three hubs are much for a slow machine, and the lease is ten seconds")
	}
	t.Parallel()
	ca := authority(t)
	tr := startTrio(t, hub.Options{}, func(name string) *certs.Files { return hubFiles(t, ca, name) })
	owner := dial(t, hubclient.Options{Hubs: tr.addrs, Certificates: nodeFiles(t, ca, "owner")})
	asker := dial(t, hubclient.Options{Hubs: tr.addrs, Certificates: nodeFiles(t, ca, "asker")})
	g, ownerSys, err := startGrid(t.Context(), owner, owner.Net(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer ownerSys.Shutdown()
	defer func() { _, _ = g.Drain(context.Background()) }()
	asks, sys, err := startGrid(t.Context(), asker, asker.Net(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Shutdown()
	defer func() { _, _ = asks.Drain(context.Background()) }()
	ask := func() error {
		_, err := whoami.Call(t.Context(), sys.Root, asks.PID("account", "ada"), wrapperspb.String("who"), actors.Timeout(3*time.Second))
		return err
	}
	answered := func(what string) {
		t.Helper()
		actortest.Eventually(t, "an answer "+what, func() bool { err = ask(); return err == nil })
	}
	answered("before")
	tr.hubs[0].Shutdown()
	answered("with two hubs")
	tr.hubs[1].Shutdown()
	actortest.Eventually(t, "an ask to fail", func() bool { err = ask(); return err != nil })
	if !errors.Is(err, actors.ErrTimeout) && !errors.Is(err, actors.ErrUnavailable) && !errors.Is(err, actors.ErrNodeLost) {
		t.Errorf("an ask with one hub of three: %v", err)
	}
	actortest.Eventually(t, "the owner to have stopped", func() bool {
		_, _, err = g.Where(t.Context(), "account", "ada")
		return errors.Is(err, actors.ErrUnavailable)
	})
	if tr.hubs[1], err = hub.Start(t.Context(), tr.o[1]); err != nil {
		t.Fatal(err)
	}
	answered("with two hubs again")
}

// TestDiskIsFull: a hub whose disk is full ends, and says why. When there is room again it starts, and has what it has acknowledged.
func TestDiskIsFull(t *testing.T) {
	t.Run("all", func(t *testing.T) { testDiskIsFull(t, "") })
	t.Run("nats", func(t *testing.T) { testDiskIsFull(t, "nats") }) // as with a disk of its own: etcd goes on
}

func testDiskIsFull(t *testing.T, part string) {
	folder := t.TempDir()
	dir := filepath.Join(folder, "hub", part)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256m"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	addr := addrs(t, 1)[0]
	o := hub.Options{Dir: filepath.Join(folder, "hub"), Hubs: map[string]string{"hub": addr}, Name: "hub", Buckets: []string{"STATE"}}
	h := start(t, o)
	nc, err := dial(t, hubclient.Options{Hubs: []string{addr}, Node: "a"}).Queues()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), "STATE")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "before", []byte("x")); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	filler.Close()
	var failed error
	actortest.Eventually(t, "the hub to end", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = kv.Put(ctx, "full", bytes.Repeat([]byte("x"), 100_000))
		select {
		case failed = <-h.Failed():
			return true
		default:
			return false
		}
	})
	if !strings.Contains(failed.Error(), "no space left") {
		t.Errorf("it has ended by %v", failed)
	}
	h.Shutdown()
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	start(t, o)
	patiently(t, "read", func(ctx context.Context) error {
		_, err := kv.Get(ctx, "before")
		return err
	})
	patiently(t, "write", func(ctx context.Context) error {
		_, err := kv.Put(ctx, "after", []byte("x"))
		return err
	})
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
