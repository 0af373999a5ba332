// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/protoloop/protoloop/cmd/example/internal/service"
	"github.com/protoloop/protoloop/supervisor"
)

// serve is the command that runs the service.
type serve struct {
	service.Config
	logFormat string
	heap      int // MB
}

func (*serve) name() string { return "serve" }

func (*serve) summary() string {
	return `  A complete service in one process: a durable queue, a supervised consumer, a
  list that survives restarts, and a web page that shows it live. Open the
  address it prints. Ctrl-C drains it and prints a report; Ctrl-C again ends
  the grace period. Each flag can be set by an environment variable, too:
  PROTOLOOP_ADDR for -addr, PROTOLOOP_MAX_ITEMS for -max-items; a flag wins.`
}

func (s *serve) declare(flags *flag.FlagSet) {
	s.Config = service.Defaults()
	c := &s.Config
	flags.StringVar(&c.Pprof, "pprof", c.Pprof, "`host:port` to serve profiles of net/http/pprof on, for whoever looks for a cause; empty: none")
	flags.StringVar(&c.OTLP, "otlp", c.OTLP, "`URL` of an OpenTelemetry collector that traces go to by HTTP, such as http://127.0.0.1:4318; empty: none")
	flags.StringVar(&c.Metrics, "metrics", c.Metrics, "`host:port` to serve /metrics on, for Prometheus; empty: none")
	flags.StringVar(&c.Addr, "addr", c.Addr, "`host:port` to listen on; port 0 is any that is free")
	flags.StringVar(&c.Hosts, "hosts", c.Hosts, "`names`, with commas between, that it may be asked for beside localhost, addresses and that of -addr;\n* is any. Other names are refused: they may be those of somebody else's page (DNS rebinding)")
	flags.StringVar(&c.Console, "console", c.Console, "`where` the console is: unix:PATH, host:port, or off; the default is a Unix socket of its own, where\nthe command protoloop finds it")
	flags.BoolVar(&c.ConsoleActions, "console-actions", c.ConsoleActions, "allow to act by the console: cancel tasks, restart and stop children, make captures")
	flags.DurationVar(&c.Record, "record", c.Record, "`time` that the flight recorder keeps, for the console to keep when a turn is blocked; 0: it does not run")
	flags.StringVar(&c.Queue, "queue", c.Queue, "`where` the items come from: embedded, or a URL: "+service.QueueHelp())
	flags.StringVar(&c.Store, "store", c.Store, "`where` the list is kept: embedded, or nats://host:port or several with commas between,\nwhich several processes may share; the default is the queue's server if that is NATS, and embedded otherwise")
	flags.StringVar(&c.Join, "join", c.Join, "`where` the hubs of a cluster are, IP:port with commas between: processes that join one show one list, and a page\ngoes on at another when its own is lost. Needs hub -queues ITEMS -buckets LIST; empty: this process is alone")
	flags.StringVar(&c.Cluster, "cluster", c.Cluster, "`name` of that cluster")
	flags.StringVar(&c.Node, "node", c.Node, "`name` of this process in it, if there is no certificate that has the name")
	flags.StringVar(&c.Cert, "cert", c.Cert, "`file` with its certificate for -join")
	flags.StringVar(&c.Key, "key", c.Key, "`file` with the certificate's key")
	flags.StringVar(&c.CA, "ca", c.CA, "`file` with the authority of the hubs")
	flags.StringVar(&c.Topic, "topic", c.Topic, "`URL` that adds are sent to, if the queue is of gocloud.dev and its topic has another URL")
	flags.StringVar(&c.DeadLetters, "dead-letters", c.DeadLetters, "`URL` of the SQS queue, or topic of gocloud.dev, for items that failed for good, if the\nqueue is one of these; without it they stay there, for the queue's redrive policy")
	flags.StringVar(&c.Data, "data", c.Data, "`folder` of the embedded server; one process at a time")
	flags.BoolVar(&c.Sync, "sync", c.Sync, "have each write reach the disk before it is confirmed, in case the power fails; slower")
	flags.DurationVar(&c.Grace, "grace", c.Grace, "`time` that items in flight have when it is stopped")
	flags.DurationVar(&c.Lease, "lease", c.Lease, "`time` after which an item that was in flight in a crash is delivered again")
	flags.Var(&count{&c.Tries, 1, 1000}, "tries", "`number` of deliveries after which an item that failed each time is a dead letter")
	flags.Var(&count{&c.Concurrency, 1, 10_000}, "concurrency", "`number` of items that are handled at a time")
	flags.Var(&count{&c.MaxItems, 1, 500_000}, "max-items", "`length` of the list at which adds are refused")
	s.heap = defaultHeap
	flags.Var(&count{&s.heap, 0, 16 << 10}, "heap", "`MB` of memory to take at the start and to fill before garbage is collected; 0 takes what is needed.\nIt is not looked at if GOGC or GOMEMLIMIT is set")
	flags.StringVar(&s.logFormat, "log", "text", "`format` of the log on standard error: text or json")
}

// environment sets the flags that have a variable.
func (s *serve) environment(flags *flag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(f *flag.Flag) {
		name := "PROTOLOOP_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || value == "" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("invalid value %q of %s: %w", value, name, err))
		}
	})
	return errors.Join(errs...)
}

func (s *serve) check() error {
	var format error
	if s.logFormat != "text" && s.logFormat != "json" {
		format = fmt.Errorf("-log %q is neither text nor json", s.logFormat)
	}
	return errors.Join(s.Config.Validate(), format)
}

func (s *serve) run(ctx context.Context, stdout, stderr io.Writer) error {
	defer tuneCollector(s.heap)()
	result, err := service.Run(ctx, s.Config, s.logger(stderr))
	if _, failed := errors.AsType[*supervisor.StartError](err); !failed {
		fmt.Fprintf(stdout, "\n%vqueue: %v\n", result.Report, result.Consumed)
	}
	return errors.Join(err, result.Report.Err())
}

func (s *serve) logger(w io.Writer) *slog.Logger {
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
