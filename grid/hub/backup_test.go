// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"os"
	"strings"
	"testing"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

// TestBackup: the folders of all hubs, copied while none runs, have what was acknowledged by then.
func TestBackup(t *testing.T) {
	if testing.Short() {
		t.Skip("JetStream takes seconds for each election")
	}
	t.Parallel()
	ca := authority(t)
	tr := startTrio(t, hub.Options{Buckets: []string{"STATE"}}, func(name string) *certs.Files { return hubFiles(t, ca, name) })
	nc, err := dial(t, hubclient.Options{Hubs: tr.addrs, Certificates: nodeFiles(t, ca, "a")}).Queues()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	put := func(value string) {
		t.Helper()
		patiently(t, "put "+value, func(ctx context.Context) error {
			kv, err := js.KeyValue(ctx, "STATE")
			if err == nil {
				_, err = kv.Put(ctx, "ada", []byte(value))
			}
			return err
		})
	}
	get := func() (value string) {
		t.Helper()
		patiently(t, "get", func(ctx context.Context) error {
			kv, err := js.KeyValue(ctx, "STATE")
			if err != nil {
				return err
			}
			e, err := kv.Get(ctx, "ada")
			if err == nil {
				value = string(e.Value())
			}
			return err
		})
		return value
	}
	put("before")
	tr.shutdown()
	copies := make([]string, len(tr.hubs))
	for i := range tr.hubs {
		copies[i] = t.TempDir()
		if err := os.CopyFS(copies[i], os.DirFS(tr.o[i].Dir)); err != nil {
			t.Fatal(err)
		}
	}
	tr.restart(t)
	put("after")
	tr.shutdown()
	for i := range tr.hubs {
		tr.o[i].Dir = copies[i]
	}
	tr.restart(t)
	if got := get(); got != "before" {
		t.Errorf("the backup has %q", got)
	}
	s := join(t, dial(t, hubclient.Options{Hubs: tr.addrs, Certificates: nodeFiles(t, ca, "b")}))
	s.next(t)

	// One whose folder is lost is not taken for the one that has acknowledged what was in it.
	tr.hubs[0].Shutdown()
	tr.o[0].Dir = t.TempDir()
	if h, err := hub.Start(t.Context(), tr.o[0]); err == nil {
		h.Shutdown()
		t.Error("a hub has started without its folder")
	} else if !strings.Contains(err.Error(), "hub -replace") {
		t.Error(err)
	}
	s.next(t)
}

func (tr *trio) shutdown() {
	for _, h := range tr.hubs {
		h.Shutdown()
	}
}

// restart starts hubs again: all, or these.
func (tr *trio) restart(t testing.TB, which ...int) {
	t.Helper()
	if len(which) == 0 {
		which = []int{0, 1, 2}
	}
	type started struct {
		i   int
		h   *hub.Hub
		err error
	}
	all := make(chan started)
	for _, i := range which {
		go func() {
			h, err := hub.Start(t.Context(), tr.o[i])
			all <- started{i, h, err}
		}()
	}
	for range which {
		s := <-all
		if s.err != nil {
			t.Error(s.err)
			continue
		}
		tr.hubs[s.i] = s.h
	}
	if t.Failed() {
		t.FailNow()
	}
}
