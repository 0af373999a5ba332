// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// How a stream goes on.
const (
	minInterval   = time.Second
	maxInterval   = time.Minute
	pingInterval  = 15 * time.Second // so that each end sees that the other is gone
	recordsAtOnce = 100
)

// serveStream sends one page again and again, and what happens meanwhile, as server-sent
// events: "view" with an [view.Answer], and "log" with a [view.Record], whose number is the event's
// id. Who comes again with it as Last-Event-ID, or as since in the address, gets what they have missed; a page's own
// after is another thing.
func (c *Console) serveStream(w http.ResponseWriter, r *http.Request) {
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages are open, and no more may be", maxStreams))
		return
	}
	q := r.URL.Query()
	page := q.Get("page")
	interval, err := intervalOf(q.Get("interval"))
	if err == nil && page != "" {
		_, err = c.answer(r, page, q) // a page that there is not is no stream
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s := &stream{w: w, rc: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy is to pass it on at once
	next := c.timeline.start(r.Header.Get("Last-Event-ID"), q.Get("since"))
	s.begin()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for s.err == nil {
		switch {
		case page != "":
			if a, err := c.answer(r, page, q); err != nil {
				s.event("", "gone", map[string]string{"error": err.Error()})
			} else {
				s.event("", "view", a)
			}
		case time.Since(s.at) >= pingInterval:
			s.write(":\n\n")
		}
		for wait := true; wait && s.err == nil; {
			for _, rec := range c.timeline.after(next, recordsAtOnce) {
				s.event(strconv.FormatUint(rec.ID, 10), "log", rec)
				next = rec.ID
			}
			s.flush()
			select {
			case <-r.Context().Done():
				return
			case <-c.timeline.changed(next):
			case <-tick.C:
				wait = false
			}
		}
	}
}

// intervalOf is how long a stream waits between two views.
func intervalOf(text string) (time.Duration, error) {
	if text == "" {
		return minInterval, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	d := time.Duration(f * float64(time.Second))
	if err != nil || d < minInterval || d > maxInterval {
		return 0, fmt.Errorf("interval %q is no number of seconds from %g to %g", text, minInterval.Seconds(), maxInterval.Seconds())
	}
	return d, nil
}

// stream writes events, until the first error.
type stream struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	at  time.Time // when something was written last
	err error
}

func (s *stream) begin() {
	s.write("retry: 1000\n\n")
	s.flush()
}

func (s *stream) event(id, kind string, data any) {
	b, err := json.Marshal(data) // on one line
	if err != nil {
		s.err = err
		return
	}
	if id != "" {
		s.write("id: " + id + "\n")
	}
	s.write("event: " + kind + "\ndata: ")
	s.write(string(b))
	s.write("\n\n")
}

func (s *stream) write(text string) {
	if s.err == nil {
		s.err = send(s.w, []byte(text))
		s.at = time.Now()
	}
}

func (s *stream) flush() {
	if s.err == nil {
		s.err = s.rc.Flush()
	}
}
