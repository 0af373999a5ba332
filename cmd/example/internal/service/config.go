// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/protoloop/protoloop/consumer/jetstream"
)

// Embedded as Config.Queue or Config.Store is the NATS server within the
// process.
const Embedded = "embedded"

// Config is what can be set from outside. Use [Defaults] as a start.
type Config struct {
	// Addr is the host and port that HTTP is served on.
	Addr string
	// Hosts are the names that the service may be asked for, with commas between,
	// beside localhost, addresses, and that of Addr; "*" is any. A page of
	// somebody else's could have its own name lead here (DNS rebinding), and be
	// taken for ours.
	Hosts string
	// Pprof is the host and port that net/http/pprof is served on. Empty: it is
	// not.
	Pprof string
	// OTLP is the URL of a collector of OpenTelemetry's, such as http://127.0.0.1:4318, that traces go to by HTTP. Empty:
	// there are none.
	OTLP string
	// Metrics is the host and port that /metrics is served on, for Prometheus. Empty: it is not.
	Metrics string
	// Console is where the console is: "unix:PATH", or host:port. Empty: a Unix socket of its own in the
	// user's runtime folder, where the command protoloop finds it, and if that cannot be opened there is none.
	// "off": there is none.
	Console string
	// ConsoleActions allows to act by the console, and not only to look.
	ConsoleActions bool
	// Record is how long a window the flight recorder keeps, for a capture when a turn is blocked; 0: it does not
	// run.
	Record time.Duration
	// Queue is where items come from: Embedded, or the URL of a queue. Those of
	// several servers of a NATS cluster may be given, with commas between.
	Queue string
	// Store is the server that keeps the list: Embedded or nats://host:port.
	// Empty: that of the queue if it is NATS, and else Embedded. Processes that
	// share a store show one list.
	Store string
	// Join is where the hubs of a cluster are, each an IP address and port, with commas between: processes that join one show one list, which
	// is a worker on one of them. The queue and the list's state are on the hubs. Empty: this process is alone.
	Join string
	// Cluster is the cluster's name.
	Cluster string
	// Node is the name of this process in the cluster, and no other's. Empty: that in the certificate.
	Node string
	// Cert, Key and CA are the files of its certificate. Empty: the hubs are on this machine, and have none.
	Cert, Key, CA string
	// Topic is the URL that adds are sent to, for a queue of gocloud.dev whose
	// topic has another one than its subscription. Empty: Queue.
	Topic string
	// DeadLetters is the URL of the SQS queue, or of the topic of gocloud.dev,
	// that items go to which failed for good. Empty: they stay in the queue, for
	// its redrive policy. Other queues have a place of their own.
	DeadLetters string
	// Data is the folder of the embedded server's files.
	Data string
	// Grace is what the consumer has on a stop to finish what it has in flight.
	Grace time.Duration
	// Lease is for how long the queue hides an item from others while it is
	// handled; after a crash it is delivered again when that is over.
	Lease time.Duration
	// Tries is how often an item is delivered before it is a dead letter.
	Tries int
	// Concurrency is how many items are handled at a time.
	Concurrency int
	// MaxItems is how long the list may get before adds are refused.
	MaxItems int
	// Sync has each write reach the disk before it is confirmed.
	Sync bool
}

// Defaults returns the configuration that needs nothing from outside.
func Defaults() Config {
	return Config{
		Addr: "127.0.0.1:8080", Queue: Embedded, Data: defaultData(), Cluster: "dev",
		Grace: 10 * time.Second, Lease: 30 * time.Second, Tries: 10, Concurrency: 64, MaxItems: 100_000,
	}
}

// defaultData is a folder for what a program has to find again when it is
// started next. A cache folder may be emptied by anybody, at any time.
func defaultData() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "protoloop")
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		if dir, err := os.UserConfigDir(); err == nil {
			return filepath.Join(dir, "protoloop")
		}
	} else if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "protoloop")
	}
	return "data"
}

// Validate reports all mistakes at once. The names in it are those of the
// flags.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		wrong("-addr %q is no host:port: %v", c.Addr, err)
	}
	if _, _, err := net.SplitHostPort(c.Pprof); c.Pprof != "" && err != nil {
		wrong("-pprof %q is no host:port: %v", c.Pprof, err)
	}
	if _, _, err := net.SplitHostPort(c.Metrics); c.Metrics != "" && err != nil {
		wrong("-metrics %q is no host:port: %v", c.Metrics, err)
	}
	if u, err := url.Parse(c.OTLP); c.OTLP != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		wrong("-otlp %q is no URL of HTTP", redacted(c.OTLP))
	}
	if c.Record < 0 {
		wrong("-record is %v: it must not be negative", c.Record)
	}
	if _, err := queueScheme(c.Queue); err != nil {
		wrong("-queue: %v", err)
	}
	if scheme, err := queueScheme(c.store()); err != nil || scheme != Embedded && scheme != "nats" {
		wrong("-store %q is neither %q nor a nats:// URL", redacted(c.Store), Embedded)
	}
	scheme, _ := queueScheme(c.Queue)
	switch {
	case c.DeadLetters == "" || scheme == "http" || scheme == "https":
	case !isCloud(scheme):
		wrong("-dead-letters is for a queue of SQS or gocloud.dev: that of %q is %s_DEAD", redacted(c.Queue), queueName)
	default:
		if err := checkTopic(c.DeadLetters); err != nil {
			wrong("-dead-letters: %v", err)
		}
	}
	if c.Topic != "" {
		err := errNoTopic
		if isCloud(scheme) {
			err = checkTopic(c.Topic)
		}
		if err != nil {
			wrong("-topic: %v", err)
		}
	}
	if err := c.validateJoin(); err != nil {
		errs = append(errs, err)
	}
	if c.Data == "" && c.needsServer() {
		wrong("-data is empty: it has to name a folder")
	}
	for name, d := range map[string]time.Duration{"-grace": c.Grace, "-lease": c.Lease} {
		if d <= 0 {
			wrong("%s is %v: it must be more than 0", name, d)
		}
	}
	for name, n := range map[string]int{"-tries": c.Tries, "-concurrency": c.Concurrency, "-max-items": c.MaxItems} {
		if n < 1 {
			wrong("%s is %d: it must be at least 1", name, n)
		}
	}
	return errors.Join(errs...)
}

// store is Store with its default resolved.
func (c Config) store() string {
	if c.Store != "" {
		return c.Store
	}
	if scheme, _ := queueScheme(c.Queue); scheme == "nats" {
		return c.Queue
	}
	return Embedded
}

// needsServer reports whether the embedded server is used at all.
func (c Config) needsServer() bool {
	return !c.joined() && (c.Queue == Embedded || c.store() == Embedded)
}

// queueScheme is the kind of a queue: Embedded, one of the keys of queueKinds,
// or one that isCloud.
func queueScheme(queue string) (string, error) {
	if queue == Embedded {
		return Embedded, nil
	}
	scheme, err := schemeOf(queue)
	if err != nil {
		return "", err
	}
	if _, known := queueKinds[scheme]; !known && !isCloud(scheme) {
		return "", fmt.Errorf("unknown scheme %q in %q; known are %s", scheme, redacted(queue), kinds())
	}
	return scheme, nil
}

// schemeOf is that of a URL, or of a list of NATS servers' with commas between.
func schemeOf(address string) (string, error) {
	const ours = "nats://"
	if strings.HasPrefix(address, ours) && strings.Contains(address, ","+ours) {
		for one := range strings.SplitSeq(strings.TrimPrefix(address, ours), ","+ours) {
			if _, err := schemeOf(ours + one); err != nil {
				return "", err
			}
		}
		return "nats", nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" && u.Path == "" {
		return "", fmt.Errorf("%q is neither %q nor a URL", redacted(address), Embedded)
	}
	return u.Scheme, nil
}

// redacted is a URL without what is secret in it.
func redacted(address string) string { return jetstream.Redacted(address) }
