// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/internal/view"
)

// What the console is for: it is asked while workers are blocked. The latencies are what matters.
func blockedConsoleCases() []*benchCase {
	return []*benchCase{
		{name: "console/blocked", label: "the console's overview a second, while all of " + thousands(manyBlocked) + " workers are blocked", batch: 1, open: overviewOfBlocked},
		{name: "console/find", label: "from a turn that blocks until the overview names it and who waits", batch: 1, open: findBlocked},
		{name: "console/find-beside", label: "… beside 10,000 workers with 10 tasks each", batch: 1, open: besideTasks(findBlocked)},
	}
}

func blockedConsoleRules() []rule {
	return []rule{
		{of: "console/blocked", figure: p99Millis, limit: 1000},
		{of: "console/find", figure: p99Millis, limit: 3000},
		{of: "console/find-beside", figure: p99Millis, limit: 4000}, // BlockedTurn, and three seconds
	}
}

// overviewOfBlocked asks for the overview where no worker answers, and as many asks wait. Each answer is of a look of its own: those of
// less than a second ago are shown again.
func overviewOfBlocked(e *env) (run, error) {
	pids, err := e.workers(manyBlocked)
	if err != nil {
		return nil, err
	}
	release := e.block(pids)
	e.onClose(func() error { release(); return nil })
	for _, pid := range pids {
		actors.Submit(e.sys.Root, pid, func(*actors.Task) (int, error) { return 0, nil })
	}
	ask, err := e.overview()
	if err != nil {
		return nil, err
	}
	return func(n int) (int, error) {
		e.latencies = e.latencies[:0]
		for range n {
			time.Sleep(watchEvery)
			start := time.Now()
			o, err := ask()
			if err != nil {
				return 0, err
			}
			e.latencies = append(e.latencies, time.Since(start))
			if o.Totals.Workers != manyBlocked || o.Totals.Tasks != manyBlocked || o.Totals.Queued != manyBlocked {
				return 0, fmt.Errorf("it shows %+v", o.Totals)
			}
		}
		return 0, nil
	}, nil
}

// findBlocked blocks a worker that three others ask, and looks for that in the overview.
func findBlocked(e *env) (run, error) {
	list, err := e.worker("list")
	if err != nil {
		return nil, err
	}
	page, err := e.worker("page")
	if err != nil {
		return nil, err
	}
	ask, err := e.overview()
	if err != nil {
		return nil, err
	}
	find := func() error {
		start := time.Now()
		release := e.block([]*actor.PID{list})
		defer release()
		for range 3 {
			actors.Submit(e.sys.Root, page, func(t *actors.Task) (answer, error) { return actors.Ask[answer](t, list, question{}) })
		}
		for {
			o, err := ask()
			if err != nil {
				return err
			}
			for i := range o.Lints {
				if l := &o.Lints[i]; l.ID == view.LintBlocked && l.Items[0].Worker == "list" && l.Items[0].Line != "" && l.Items[0].Tasks == 3 {
					e.latencies = append(e.latencies, time.Since(start))
					return nil
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	idle := func() error { // the turn before has ended, and is forgotten
		for {
			o, err := ask()
			if err != nil {
				return err
			}
			if o.Totals.Blocked == 0 {
				return nil
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return func(n int) (int, error) {
		e.latencies = e.latencies[:0]
		for range n {
			if err := errors.Join(idle(), find()); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}, nil
}

// block has a turn of each of some workers block until release is called.
func (e *env) block(pids []*actor.PID) (release func()) {
	hold := make(chan struct{})
	var begun sync.WaitGroup
	begun.Add(len(pids))
	for _, pid := range pids {
		actors.Submit(e.sys.Root, pid, func(*actors.Task) (int, error) {
			begun.Done()
			<-hold
			return 0, nil
		})
	}
	begun.Wait()
	return func() { close(hold) }
}

// overview asks a console for its overview.
func (e *env) overview() (ask func() (*view.Overview, error), err error) {
	c, err := console.New(e.sys, console.Options{})
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(c.Handler())
	e.onClose(func() error { server.Close(); return nil })
	return func() (*view.Overview, error) {
		res, err := server.Client().Get(server.URL + "/api/overview")
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		o := new(view.Overview)
		if err := json.NewDecoder(res.Body).Decode(&view.Answer{View: o}); err != nil || res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %w", res.Status, err)
		}
		return o, nil
	}, nil
}
