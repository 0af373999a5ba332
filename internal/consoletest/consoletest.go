// SPDX-License-Identifier: Apache-2.0

// Package consoletest has a console looked at while a test runs.
package consoletest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/internal/view"
)

// pages are those that are looked at, each in each round.
var pages = []string{"overview", "waits?lines=1", "workers", "supervision", "stop", "stacks"}

// Watch has a console of the actor system looked at once a second until stop is called: whatever the
// test does, each page is answered, and each account adds up.
func Watch(t testing.TB, sys *actor.ActorSystem) (stop func()) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	c, err := console.New(sys, console.Options{Addr: "unix:" + socket})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := actors.Spawn(context.Background(), sys.Root, "console", c.Setup, actors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	client := &http.Client{Transport: tr, Timeout: time.Minute}
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for rounds := 0; ; rounds++ {
			for _, page := range pages {
				if err := look(client, page); err != nil {
					t.Errorf("round %d, page %s: %v", rounds, page, err)
				}
			}
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	})
	return func() {
		close(over)
		watching.Wait()
		tr.CloseIdleConnections()
		if _, err := actors.Stop(context.Background(), sys.Root, pid, time.Minute); err != nil {
			t.Errorf("stop of the console: %v", err)
		}
	}
}

func look(client *http.Client, page string) error {
	resp, err := client.Get("http://localhost/api/" + page)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var o view.Overview
	if err := json.NewDecoder(resp.Body).Decode(&view.Answer{View: &o}); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	for _, l := range o.Lints {
		if l.ID == view.LintAccount {
			return fmt.Errorf("%s: %v", l.Title, l.Items)
		}
	}
	return nil
}
