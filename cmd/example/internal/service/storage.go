// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/grid"
)

// storage is the worker that holds the queue and the server of the list's log.
// Those who use them are started after it, and restarted with it.
type storage struct {
	cfg    Config
	system *actor.ActorSystem
	logger *slog.Logger
	now    atomic.Pointer[opened] // of this incarnation

	inMemory queue // if the queue is one that nothing is left of when it is closed
}

// opened is what is open, and how to close it.
type opened struct {
	queue  queue
	adds   adds
	log    *nats.Conn
	server *embedded.Server // the embedded one, if there is one
	grid   *grid.Grid       // of the processes that share the list, if there are any; log is the connection to its hubs then
	own    *nats.Conn       // to the embedded server, if the queue is there; the log's, too, if that is
	close  []func()         // the last one first
}

func (o *opened) release() {
	for i := len(o.close) - 1; i >= 0; i-- {
		o.close[i]()
	}
}

func (s *storage) setup(w *actors.Worker) error {
	o, err := actors.AwaitOffload(w.Task(), s.open)
	if err != nil {
		return err
	}
	s.now.Store(o)
	if o.server != nil {
		w.Background("health", func(t *actors.Task) error { return watch(t, o.server.Health) })
	}
	w.OnStop(func(t *actors.Task) error {
		return t.AwaitOffload(func(context.Context) error {
			o.release()
			return nil
		})
	})
	return nil
}

// Once in checkEvery the embedded server is asked how it is. What it says
// checksFail times in a row counts.
const (
	checkEvery = time.Second
	checksFail = 2
)

// watch ends with an error when health has one for long enough. A server that
// could not write, because the disk was full for instance, has switched off what
// could not be written, and does not switch it on again: it has to be started
// anew, with the worker. What was not confirmed meanwhile is sent again.
func watch(t *actors.Task, health func() error) error {
	for failed := 0; failed < checksFail; {
		if stopping, err := t.SleepOrStop(checkEvery); stopping || err != nil {
			return err
		}
		err := t.AwaitOffload(func(context.Context) error { return health() })
		if err == nil {
			failed = 0
			continue
		}
		if failed++; failed == checksFail {
			return err
		}
	}
	return nil
}

// open opens everything, or nothing.
func (s *storage) open(ctx context.Context) (o *opened, err error) {
	o = &opened{}
	defer func() {
		if err != nil {
			o.release()
			o = nil
		}
	}()
	if s.cfg.joined() {
		err = s.join(ctx, o)
		return o, err
	}
	var server *embedded.Server
	if s.cfg.needsServer() {
		if server, err = s.startServer(o); err != nil {
			return o, err
		}
	}
	if err = s.openQueue(ctx, o, server); err != nil {
		return o, err
	}
	if jets, ok := o.queue.(*jetstream.Queue); ok {
		o.adds = &pipeline{queue: jets, logger: s.logger}
	} else {
		o.adds = s.addsTo(o.queue)
	}
	return o, s.openLog(o, server)
}

func (s *storage) startServer(o *opened) (*embedded.Server, error) {
	server, err := embedded.Start(embedded.Options{Dir: s.cfg.Data, SyncAlways: s.cfg.Sync, Logger: s.logger})
	if err != nil {
		return nil, err
	}
	o.server = server
	o.close = append(o.close, server.Shutdown)
	return server, nil
}

func (s *storage) openQueue(ctx context.Context, o *opened, server *embedded.Server) error {
	scheme, err := queueScheme(s.cfg.Queue)
	if err != nil {
		return err
	}
	if s.inMemory != nil {
		o.queue = s.inMemory
		return nil
	}
	if scheme != Embedded {
		open, ours := queueKinds[scheme]
		if !ours {
			open = openCloud
		}
		q, shut, err := open(ctx, s.cfg)
		if err != nil {
			return err
		}
		if o.queue = q; s.cfg.inMemory() {
			s.inMemory = q
			return nil
		}
		o.close = append(o.close, shut)
		return nil
	}
	nc, err := server.Connect()
	if err != nil {
		return err
	}
	o.close = append(o.close, nc.Close)
	o.own = nc
	q, err := jetstream.New(nc, s.cfg.queueOptions())
	if err != nil {
		return err
	}
	o.queue = q
	return q.Ensure(ctx)
}

// sendWithin bounds a call that puts items into the queue.
const sendWithin = 10 * time.Second

// addsTo puts items into a queue, those that come at a time in one call.
func (s *storage) addsTo(q queue) *batches[consumer.Message] {
	return &batches[consumer.Message]{
		within: sendWithin, atOnce: s.cfg.calls(),
		call: func(ctx context.Context, ms []consumer.Message) error {
			err := q.Send(ctx, ms...)
			if err != nil {
				s.logger.Warn("the queue has not taken what was added", "items", len(ms), "err", err)
			}
			return err
		},
	}
}

func (s *storage) openLog(o *opened, server *embedded.Server) (err error) {
	if s.cfg.store() == Embedded && o.own != nil {
		o.log = o.own // what is written and confirmed at a time goes together
		return nil
	}
	if s.cfg.store() == Embedded {
		o.log, err = server.Connect()
	} else {
		o.log, err = jetstream.Connect(s.cfg.store())
	}
	if err == nil {
		o.close = append(o.close, o.log.Close)
	}
	return err
}

var errNotOpen = errors.New("the queue is not open")

// openSource is the consumer's: the queue is looked up anew in each of its
// incarnations.
func (s *storage) openSource(ctx context.Context) (consumer.Source, error) {
	o := s.now.Load()
	if o == nil {
		return nil, errNotOpen
	}
	return o.queue.Open(ctx)
}

// connected reports whether the log can be reached.
func (s *storage) connected() bool {
	o := s.now.Load()
	return o != nil && o.log.IsConnected()
}
