// SPDX-License-Identifier: Apache-2.0

// Package service is a complete service in one process: a durable queue, a
// supervised consumer of it, a list that survives restarts, a Socket.IO gateway
// to live clients and a page for people. tree has how it hangs together.
package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/supervisor"
)

// Result is what a run has come to.
type Result struct {
	Report   supervisor.Report // of the stop
	Consumed consumer.Stats    // of the whole run
}

// Run runs the service until SIGINT, SIGTERM or the end of ctx, and then stops
// it: what it has in flight is finished within the grace, the rest goes back to
// the queue. A second signal ends the grace. So it is while it starts: a part may
// take long, for instance one that waits for a server. The error says why it
// could not start, or has failed; one that had to leave something behind is told
// by Result.Report.Err.
func Run(ctx context.Context, cfg Config, logger *slog.Logger) (Result, error) {
	profiles, err := serveProfiles(cfg, logger)
	if err != nil {
		return Result{}, err
	}
	defer profiles.Close()
	s, err := newService(cfg, logger)
	if err != nil {
		return Result{}, err
	}
	defer s.telemetry.end(logger)
	report, err := supervisor.Run(ctx, s.system, s.tree(), func(tree *supervisor.Supervisor) error {
		s.health.tree.Store(tree)
		if cfg.joined() {
			logger.Info("ready", "hubs", cfg.Join)
			return nil
		}
		logger.Info("ready", "queue", redacted(cfg.Queue), "store", redacted(cfg.store()), "data", cfg.Data)
		return nil
	})
	return Result{report, s.consumer.Stats()}, err
}

// closeWithin bounds how long a client that does not read holds up a stop.
const closeWithin = 3 * time.Second

// service is the parts of a run.
type service struct {
	cfg       Config
	logger    *slog.Logger
	system    *actor.ActorSystem
	io        *socketio.Server
	storage   *storage
	list      *list      // nil: it is a cluster's
	shown     listWorker // the list, or the view of that of the cluster
	consumer  *consumer.Consumer
	health    *health
	telemetry *telemetry
	console   *consoleChild // nil: there is none
}

// listWorker is the worker that shows the list to the clients: it has the list alone, or as others in the cluster do.
type listWorker interface {
	setup(w *actors.Worker) error
	full() bool
}

// The name of the tree, and those of its children.
const (
	root         = "service"
	consoleName  = "console"
	webName      = "http"
	storageName  = "storage"
	listName     = "list"
	gatewayName  = "gateway"
	consumerName = "consumer"
	noticeName   = "notice"
)

func newService(cfg Config, logger *slog.Logger) (*service, error) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return logger }))
	io, err := socketio.NewServer(system, socketio.Options{Logger: logger, CloseTimeout: closeWithin})
	if err != nil {
		return nil, err
	}
	s := &service{
		cfg: cfg, logger: logger, system: system, io: io,
		storage: &storage{cfg: cfg, system: system, logger: logger},
	}
	if s.telemetry, err = newTelemetry(cfg, system, logger); err != nil {
		return nil, err
	}
	s.list = &list{telemetry: s.telemetry, storage: s.storage, io: s.io, max: cfg.MaxItems, forgetting: forgettingOf(cfg)}
	s.shown = s.list
	changes := changer(ofProcess{s.child(listName)})
	if cfg.joined() {
		s.list = nil
		s.shown = &view{storage: s.storage, io: s.io, max: cfg.MaxItems, logger: logger}
		changes = ofCluster{s.storage}
	}
	s.health = &health{system: system, storage: s.storage, consumed: func() consumer.Stats { return s.consumer.Stats() }}
	var pace *pace
	if cfg.needsServer() && cfg.Queue == Embedded { // or they are consumed elsewhere, too
		pace = newPace(maxOnWay)
	}
	if s.console, err = newConsole(cfg, system, logger); err != nil {
		return nil, err
	}
	gateway{telemetry: s.telemetry, storage: s.storage, shown: s.child(listName), list: changes, full: s.shown.full, pace: pace}.register(s.io)
	s.consumer, err = consumer.New(s.storage.openSource, s.telemetry.handler(faulty(handler(changes, pace), logger)), consumer.Options{
		Concurrency: cfg.Concurrency, Prefetch: 2 * cfg.Concurrency, Pollers: cfg.calls(), MaxTries: cfg.Tries, Logger: logger,
	})
	return s, err
}

// child is the PID of a child, which stays the same when it restarts.
func (s *service) child(name string) *actor.PID {
	return actor.NewPID(s.system.Address(), root+"/"+name)
}

// tree is the supervision tree. Its children are stopped in the reverse order:
// the clients hear of the stop, the consumer drains into the list while they
// still watch, and then they are let go; what they were told is in the log by
// then. One that fails takes those with it that were started after it and rely on
// it.
func (s *service) tree() supervisor.Spec {
	web := &web{addr: s.cfg.Addr, handler: known(routes(s.health, s.io, s.console), s.cfg.hosts()...), logger: s.logger}
	worker := func(kind string, setup func(w *actors.Worker) error) *actor.Props {
		return actors.Props(setup, actors.EventLoop(actors.Options{Kind: kind, Logger: s.logger}))
	}
	// An outage of the queue may last, and is one restart.
	again := actors.Backoff{Initial: 100 * time.Millisecond, Max: 10 * time.Second, Jitter: 0.5}
	spec := supervisor.Spec{
		Name: root, Strategy: supervisor.RestForOne,
		MaxRestarts: 60, Within: time.Minute,
		Children: []supervisor.Child{
			{Name: webName, Props: worker(webName, web.setup), Backoff: again, Shutdown: 5 * time.Second},
			{Name: storageName, Props: worker(storageName, s.storage.setup), Backoff: again, Shutdown: 5*time.Second + leaveWithin, StartTimeout: time.Minute},
			{Name: listName, Props: worker(listName, s.shown.setup), Backoff: again, Shutdown: 5 * time.Second, StartTimeout: time.Minute},
			{Name: gatewayName, Props: s.io.Props(), Backoff: again, Shutdown: 5 * time.Second},
			{Name: consumerName, Props: s.consumer.Props(), Backoff: again, Shutdown: s.cfg.Grace},
			{Name: noticeName, Props: worker(noticeName, s.notice), Shutdown: time.Second},
		},
		Logger: s.logger,
	}
	if s.console != nil {
		spec.Children = append([]supervisor.Child{{Name: consoleName, Props: worker(consoleName, s.console.setup), Backoff: again, Shutdown: 5 * time.Second}}, spec.Children...)
	}
	return spec
}

// notice is the setup of the worker that is stopped first: it tells the clients.
// It is a child because a supervisor's events come when the hook gets to run,
// which may be when the clients have been let go.
func (s *service) notice(w *actors.Worker) error {
	w.OnStop(func(t *actors.Task) error {
		if errors.Is(t.StopReason(), actors.ErrRestarted) { // one before it has failed
			return nil
		}
		s.logger.Info("stopping", "grace", s.cfg.Grace)
		return s.io.Emit("stopping")
	})
	return nil
}
