// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/supervisor"
)

// shutdownIn shuts the server down on a goroutine of its own.
func (w *world) shutdownIn(d time.Duration) *actortest.Op[socketio.Report] {
	return actortest.Go(w.T, func() (socketio.Report, error) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		return w.io.Stop(ctx)
	})
}

func TestShutdown(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		socketio.OnAck(w.io, "slow", func(t *actors.Task, s *socketio.Socket, n int) (string, error) {
			err := t.Sleep(2 * time.Second)
			return "done", err
		})
		p, q := w.client(), w.poller()
		q.post("40")
		q.get()
		w.dial() // connected to nothing
		p.send(`421["slow"]`)
		synctest.Wait()
		_ = w.io.Emit("last words")
		op := w.shutdownIn(20 * time.Second)
		if !op.Blocked() {
			w.Fatal("the handler was not waited for")
		}
		ev.want(w, "server shutting down", "server shutting down")
		p.expect(`42["last words"]`)
		if status, body := w.status(http.MethodGet, base+"polling"); status != http.StatusServiceUnavailable {
			w.Error("a handshake while stopping:", status, body)
		}
		p.send(`42["echo",1]`) // too late
		for _, want := range []string{`42["last words"]`, "1"} {
			if _, body := q.get(); body != want {
				w.Errorf("got %q, want %q", body, want)
			}
		}
		p.expect(`431["done"]`)
		p.gone()
		report, err := op.Result()
		if err != nil || report.Sessions != 3 || report.Flushed != 3 || report.CutOff != 0 || report.Dropped != 0 || report.Elapsed != 2*time.Second {
			w.Error(report, err)
		}
		again, err := w.io.Stop(context.Background())
		if err != nil || again != report {
			w.Error(again, err)
		}
		ev.want(w)
	})
}

// TestRequestStop: it has Options.StopGrace, which may be none and no limit, and returns
// when the stop has begun. A Stop meanwhile waits for the same, or as long as its context
// lasts.
func TestRequestStop(t *testing.T) {
	for name, test := range map[string]struct {
		grace  actors.Grace
		works  time.Duration
		takes  time.Duration
		cutOff int
	}{
		"default":       {0, 2 * time.Second, 2 * time.Second, 0},
		"default, late": {0, time.Hour, 4 * time.Second, 1}, // a second of five is for what is to be sent
		"three seconds": {3 * time.Second, time.Hour, 3*time.Second - 750*time.Millisecond, 1},
		"none":          {actors.NoGrace, time.Hour, 0, 1},
		"no limit":      {actors.Forever, 10 * time.Hour, 10 * time.Hour, 0},
	} {
		bubble(t, socketio.Options{StopGrace: test.grace, PingInterval: 24 * time.Hour}, func(w *world) {
			socketio.OnAck(w.io, "slow", func(t *actors.Task, s *socketio.Socket, n int) (string, error) {
				return "done", t.Sleep(test.works)
			})
			w.client().send(`421["slow"]`)
			synctest.Wait()
			begin := time.Now()
			stopped := w.io.RequestStop()
			if status, body := w.status(http.MethodGet, base+"polling"); status != http.StatusServiceUnavailable {
				w.Errorf("%s: a handshake while stopping: %d %s", name, status, body)
			}
			if test.takes > time.Second {
				ctx, cancel := context.WithTimeout(w.Context(), time.Second)
				if report, err := w.io.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
					w.Errorf("%s: a further Stop: %v, %v, after %v", name, report, err, time.Since(begin))
				}
				cancel()
			}
			report, err := stopped.Wait(w.Context())
			if took := time.Since(begin).Round(10 * time.Millisecond); err != nil || report.Sessions != 1 || report.CutOff != test.cutOff || took != test.takes {
				w.Errorf("%s: %v, %v, after %v, want %v", name, report, err, took, test.takes)
			}
			if again, err := w.io.RequestStop().Wait(w.Context()); again != report || err != nil {
				w.Errorf("%s: again: %v, %v", name, again, err)
			}
		})
	}
}

// TestShutdownOfAnothersEnd: a handler that passes on that another worker was
// stopped has not been cut off.
func TestShutdownOfAnothersEnd(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		socketio.OnAck(w.io, "ask", func(*actors.Task, *socketio.Socket, any) (string, error) {
			return "", fmt.Errorf("ask: %w", actors.ErrStopped)
		})
		p := w.client()
		p.send(`421["ask",1]`)
		p.next()
		report, err := w.shutdownIn(time.Second).Result()
		if err != nil || report.CutOff != 0 || report.Flushed != 1 {
			w.Error(report, err)
		}
		p.gone()
	})
}

// TestWorkerThatEndsRefuses: where somebody else stops a session's worker, the session ends
// with it. What comes until then, and is not taken, is no failure that nobody has looked
// at, nor a dead letter; the report says that something was cut off.
func TestWorkerThatEndsRefuses(t *testing.T) {
	for name, packet := range map[string]string{
		"a connect":    "40/other,",
		"an event":     `42["echo",1]`,
		"an exclusive": `42["alone",1]`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{}, func(w *world) {
				ev := watched(w)
				defer inspect.OnFailure(w.sys, func(f inspect.Failure) {
					w.Errorf("told: %v in %s: %v", f.Kind, f.Task, f.Err)
				})()
				w.io.Of("/other")
				socketio.On(w.io, "alone", func(*actors.Task, *socketio.Socket, int) error { w.Error("it ran"); return nil }, socketio.Exclusive())
				socketio.On(w.io, "slow", func(t *actors.Task, _ *socketio.Socket, _ any) error {
					actors.RequestStop(w.sys.Root, t.Self(), time.Minute)
					return t.Sleep(10 * time.Second)
				})
				p := w.client()
				p.send(`42["slow"]`)
				synctest.Wait()
				p.send(packet)
				synctest.Wait()
				op := w.shutdownIn(time.Minute)
				time.Sleep(11 * time.Second)
				report, err := op.Result()
				if err != nil || report.CutOff != 1 || report.Flushed != 0 || report.Elapsed != 10*time.Second {
					w.Error(report, err)
				}
				p.gone()
				runtime.GC() // where what nobody has looked at shows
				time.Sleep(time.Second)
				ev.want(w, "server shutting down")
			})
		})
	}
}

func TestShutdownCutsOff(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		socketio.On(w.io, "for ever", func(t *actors.Task, s *socketio.Socket, _ any) error {
			err := t.Sleep(1000 * time.Hour)
			ev.Add("handler: %v", err)
			return err
		})
		p := w.client()
		p.send(`42["for ever"]`)
		silent := w.poller() // never polls again
		silent.post("40")
		slow := w.client()
		release := make(chan struct{})
		w.blockReads(slow, release)
		_ = w.io.Emit("big", strings.Repeat("x", 10_000))
		_ = w.io.Emit("big", strings.Repeat("x", 10_000))
		good := w.client()
		began := time.Now()
		report, err := func() (socketio.Report, error) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			return w.io.Stop(ctx)
		}()
		close(release)
		if !errors.Is(err, context.DeadlineExceeded) || report.Sessions != 4 || report.Flushed != 1 || report.CutOff != 3 || report.Dropped == 0 {
			w.Error(report, err)
		}
		if d := time.Since(began); d != 10*time.Second {
			w.Error("took", d)
		}
		good.gone()
		p.gone()
		ev.want(w, "server shutting down", "server shutting down", "server shutting down", "server shutting down",
			"handler: actors: the worker stopped; the work was cut off")
	})
}

// TestSupervised runs the server as a worker: its stop is the server's.
func TestSupervised(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		for round := range 3 { // the same server serves again
			pid, err := w.sys.Root.SpawnNamed(w.io.Props(), fmt.Sprint("io", round))
			if err != nil {
				w.Fatal(err)
			}
			synctest.Wait() // until it is set up it serves nobody
			p := w.client()
			p.alive()
			stopped := actors.RequestStop(w.sys.Root, pid, time.Minute)
			p.gone()
			if _, err := stopped.Wait(w.Context()); err != nil {
				w.Error(err)
			}
			ev.want(w, "server shutting down")
			if status, _ := w.status(http.MethodGet, base+"polling"); status != http.StatusServiceUnavailable {
				w.Error(status)
			}
		}
	})
}

// TestSupervisedCutsOff: a client that shook hands by polling and never polls
// again has StopGrace; then it is cut off, and nothing is abandoned.
func TestSupervisedCutsOff(t *testing.T) {
	bubble(t, socketio.Options{StopGrace: 3 * time.Second}, func(w *world) {
		sup, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{{Name: "io", Props: w.io.Props()}}})
		if err != nil {
			w.Fatal(err)
		}
		if status, _ := w.status(http.MethodGet, base+"polling"); status != http.StatusOK {
			w.Fatal(status)
		}
		began := time.Now()
		report, err := sup.Stop(w.Context())
		if err != nil || report.Err() != nil {
			w.Error(err, report.Err())
		}
		if took := time.Since(began); took < 3*time.Second || took > 7*time.Second {
			w.Error("the stop took", took)
		}
	})
}

// TestHandlersOutliveTheClient: they run on when it has gone, for HandlerGrace.
func TestHandlersOutliveTheClient(t *testing.T) {
	bubble(t, socketio.Options{HandlerGrace: 10 * time.Second}, func(w *world) {
		ev := watched(w)
		socketio.On(w.io, "sleep", func(t *actors.Task, s *socketio.Socket, n int) error {
			err := t.Sleep(time.Duration(n) * time.Second)
			ev.Add("%d %v", n, err)
			return err
		})
		p := w.client()
		p.send(`42["sleep",5]`, `42["sleep",15]`)
		synctest.Wait()
		_ = p.c.CloseNow()
		ev.want(w, "transport close")
		time.Sleep(9 * time.Second)
		ev.want(w, "5 <nil>")
		time.Sleep(2 * time.Second)
		ev.want(w, "15 actors: the worker stopped; the work was cut off")
	})
}

// TestWorkerStopped: somebody else stops a session's worker.
func TestWorkerStopped(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		pids := make(chan func(), 1)
		socketio.On(w.io, "pid", func(t *actors.Task, _ *socketio.Socket, _ any) error {
			self := t.Self()
			pids <- func() { w.sys.Root.Stop(self) }
			return nil
		})
		p := w.client()
		p.send(`42["pid"]`)
		(<-pids)()
		p.gone()
		ev.want(w, "forced close")
		if s := w.io.Stats(); s.Sessions != 0 {
			w.Errorf("%+v", s)
		}
	})
}

// TestStress starts and stops servers with a client each, many at a time, with
// two shutdowns that overlap.
func TestStress(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		actortest.Stress(t, func() (stop func()) {
			w := newWorld(t, sys, socketio.Options{})
			p, err := w.tryDial(base + "websocket")
			if err != nil {
				t.Error(err)
				return func() {}
			}
			p.send("40")
			return func() {
				var wg sync.WaitGroup
				for range 2 {
					wg.Go(func() {
						if report, err := w.io.Stop(context.Background()); err != nil || report.CutOff > 0 {
							t.Error(report, err)
						}
					})
				}
				wg.Wait()
				<-p.closed
				w.close()
			}
		})
	})
}
