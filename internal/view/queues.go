// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/consumer"
)

// Queues is what consumers do.
type Queues struct {
	Consumers []Consumer `json:"consumers"` // by name
}

// Consumer is one consumer, over all its workers.
type Consumer struct {
	Name        string         `json:"name"`
	Workers     []string       `json:"workers"`
	Concurrency int            `json:"concurrency"`
	Prefetch    int            `json:"prefetch"`
	MaxTries    int            `json:"max_tries"`
	Stats       consumer.Stats `json:"stats"`
	Agrees      bool           `json:"agrees"` // the account adds up
	Rate        float64        `json:"rate"`   // messages a second that were settled
	// Lag is how many messages wait in the queue, some seconds ago; -1: it is not known, and LagError
	// says why.
	Lag         int64        `json:"lag"`
	LagError    string       `json:"lag_error,omitempty"`
	QueueTime   float64      `json:"queue_time_s"` // for which the last message had been in the queue; 0: unknown
	LastPoll    *time.Time   `json:"last_poll,omitempty"`
	LastReceive *time.Time   `json:"last_receive,omitempty"`
	BreakerOpen float64      `json:"breaker_open_s"` // for so long; 0: it is closed
	OpenCause   string       `json:"breaker_cause,omitempty"`
	InFlight    []Message    `json:"in_flight"`    // the oldest first; 200 at most
	Errors      []QueueError `json:"errors"`       // of handlers and of the source, the newest first; 8 at most
	Dead        []Record     `json:"dead_letters"` // that the timeline has, the newest first
}

// Message is one that was received and is not settled. What is in it is not shown.
type Message struct {
	ID     string  `json:"id"`
	Key    string  `json:"key,omitempty"` // a hash of its key
	Task   string  `json:"task"`
	Worker string  `json:"worker"`
	Tries  int     `json:"tries"`
	State  string  `json:"state"` // see consumer.MessageInfo
	Age    float64 `json:"age_s"`
}

// QueueError is an error of a handler, or of a call of the source.
type QueueError struct {
	At      time.Time `json:"at"`
	Message string    `json:"message,omitempty"` // its id; empty: it is the source's
	Try     int       `json:"try,omitempty"`
	Error   string    `json:"error"`
	Line    string    `json:"line,omitempty"`
	Stack   string    `json:"stack,omitempty"`
}

// Lag is how many messages wait in a queue, or why that is not known.
type Lag struct {
	N   int64
	Err error
}

// Queues is the page of that name. lags are by the place of the consumer in the state; dead are the dead
// letters of the timeline, the newest first.
func (s *State) Queues(lags []Lag, dead []Record) *Queues {
	v := &Queues{Consumers: []Consumer{}}
	for i := range s.Consumers {
		lag := Lag{N: -1}
		if i < len(lags) {
			lag = lags[i]
		}
		v.Consumers = append(v.Consumers, s.consumer(&s.Consumers[i], lag, dead))
	}
	return v
}

func (s *State) consumer(c *consumer.Info, lag Lag, dead []Record) Consumer {
	v := Consumer{
		Name: Named(c.Name), Workers: []string{}, Concurrency: c.Concurrency, Prefetch: c.Prefetch, MaxTries: c.MaxTries, Stats: c.Stats, Agrees: c.Stats.Agree(),
		Lag: lag.N, LagError: s.Redact.Err(lag.Err), QueueTime: seconds(c.QueueTime), LastPoll: timeOf(c.LastPoll), LastReceive: timeOf(c.LastReceive),
		OpenCause: s.Redact.Err(c.OpenCause), InFlight: []Message{}, Errors: []QueueError{}, Dead: []Record{},
	}
	if lag.Err != nil {
		v.Lag = -1
	}
	if !c.Stats.OpenSince.IsZero() {
		v.BreakerOpen = s.since(c.Stats.OpenSince)
	}
	if before := s.Before.consumerLike(c); before != nil {
		v.Rate = s.rate(settledOf(&c.Stats) - settledOf(&before.Stats))
	}
	for _, pid := range c.Workers {
		v.Workers = append(v.Workers, s.Redact.worker(pid.Id))
	}
	for i := range c.InFlight {
		m := &c.InFlight[i]
		one := Message{
			ID: s.Redact.Text(RedactQueue, m.ID), Task: s.Redact.task(m.Task), Worker: s.Redact.worker(m.Worker.GetId()), Tries: m.Tries, State: m.State, Age: seconds(m.Age),
		}
		if m.KeyHash != 0 {
			one.Key = strconv.FormatUint(m.KeyHash, 16)
		}
		v.InFlight = append(v.InFlight, one)
	}
	for i := range slices.Backward(c.Errors) {
		e := &c.Errors[i]
		v.Errors = append(v.Errors, QueueError{
			At: e.At, Message: s.Redact.Text(RedactQueue, e.Message), Try: e.Try, Error: s.Redact.Err(e.Err), Line: LineOf(string(e.Stack)), Stack: string(e.Stack),
		})
	}
	for i := range dead {
		if slices.Contains(v.Workers, dead[i].Worker) {
			v.Dead = append(v.Dead, dead[i])
		}
	}
	return v
}

// consumerLike is the same consumer at an earlier look, or nil. s may be nil.
func (s *State) consumerLike(c *consumer.Info) *consumer.Info {
	if s == nil {
		return nil
	}
	for i := range s.Consumers {
		o := &s.Consumers[i]
		if o.Name == c.Name && slices.ContainsFunc(o.Workers, func(pid *actor.PID) bool {
			return slices.ContainsFunc(c.Workers, pid.Equal)
		}) {
			return o
		}
	}
	return nil
}

func settledOf(c *consumer.Stats) int64 { return c.Received - c.InFlight }

// timeOf is nil for none.
func timeOf(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
