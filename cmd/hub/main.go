// SPDX-License-Identifier: Apache-2.0

// Command hub runs what the nodes of a cluster of package grid meet at: etcd and NATS, in one process.
//
//	hub -dev                    one hub on this machine, with certificates that it makes
//	hub -cluster shop -name hub-1 -hubs hub-1=10.0.0.1:7420,hub-2=10.0.0.2:7420,hub-3=10.0.0.3:7420 \
//	    -dir /var/lib/hub -cert hub-1.pem -key hub-1-key.pem -ca ca.pem
//
// SIGTERM and Ctrl-C stop it once its files are written.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
)

// Exit codes.
const (
	exitOK     = 0 // a signal has stopped it
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, release := untilSignal(context.Background())
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	release()
	os.Exit(code)
}

// untilSignal returns a context that ends at SIGINT or SIGTERM. A second one ends the process at once, but
// not within a second: timeout(1) sends one to the process and then to its group.
func untilSignal(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer signal.Stop(signals)
		select {
		case <-signals:
			cancel()
			time.Sleep(time.Second)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// command is a call of it.
type command struct {
	hub.Options
	files      certs.Files
	hubs       string
	queues     string
	buckets    string
	partitions string
	reminders  string
	dev        bool
	nodes      string
	logFormat  string
	health     string
}

const prefix = "PROTOLOOP_HUB_"

// run is main with its surroundings passed in; it returns the exit code.
func run(ctx context.Context, args []string, env func(string) (string, bool), stdout, stderr io.Writer) int {
	c, err := parseCommand(args, env, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "hub: %v\nRun \"hub -h\" for help.\n", err)
		return exitUsage
	}
	if err := c.run(ctx, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "hub: %v\n", strings.TrimPrefix(err.Error(), "hub: "))
		return exitFailed
	}
	return exitOK
}

// parseCommand reads the environment and then the command line.
func parseCommand(args []string, env func(string) (string, bool), help io.Writer) (*command, error) {
	c := &command{}
	f := flag.NewFlagSet("hub", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.Cluster, "cluster", "", "the `name` of the cluster; with -dev it may be left out")
	f.StringVar(&c.Dir, "dir", "", "the `folder` of the files; with -dev it may be left out")
	f.StringVar(&c.hubs, "hubs", "", "all hubs with their addresses, this one too: `NAME=IP:PORT,…`; each has four ports in a row, of which this is the first. It is the same for all hubs, for ever")
	f.StringVar(&c.Name, "name", "", "the `name` of this hub among -hubs, and in its certificate; with -dev it may be left out")
	f.StringVar(&c.files.Cert, "cert", "", "the `file` with the certificate of this hub, in PEM format; it is for servers and for clients, and has the IP address of this hub in -hubs, and that from which it dials the others")
	f.StringVar(&c.files.Key, "key", "", "the `file` with its key")
	f.StringVar(&c.files.CA, "ca", "", "the `file` with the authority that has signed the certificates of all hubs and nodes")
	f.StringVar(&c.queues, "queues", "", "the `names` of queues in JetStream that nodes may use, with commas between")
	f.StringVar(&c.buckets, "buckets", "", "the `names` of key-value buckets in JetStream that nodes may use, with commas between")
	f.StringVar(&c.partitions, "partitions", "", "the `names` of queues in parts, whose order is kept over many nodes, with commas between")
	f.StringVar(&c.reminders, "reminders", "", "the `names` of streams of reminders in JetStream that nodes may use, such as REMINDERS, with commas between")
	f.BoolVar(&c.Replace, "replace", false, "if the folder has no files of a hub's data, begin anew in the place of the hub of this name, whose disk is lost, while the others go on; if it has, this does nothing")
	f.DurationVar(&c.StartWithin, "start-within", 0, "how long it waits until more than half of the hubs are there; 0: two minutes")
	f.StringVar(&c.health, "health", "", "serve /healthz at this `host:port`, without TLS: 200, or 503 and what is wrong")
	f.StringVar(&c.logFormat, "log", "text", "how to log: `text` or json")
	f.BoolVar(&c.dev, "dev", false, "one hub on this machine, at 127.0.0.1:7420 if there is no -hubs, with certificates that it makes; for development only")
	f.StringVar(&c.nodes, "nodes", "node-1,node-2,node-3", "with -dev, the `names` of nodes to make certificates for")
	var errs []error
	f.VisitAll(func(of *flag.Flag) {
		name := prefix + strings.ToUpper(strings.ReplaceAll(of.Name, "-", "_"))
		if value, is := env(name); is && value != "" {
			if err := f.Set(of.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("invalid value %q of %s: %w", value, name, err))
			}
		}
	})
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printUsage(f, help)
		}
		return nil, err
	}
	if f.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	if err := errors.Join(append(errs, c.completeOptions()...)...); err != nil {
		return nil, err
	}
	return c, nil
}

func printUsage(f *flag.FlagSet, w io.Writer) {
	var list strings.Builder
	f.SetOutput(&list)
	f.PrintDefaults()
	fmt.Fprint(w, "Usage: hub [flags]\n\n",
		"Runs what the nodes of a cluster of package grid meet at: etcd and NATS. Try hub -dev.\n\nFlags\n",
		strings.ReplaceAll(list.String(), "\t", "    "),
		"\nEach flag can be set by the environment, too: -cluster by "+prefix+"CLUSTER.\n",
		"Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage.\n")
}

// completeOptions also tells what is wrong with them.
func (c *command) completeOptions() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.logFormat != "text" && c.logFormat != "json" {
		wrong("-log %q is neither text nor json", c.logFormat)
	}
	if c.dev {
		if c.files != (certs.Files{}) {
			wrong("-dev makes certificates: leave -cert, -key and -ca out")
		}
		if c.Cluster == "" {
			c.Cluster = "dev"
		}
		if c.Dir == "" {
			c.Dir = defaultDir()
		}
		if c.hubs == "" {
			c.Name = "hub"
			c.hubs = "hub=127.0.0.1:7420"
		}
	} else if c.hubs == "" {
		wrong("-hubs is missing; to try it out, use -dev")
	}
	c.Hubs = map[string]string{}
	for one := range eachOf(c.hubs) {
		name, addr, ok := strings.Cut(one, "=")
		if _, twice := c.Hubs[name]; !ok || twice {
			wrong("-hubs: %q is not NAME=IP:PORT, or there are two of that name", one)
		}
		c.Hubs[name] = addr
	}
	if c.dev && c.Name == "" && len(c.Hubs) == 1 {
		for c.Name = range c.Hubs {
		}
	}
	for q := range eachOf(c.queues) {
		c.Queues = append(c.Queues, q)
	}
	for b := range eachOf(c.buckets) {
		c.Buckets = append(c.Buckets, b)
	}
	for q := range eachOf(c.partitions) {
		c.Partitions = append(c.Partitions, q)
	}
	for r := range eachOf(c.reminders) {
		c.Reminders = append(c.Reminders, r)
	}
	if c.dev && len(c.Hubs) > 1 {
		wrong("-dev is for one hub")
	}
	if c.files != (certs.Files{}) || c.dev {
		c.Certificates = &c.files
	}
	if len(errs) == 0 {
		if err := c.Validate(); err != nil {
			errs = append(errs, inFlags(err))
		}
	}
	return errs
}

// inFlags tells mistakes in hub.Options by the flags that set them.
func inFlags(err error) error {
	if all, is := err.(interface{ Unwrap() []error }); is {
		var told []error
		for _, one := range all.Unwrap() {
			told = append(told, inFlags(one))
		}
		return errors.Join(told...)
	}
	mistake, is := errors.AsType[*actors.OptionError](err)
	if !is {
		return err
	}
	told := *mistake
	told.Field, _, _ = strings.Cut(told.Field, "[") // of Hubs["a"]
	told.Field, told.Why = flags.Replace(told.Field), flags.Replace(told.Why)
	return errors.New(strings.TrimPrefix(told.Error(), told.Of+": "))
}

// flags has those of the fields of hub.Options.
var flags = strings.NewReplacer("Certificates", "-cert, -key and -ca", "StartWithin", "-start-within", "Partitions", "-partitions", "Buckets", "-buckets",
	"Queues", "-queues", "Hubs", "-hubs", "Replace", "-replace", "Cluster", "-cluster", "Name", "-name", "Dir", "-dir")

// eachOf yields what is between commas.
func eachOf(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for one := range strings.SplitSeq(s, ",") {
			if one = strings.TrimSpace(one); one != "" && !yield(one) {
				return
			}
		}
	}
}

// defaultDir is a folder for what a program has to find again when it is started next.
func defaultDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "protoloop-hub")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "protoloop-hub")
	}
	return "hub-data"
}

func (c *command) run(ctx context.Context, stdout, stderr io.Writer) error {
	var handler slog.Handler = slog.NewTextHandler(stderr, nil)
	if c.logFormat == "json" {
		handler = slog.NewJSONHandler(stderr, nil)
	}
	c.Logger = slog.New(handler)
	var made map[string]certs.Files
	if c.dev {
		var err error
		if made, err = c.makeCertificates(); err != nil {
			return err
		}
	}
	h, err := hub.Start(ctx, c.Options)
	if err != nil && ctx.Err() != nil {
		return nil // it was told to end
	}
	if err != nil {
		return err
	}
	defer h.Shutdown()
	if c.health != "" {
		_, stop, err := serveHealth(c.health, h, c.Logger)
		if err != nil {
			return err
		}
		defer stop()
	}
	fmt.Fprintf(stdout, "hub: %s of the cluster %s is ready at %s\n", h.Name(), c.Cluster, h.Addr())
	if c.dev {
		c.printHowToJoin(stdout, h.Addr(), made)
	}
	select {
	case <-ctx.Done():
		c.Logger.Info("hub: it is told to end")
		return nil
	case err := <-h.Failed():
		return err
	}
}
