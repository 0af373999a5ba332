// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// output is what is written, by whatever goroutine.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func noEnv(string) (string, bool) { return "", false }

type nobody struct{}

func (nobody) Received(string, []byte)       {}
func (nobody) Undelivered(grid.Peer, uint64) {}
func (nobody) Gone(string)                   {}
func (nobody) Missed()                       {}

// TestDevelopment: a hub with -dev makes certificates by which a node joins, as it prints, says that it is well, and ends by SIGTERM.
func TestDevelopment(t *testing.T) {
	dir := t.TempDir()
	ctx, release := untilSignal(t.Context())
	defer release()
	var out, log output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"-dev", "-dir", dir, "-name", "hub", "-hubs", "hub=127.0.0.1:0", "-nodes", "a, b", "-health", "127.0.0.1:0"}, noEnv, &out, &log)
	}()
	actortest.Eventually(t, "the hub to be ready", func() bool {
		select {
		case code := <-ended:
			t.Fatalf("it has ended with %d: %s", code, log.String())
		default:
		}
		return strings.Contains(out.String(), "development only")
	})
	printed := func(label string) string {
		t.Helper()
		_, rest, ok := strings.Cut(out.String(), label+`"`)
		value, _, end := strings.Cut(rest, `"`)
		if !ok || !end {
			t.Fatalf("there is no %s in\n%s", label, out.String())
		}
		return value
	}
	files := &certs.Files{Cert: printed("Cert: "), Key: printed("Key:  "), CA: printed("CA:   ")}
	c, err := hubclient.Dial(t.Context(), hubclient.Options{Cluster: printed("Cluster: "), Hubs: []string{printed("[]string{")}, Certificates: files})
	if err != nil {
		t.Fatal(err)
	}
	if c.Node() != "a" {
		t.Errorf("the node is called %q", c.Node())
	}
	l, err := c.Net().Open(t.Context(), grid.Peer{Node: "a", Session: 1}, nobody{})
	if err != nil {
		t.Error(err)
	} else if err := l.Close(); err != nil {
		t.Error(err)
	}
	c.Close()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != exitOK {
		t.Errorf("it ended with %d: %s", code, log.String())
	}
}

// TestHealth answers by the hub's health.
func TestHealth(t *testing.T) {
	h, err := hub.Start(t.Context(), hub.Options{Cluster: "shop", Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Shutdown()
	addr, stop, err := serveHealth("127.0.0.1:0", h, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	answer, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	if _, _, err := serveHealth(addr, h, slog.Default()); err == nil {
		t.Error("it is served twice at one address")
	}
}

// TestToldToEnd while it starts, and waits for others.
func TestToldToEnd(t *testing.T) {
	c, err := parseCommand([]string{"-cluster", "shop", "-dir", t.TempDir(), "-name", "a", "-hubs", "a=127.0.0.1:0"}, noEnv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.run(ctx, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
}

// TestUsage: mistakes are told in the words of the command line.
func TestUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"use -dev":                                  {"-cluster", "shop"},
		"not NAME=IP:PORT":                          {"-cluster", "shop", "-dir", "x", "-hubs", "a"},
		"two of that name":                          {"-cluster", "shop", "-dir", "x", "-hubs", "a=127.0.0.1:1,a=127.0.0.1:2"},
		"no -cert, -key and -ca":                    {"-cluster", "shop", "-dir", "x", "-name", "a", "-hubs", "a=10.0.0.1:7420"},
		"hub: -name is missing":                     {"-cluster", "shop", "-dir", "x", "-hubs", "a=127.0.0.1:7420"},
		"hub: -name is not among -hubs: \"b\"":      {"-dev", "-name", "b", "-hubs", "a=127.0.0.1:7420"},
		"hub: -cluster is missing\n-dir is missing": {"-name", "a", "-hubs", "a=127.0.0.1:7420"},
		"leave -cert, -key":                         {"-dev", "-cert", "x"},
		"-dev is for one":                           {"-dev", "-name", "a", "-hubs", "a=127.0.0.1:1,b=127.0.0.1:10,c=127.0.0.1:20"},
		"-replace is for one of three -hubs":        {"-dev", "-replace"},
		"neither text nor json":                     {"-dev", "-log", "xml"},
		"unexpected argument":                       {"-dev", "x"},
		"flag provided but not defin":               {"-x"},
	} {
		var out, log bytes.Buffer
		if code := run(t.Context(), args, noEnv, &out, &log); code != exitUsage || !strings.Contains(log.String(), want) {
			t.Errorf("%q: %d, %s", args, code, log.String())
		}
	}
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, noEnv, &out, &log); code != exitOK || !strings.Contains(out.String(), "PROTOLOOP_HUB_CLUSTER") {
		t.Errorf("help: %d, %s%s", code, out.String(), log.String())
	}
	env := func(name string) (string, bool) {
		value, is := map[string]string{"PROTOLOOP_HUB_DEV": "perhaps"}[name]
		return value, is
	}
	if code := run(t.Context(), nil, env, &out, &log); code != exitUsage || !strings.Contains(log.String(), "PROTOLOOP_HUB_DEV") {
		t.Errorf("a wrong variable: %d, %s", code, log.String())
	}
	env = func(name string) (string, bool) {
		value, is := map[string]string{"PROTOLOOP_HUB_CLUSTER": "shop", "PROTOLOOP_HUB_QUEUES": "A,B", "PROTOLOOP_HUB_BUCKETS": "C", "PROTOLOOP_HUB_PARTITIONS": "D, E", "PROTOLOOP_HUB_REMINDERS": "F", "PROTOLOOP_HUB_DIR": "d", "PROTOLOOP_HUB_HUBS": "a=127.0.0.1:7420", "PROTOLOOP_HUB_NAME": "a"}[name]
		return value, is
	}
	c, err := parseCommand([]string{"-cluster", "other"}, env, io.Discard)
	if err != nil || c.Cluster != "other" || fmt.Sprint(c.Queues, c.Buckets, c.Partitions, c.Reminders) != "[A B] [C] [D E] [F]" || c.Hubs["a"] != "127.0.0.1:7420" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestNameOfOneHub: with -dev the only one of -hubs needs no -name.
func TestNameOfOneHub(t *testing.T) {
	c, err := parseCommand([]string{"-dev", "-hubs", "dev=127.0.0.1:7430"}, noEnv, io.Discard)
	if err != nil || c.Name != "dev" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestCannotStart is told without words of this program's own.
func TestCannotStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"-cluster", "shop", "-dir", file, "-name", "a", "-hubs", "a=127.0.0.1:0"}, noEnv, &out, &log); code != exitFailed || !strings.Contains(log.String(), file) {
		t.Errorf("%d, %s", code, log.String())
	}
}
