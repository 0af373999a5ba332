// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	otelloop "github.com/protoloop/protoloop/otel"
	"github.com/protoloop/protoloop/supervisor"
)

// scrapeHandler serves the metrics of an actor system as Prometheus wants them.
func scrapeHandler(t *testing.T, sys *actor.ActorSystem) http.Handler {
	t.Helper()
	registry := prom.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry), prometheus.WithProducer(otelloop.NewProducer(sys, otelloop.ProducerOptions{})))
	if err != nil {
		t.Fatal(err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(exporter))
	t.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
}

// scrape is one answer, as text.
func scrape(t *testing.T, h http.Handler) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("the scrape has failed: %d: %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// startAll starts something of everything that has metrics.
func startAll(t *testing.T, sys *actor.ActorSystem) {
	t.Helper()
	hold := new(actors.Promise[actors.None])
	q := memory.New(memory.Options{Wait: time.Second})
	for i := range 5 {
		q.Send(consumer.Message{ID: fmt.Sprint(i)})
	}
	c, err := consumer.New(q.Open, func(*actors.Task, consumer.Message) error { return nil }, consumer.Options{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{
		Name: "top", MaxRestarts: 3, Within: time.Minute,
		Children: []supervisor.Child{
			{Name: "cart", Props: actors.Props(jobber(hold.Future()), actors.EventLoop(actors.Options{Kind: "cart"}))},
			{Name: "orders", Props: actors.Props(c.Setup, actors.EventLoop(actors.Options{Kind: "orders"}))},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for range 200 {
		if _, err := actors.RequestFuture[actors.None](sys.Root, s.Child("cart"), job{}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	actortest.Eventually(t, "the queue is read", func() bool { return c.Stats().Acked == 5 })
}

// TestPrometheusText: 10,000 workers of three kinds are 300 series at most, which expfmt reads and promtool finds nothing wrong with.
func TestPrometheusText(t *testing.T) {
	sys := actortest.NewSystem(t)
	startAll(t, sys)
	hold := new(actors.Promise[actors.None])
	workers := 10_000
	if testing.Short() {
		workers = 1000
	}
	for i := range workers {
		actortest.Spawn(t, sys.Root, fmt.Sprint("w", i), jobber(hold.Future()), actors.Options{Kind: []string{"cart", "shop", "orders"}[i%3]})
	}
	text := scrape(t, scrapeHandler(t, sys))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	series := 0
	for _, line := range strings.Split(string(text), "\n") {
		if line != "" && line[0] != '#' {
			series++
		}
	}
	if series > 300 {
		t.Errorf("%d workers of three kinds are %d series", workers, series)
	}
	t.Logf("%d workers of three kinds are %d series", workers, series)
	for _, name := range []string{
		"protoloop_worker_current", "protoloop_work_offered_total", "protoloop_queue_wait_seconds", "protoloop_supervisor_intensity_ratio", "protoloop_consumer_ended_total",
	} {
		if families[name] == nil {
			t.Errorf("there is no %s in\n%s", name, text)
		}
	}
	sum := 0.0
	for _, m := range families["protoloop_worker_current"].GetMetric() {
		sum += m.GetGauge().GetValue()
	}
	if sum != float64(workers+3) {
		t.Errorf("%v workers are counted, want %d, with a supervisor and its children", sum, workers+3)
	}

	check := exec.Command(tool(t, "promtool"), "check", "metrics")
	check.Stdin = bytes.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool: %v: %s", err, out)
	}
}

// TestPrometheusScrapes: Prometheus itself finds in a running system what its account says.
func TestPrometheusScrapes(t *testing.T) {
	sys := actortest.NewSystem(t)
	startAll(t, sys)
	target := httptest.NewServer(scrapeHandler(t, sys))
	defer target.Close()
	base := startPrometheus(t, target.Listener.Addr().String())

	query := func(expr string) string {
		r, err := http.Get(base + "/api/v1/query?query=" + url.QueryEscape(expr))
		if err != nil {
			return err.Error()
		}
		defer func() { _ = r.Body.Close() }()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err.Error()
		}
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		if err := json.Unmarshal(body, &answer); err != nil || len(answer.Data.Result) != 1 {
			return string(body)
		}
		return fmt.Sprint(answer.Data.Result[0].Value[1])
	}
	for expr, want := range map[string]string{
		`sum(up)`: "1",
		`protoloop_work_ended_total{protoloop_worker_kind="cart",protoloop_work_outcome="finished"}`: "200",
		`protoloop_consumer_ended_total{protoloop_work_outcome="acked"}`:                             "5",
		`protoloop_child_restart_total{protoloop_child="cart"}`:                                      "0",
	} {
		actortest.Eventually(t, expr+" to be "+want, func() bool { return query(expr) == want })
	}
	http.DefaultClient.CloseIdleConnections()
}

// startPrometheus starts one that scrapes a target each second, and returns its URL.
func startPrometheus(t *testing.T, target string) (base string) {
	t.Helper()
	path, dir := tool(t, "prometheus"), t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	err := os.WriteFile(config, fmt.Appendf(nil, "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: service, static_configs: [{targets: [%q]}]}]\n", target), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	addr, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		defer close(addr)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			if at := listensAt.FindStringSubmatch(lines.Text()); at != nil {
				select {
				case addr <- at[1]:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-read
		_ = cmd.Wait() // it says that it was killed
		if t.Failed() {
			t.Logf("Prometheus has said:\n%s", &log)
		}
	})
	at, there := <-addr
	if !there {
		t.Fatal("Prometheus has not said where it listens")
	}
	return "http://" + at
}

// listensAt is in the line in which Prometheus says which port it has got.
var listensAt = regexp.MustCompile(`Listening on"? address="?(127\.0\.0\.1:[1-9][0-9]*)`)
