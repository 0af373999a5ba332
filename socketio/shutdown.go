// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// unwindGrace is how long a handler has to return when its context has ended.
const unwindGrace = time.Second

// Report is what a [Server.Stop] has done.
type Report struct {
	Sessions int           // that were open
	Flushed  int           // of these: handlers ended, all that was queued written, closed in order
	CutOff   int           // the others
	Dropped  int64         // packets that were never written
	Elapsed  time.Duration // from the call to the end
}

// String is the report as one line of text.
func (r Report) String() string {
	return fmt.Sprintf("%d sessions: %d flushed, %d cut off, %d packets dropped, %v",
		r.Sessions, r.Flushed, r.CutOff, r.Dropped, r.Elapsed.Round(time.Millisecond))
}

// Stop ends the server, waits and returns the account. New handshakes get status 503; what the sessions
// have accepted runs to its end, and OnDisconnect with [ServerShutdown]; what
// they have sent is written; then the clients get a close, upon which the
// reference's client connects again, to the next process. Handlers are cut
// off a moment before ctx's deadline, for OnDisconnect and for what they have
// sent: a quarter of the time, but at most a second. When ctx ends, what is left
// is cut off; so ctx is the grace, and Options.StopGrace does not count. Stop returns
// when nothing of the server runs any more, and leaves no goroutine, but those of
// handlers that do not return.
//
// The error is ctx's only: the report says what was cut off. A further call waits for
// the stop that is under way and returns the same; the end of its ctx ends the waiting
// alone. In a task use RequestStop.
func (srv *Server) Stop(ctx context.Context) (Report, error) {
	stop, first := srv.beginShutdown(ctx, false)
	if first {
		srv.runShutdown(ctx, stop)
	}
	select {
	case <-stop.done:
	default:
		select {
		case <-stop.done:
		case <-ctx.Done():
			return Report{}, context.Cause(ctx)
		}
	}
	return stop.report, stop.err
}

// RequestStop is [Server.Stop] within Options.StopGrace that does not wait: the stop has
// begun when it returns. The future completes with the report, which says what was
// cut off; it fails only if a Stop that was under way does. A task may await it, but in
// one of a session, which has to end first, the await fails.
func (srv *Server) RequestStop() *actors.Future[Report] {
	ctx, cancel := srv.stopContext(context.Background())
	stop, first := srv.beginShutdown(ctx, true)
	stopped := new(actors.Promise[Report])
	go func() {
		defer cancel()
		if first {
			srv.runShutdown(ctx, stop)
		}
		<-stop.done
		if stop.err != nil {
			stopped.Reject(stop.err)
			return
		}
		stopped.Resolve(stop.report)
	}()
	return stopped.Future()
}

// stopContext is a context that ends with the StopGrace.
func (srv *Server) stopContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if srv.opts.StopGrace == actors.Forever {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(srv.opts.StopGrace, 0))
}

// shutdown tracks a Stop under way.
type shutdown struct {
	requested bool      // by RequestStop: the end of its grace is no error, the report says what was cut off
	deadline  time.Time // zero: none
	done      chan struct{}
	report    Report // when done is closed
	err       error  // likewise

	left map[*session]struct{} // guarded by the server's mu; nil before it is known
	gone chan struct{}         // closed when left is empty
}

// lost is called with the server's mu held.
func (s *shutdown) lost(c *session) {
	if _, waited := s.left[c]; !waited {
		return
	}
	if delete(s.left, c); len(s.left) == 0 {
		close(s.gone)
	}
}

// handlerGrace is how long handlers may still run: most of the time, and the
// rest is for what they have sent.
func (s *shutdown) handlerGrace() time.Duration {
	if s.deadline.IsZero() {
		return 100 * 365 * 24 * time.Hour
	}
	left := time.Until(s.deadline)
	return max(left-min(left/4, time.Second), 1)
}

func (srv *Server) beginShutdown(ctx context.Context, requested bool) (stop *shutdown, first bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.stop != nil {
		return srv.stop, false
	}
	stop = &shutdown{requested: requested, done: make(chan struct{}), gone: make(chan struct{})}
	stop.deadline, _ = ctx.Deadline()
	srv.stop = stop
	return stop, true
}

func (srv *Server) runShutdown(ctx context.Context, stop *shutdown) {
	defer func() {
		registryOf(srv.system).remove(srv)
		close(stop.done)
	}()
	began := time.Now()
	dropped := srv.eio.Stats().Dropped
	srv.eio.Stop()
	sessions := srv.await(stop)
	for _, c := range sessions {
		c.shutdown(stop)
	}
	select {
	case <-stop.gone:
	case <-ctx.Done():
		stop.err = context.Cause(ctx)
		for _, c := range sessions {
			c.cutOff()
		}
		<-stop.gone
	}
	// The workers are gone; the connections are flushed and closed.
	srv.eio.Wait(ctx)
	if stop.err == nil && ctx.Err() != nil {
		stop.err = context.Cause(ctx)
	}
	if stop.requested {
		stop.err = nil
	}
	stop.report = Report{Sessions: len(sessions), Dropped: srv.eio.Stats().Dropped - dropped, Elapsed: time.Since(began)}
	for _, c := range sessions {
		if c.cut.Load() || !c.eio.Flushed() {
			stop.report.CutOff++
		} else {
			stop.report.Flushed++
		}
	}
}

// await returns the sessions that are there, and has stop wait for them.
func (srv *Server) await(stop *shutdown) []*session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	stop.left = maps.Clone(srv.sessions)
	if len(stop.left) == 0 {
		close(stop.gone)
	}
	return slices.Collect(maps.Keys(stop.left))
}

// restarts reports whether a worker in its OnStop begins anew.
func restarts(t *actors.Task) bool { return errors.Is(t.StopReason(), actors.ErrRestarted) }

// Props are the props of a worker that stands for the server, to run it as the
// child of a supervisor: the server serves while the worker lives, and the end
// of the worker is the server's Stop, within Options.StopGrace. A restart of the
// worker is a stop and a new start. The http.Handler stays the same; there is at most one such worker at a time.
func (srv *Server) Props() *actor.Props {
	return actors.Props(func(w *actors.Worker) error {
		srv.restart()
		w.OnStop(func(t *actors.Task) error {
			report, err := actors.Await(t, actors.Offload(t, func(ctx context.Context) (Report, error) {
				ctx, cancel := srv.stopContext(ctx)
				defer cancel()
				report, err := srv.Stop(ctx)
				if errors.Is(err, context.DeadlineExceeded) {
					err = nil // the report says what was cut off
				}
				return report, err
			}))
			if err != nil {
				return err
			}
			srv.logger().InfoContext(t.Context(), "socketio: shut down", "report", report.String())
			return nil
		})
		return nil
	}, actors.EventLoop(actors.Options{StopGrace: min(max(srv.opts.StopGrace, 0), actors.Forever-cutOffGrace) + cutOffGrace, Logger: srv.opts.Logger}))
}

// cutOffGrace is what a Stop may take to cut off what is left.
const cutOffGrace = 4 * time.Second

// restart serves again after a Stop.
func (srv *Server) restart() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.stop == nil {
		return
	}
	srv.stop = nil
	srv.eio.Restart()
	registryOf(srv.system).add(srv)
}
