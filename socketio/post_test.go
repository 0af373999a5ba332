// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/socketio"
)

// slowPost begins a POST, of whose body the returned end takes more.
func (p *poller) slowPost(begin string) (feed *io.PipeWriter, answered <-chan int) {
	p.Helper()
	body, feed := io.Pipe()
	p.Cleanup(func() { _ = feed.Close() })
	r, err := http.NewRequest(http.MethodPost, p.url, body)
	if err != nil {
		p.Fatal(err)
	}
	status := make(chan int, 1)
	go func() {
		defer close(status)
		if resp, err := p.http.Do(r); err == nil {
			_ = resp.Body.Close()
			status <- resp.StatusCode
		}
	}()
	_, _ = io.WriteString(feed, begin)
	synctest.Wait()
	return feed, status
}

// TestPostThatDoesNotEnd is an excuse for a missing pong, but once: the session
// ends, and with it what reads the POST.
func TestPostThatDoesNotEnd(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		p := w.poller()
		p.post("40")
		p.get()
		began := time.Now()
		_, answered := p.slowPost("4")
		time.Sleep(time.Until(began.Add(65*time.Second - 1)))
		ev.want(w)
		time.Sleep(time.Nanosecond)
		ev.want(w, "ping timeout")
		select {
		case <-answered:
		default:
			w.Error("the POST is still read")
		}
		if s := w.io.Stats(); s.Sessions != 0 || s.PingTimeouts != 1 {
			w.Errorf("%+v", s)
		}
	})
}

// TestSlowPost has a pong behind much else: it counts.
func TestSlowPost(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		ev := watched(w)
		p := w.poller()
		p.post("40")
		p.get()
		for range 3 {
			if _, body := p.get(); body != "2" {
				w.Fatal(body)
			}
			feed, answered := p.slowPost(`42["ec`)
			time.Sleep(30 * time.Second) // longer than PingTimeout
			_, _ = io.WriteString(feed, `ho",1]`+sep+"3")
			_ = feed.Close()
			if status := <-answered; status != http.StatusOK {
				w.Fatal(status)
			}
			if _, body := p.get(); body != `42["echo",1]` {
				w.Fatal(body)
			}
		}
		ev.want(w)
	})
}

// TestShutdownDuringPost leaves nothing behind that reads.
func TestShutdownDuringPost(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		p := w.poller()
		p.post("40")
		p.get()
		_, answered := p.slowPost("4")
		op := w.shutdownIn(5 * time.Second)
		time.Sleep(5 * time.Second)
		if report, err := op.Result(); err == nil || report.CutOff != 1 {
			w.Error(report, err)
		}
		select {
		case <-answered:
		default:
			w.Error("the POST is still read")
		}
	})
}
