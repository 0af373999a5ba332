// SPDX-License-Identifier: Apache-2.0

// Package consoletest has a console looked at, metrics scraped, and asked for what protoloop top asks for, while a test runs.
package consoletest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/view"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/supervisor"
)

// pages are those that are looked at, each in each round.
var pages = []string{"overview", "waits?lines=1", "workers", "supervision", "stop", "stacks"}

// Watch has a console of the actor system looked at once a second until stop is called, and read what a scrape of metrics
// and protoloop top read: whatever the test does, each page is answered, each account adds up, and no count shrinks.
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
	client := &http.Client{Transport: tr} // without a time-out: a machine may be slow, and a test has its own
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		s := scraper{sys: sys, kinds: map[string]actors.Counts{}}
		top := top{client: client}
		for rounds := 0; ; rounds++ {
			if err := s.scrape(); err != nil {
				t.Errorf("round %d, scrape: %v", rounds, err)
			}
			for _, page := range pages {
				if err := look(client, page); err != nil {
					t.Errorf("round %d, page %s: %v", rounds, page, err)
				}
			}
			if err := top.look(rounds); err != nil {
				t.Errorf("round %d, top: %v", rounds, err)
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
		if _, err := actors.Stop(context.Background(), sys.Root, pid, actors.Forever); err != nil {
			t.Errorf("stop of the console: %v", err)
		}
	}
}

// scraper reads what the producer of metrics does, which is in a module of its own.
type scraper struct {
	sys   *actor.ActorSystem
	kinds map[string]actors.Counts // at the scrape before
}

func (s *scraper) scrape() error {
	for _, k := range inspect.Kinds(s.sys) {
		c, before := k.Counts, s.kinds[k.Name]
		s.kinds[k.Name] = c
		switch {
		case !c.Agree():
			return fmt.Errorf("kind %s: %v", k.Name, c)
		case c.Accepted < before.Accepted, c.Refused < before.Refused, c.Finished < before.Finished, c.Failed < before.Failed,
			c.Canceled < before.Canceled, c.Abandoned < before.Abandoned, c.DeadLettered < before.DeadLettered:
			return fmt.Errorf("kind %s has %v, and had %v", k.Name, c, before)
		}
	}
	if n := inspect.SharedBy(s.sys); n.Runners < n.RunnersIdle || n.Workers < n.Waiting {
		return fmt.Errorf("shared: %+v", n)
	}
	for _, n := range supervisor.All(s.sys) {
		n.Info()
	}
	for _, c := range consumer.All(s.sys) {
		if c := c.Stats(); !c.Agree() {
			return fmt.Errorf("a consumer: %v", c)
		}
	}
	for _, srv := range socketio.All(s.sys) {
		srv.Stats()
	}
	return nil
}

func look(client *http.Client, page string) error {
	var o view.Overview
	if err := get(client, page, &o); err != nil {
		return err
	}
	for _, l := range o.Lints {
		if l.ID == view.LintAccount {
			return fmt.Errorf("%s: %v", l.Title, l.Items)
		}
	}
	return nil
}

// get reads a page into v.
func get(client *http.Client, page string, v any) error {
	resp, err := client.Get("http://localhost/api/" + page)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return errNone
	}
	if err := json.NewDecoder(resp.Body).Decode(&view.Answer{View: v}); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %w", page, resp.Status, err)
	}
	return nil
}

var errNone = errors.New("there is none")

// top asks for what the full screen of protoloop top asks for, which is in a module of its own: all of it each second, by
// another column each time, and the worker of a row that is looked into.
type top struct {
	client *http.Client
	sorts  []string // from the look before
}

func (p *top) look(round int) error {
	var about view.About
	var over view.Overview
	var w view.Workers
	q := url.Values{}
	if len(p.sorts) > 0 {
		q.Set("sort", p.sorts[round%len(p.sorts)])
	}
	if err := errors.Join(get(p.client, "about", &about), get(p.client, "overview", &over), get(p.client, "workers?"+q.Encode(), &w)); err != nil {
		return err
	}
	p.sorts = w.Sorts
	if about.PID == 0 || over.Totals.Workers == 0 || !over.Totals.Counts.Agree() || w.Total == 0 || len(w.Rows) == 0 || len(w.Sorts) == 0 {
		return fmt.Errorf("it shows %+v, %+v, %d workers in %d rows", about, over.Totals, w.Total, len(w.Rows))
	}
	for i := range w.Kinds {
		if k := &w.Kinds[i]; !k.Counts.Agree() {
			return fmt.Errorf("kind %s: %v", k.Kind, k.Counts)
		}
	}
	var one view.Worker
	switch err := get(p.client, "worker?"+url.Values{"id": {w.Rows[round%len(w.Rows)].Worker}}.Encode(), &one); {
	case errors.Is(err, errNone): // it has ended since
	case err != nil:
		return err
	case !one.Counts.Agree():
		return fmt.Errorf("worker %s: %v", one.Row.Worker, one.Counts)
	}
	return nil
}
