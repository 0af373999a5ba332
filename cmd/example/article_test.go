// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/protoloop/protoloop/actortest"
)

// TestArticle has Python's clients go through testdata/session.py with the
// article's own service, testdata/article_sqs.py, and with ours, each on a queue
// of one SQS server: the clients see the same events, with the same bodies, in
// the same order. The script says what it leaves out of ours.
func TestArticle(t *testing.T) {
	t.Parallel()
	python(t)
	endpoint, client := startSQS(t)
	for _, transports := range []string{"polling", "websocket", "polling,websocket"} {
		t.Run(transports, func(t *testing.T) {
			if testing.Short() && transports == "polling" {
				t.Skip("-short: the upgrade begins with it")
			}
			t.Parallel()
			queue := func(name string) string {
				return createQueue(t, client, name+strings.ReplaceAll(transports, ",", "-"))
			}
			s := &session{t: t, endpoint: endpoint, transports: transports}
			theirs := &article{t: t, addr: freePorts(t, 1), queue: queue("article-"), env: settings(endpoint)}
			want := s.with(theirs, theirs.addr, theirs.queue)
			items, dead := queue("items-"), queue("dead-")
			ours := newService(t, "-queue", items, "-dead-letters", dead, "-lease", "2s")
			ours.env = settings(endpoint)
			got := s.with(&startStop{ours}, ours.addr, items)
			lines := 18
			if transports == "websocket" {
				lines = 26
			}
			if got != want || strings.Count(want, "\n") != lines {
				t.Errorf("the article's service:\n%s\nours:\n%s", want, got)
			}

			// What no client can see: the message that was no item is a dead letter
			// of ours; the article's service fails at it each time that it comes.
			letters, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &dead})
			if err != nil || len(letters.Messages) != 1 {
				t.Errorf("dead letters: %v, %v", letters, err)
			}
			if !strings.Contains(theirs.out.String(), "polling failed: Unterminated string") {
				t.Errorf("the article's service printed %q", theirs.out.String())
			}
		})
	}
}

// session is the script's, with either service. Python is to write nothing (-B):
// its cache of compiled modules would be beside the script.
type session struct {
	t                    *testing.T
	endpoint, transports string
}

// partner is a service.
type partner interface {
	start()
	stop()
}

// with runs the script and returns what its clients have seen.
func (s *session) with(p partner, addr, queue string) string {
	s.t.Helper()
	p.start()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python(s.t), "-B", "testdata/session.py", "http://"+addr, s.transports, queue)
	cmd.Env = append(os.Environ(), settings(s.endpoint)...)
	var out, stderr output
	cmd.Stdout, cmd.Stderr = &out, &stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); cancel() }()
	const first, second = "end the service\n", "start the service\n"
	for _, step := range []struct {
		text string
		do   func()
	}{{first, p.stop}, {second, p.start}} {
		if out.await(ctx, step.text) { // else the script has none of this, or has failed
			step.do()
			_, _ = io.WriteString(in, "\n") // the script's end says if it could not
		}
	}
	if err := <-ended; err != nil {
		s.t.Fatalf("%v: %s%s", err, out.String(), stderr.String())
	}
	p.stop()
	return strings.Replace(out.String(), first+second, "", 1)
}

// startStop is ours, whose stop returns what it printed.
type startStop struct{ *running }

func (s *startStop) stop() { s.running.stop() }

// article is the article's service.
type article struct {
	t           *testing.T
	addr, queue string
	env         []string
	cmd         *exec.Cmd
	out         output
}

func (a *article) start() {
	a.t.Helper()
	_, port, _ := net.SplitHostPort(a.addr)
	ctx, cancel := context.WithTimeout(a.t.Context(), 2*time.Minute) // it may hang
	cmd := exec.CommandContext(ctx, python(a.t), "-B", "testdata/article_sqs.py", port, a.queue)
	cmd.Env = append(os.Environ(), a.env...)
	cmd.Stdout, cmd.Stderr = &a.out, &a.out
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		cancel()
		if cmd.ProcessState == nil {
			_ = cmd.Wait() // the test has failed
		}
	})
	a.cmd = cmd
	actortest.Eventually(a.t, "the article's service", func() bool {
		resp, err := http.Get("http://" + a.addr + "/readyz")
		return err == nil && resp.Body.Close() == nil
	})
}

// stop stops it by SIGTERM: its task ends by the stop event.
func (a *article) stop() {
	a.t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		a.t.Fatal(err)
	}
	if err := a.cmd.Wait(); err != nil || !strings.HasSuffix(a.out.String(), "the poll task has ended\n") {
		a.t.Errorf("%v: %s", err, a.out.String())
	}
}
