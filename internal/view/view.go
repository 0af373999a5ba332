// SPDX-License-Identifier: Apache-2.0

// Package view is what the console shows, as values: package console serves them as JSON, and
// its pages and the command line read that.
//
// A [State] is what was seen of a process at one moment. Everything else here is made of it by
// functions that look at nothing else, and keep nothing: so a test needs no actor system, and a
// page shows what a command prints.
//
// In JSON a duration is a number of seconds, in a field whose name ends in _s. A field that
// has nothing to say is left out. Names of workers, tasks, children, rooms and sockets, and the texts of
// errors, have passed the console's Redact. Bodies and attributes of messages are not here.
package view

import (
	"net/url"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/label"
)

// Answer is one page, as each endpoint gives it and each "view" event of a stream.
type Answer struct {
	Page    string    `json:"page"`  // "overview"
	At      time.Time `json:"at"`    // of what is shown
	Age     float64   `json:"age_s"` // how long ago that was; more than a second where looks take long
	Seq     uint64    `json:"seq"`   // grows with each look; what has the same number was seen at the same moment
	Verdict Verdict   `json:"verdict"`
	View    any       `json:"view"` // *Overview
}

// Verdict is the lints in short, for the head of each page.
type Verdict struct {
	Level    Level  `json:"level"` // of the worst lint; "ok" if there is none but notes
	Text     string `json:"text"`  // in words: "1 error, 2 warnings"
	Errors   int    `json:"errors"`
	Warnings int    `json:"warnings"`
	Notes    int    `json:"notes"`
}

// Problem is the body of an answer with an error status.
type Problem struct {
	Error string `json:"error"`
}

// About is what does not change while the process runs.
type About struct {
	PID        int       `json:"pid"`
	Command    string    `json:"command"` // the program's file, without its folder
	Started    time.Time `json:"started"` // about
	Go         string    `json:"go"`
	Version    string    `json:"version,omitempty"` // of the main module
	GOMAXPROCS int       `json:"gomaxprocs"`
	Address    string    `json:"address"`  // of the actor system
	Actions    bool      `json:"actions"`  // whoever asks may act
	Recorder   bool      `json:"recorder"` // a flight recorder runs
	Host       string    `json:"host,omitempty"`
}

// Redact replaces a text that is shown; what says which kind it is: see the constants. Nil
// replaces nothing.
type Redact func(what, text string) string

// What is redacted.
const (
	RedactWorker = "worker" // the id of a PID
	RedactTask   = "task"
	RedactError  = "error"
	RedactRoom   = "room"
	RedactSocket = "socket" // a client's address
	RedactQueue  = "queue"  // a message's id or key
)

// The bounds of what is shown, in bytes: names and errors may have whatever somebody has sent in them, and are sent again each second.
const (
	maxName  = 256
	maxError = 4 << 10
)

// Text is a text of that kind as it may be shown.
func (r Redact) Text(what, text string) string {
	if r != nil && text != "" {
		text = r(what, text)
	}
	switch what {
	case RedactError:
		return label.Text(text, maxError)
	case RedactWorker: // two that begin alike are to be told apart
		return label.Of(text, maxName)
	}
	return label.Text(text, maxName)
}

// Named is a name that the program has chosen, and that is no secret.
func Named(name string) string { return label.Of(name, maxName) }

func (r Redact) worker(id string) string { return r.Text(RedactWorker, id) }
func (r Redact) task(name string) string { return r.Text(RedactTask, name) }

// Err is the text of an error.
func (r Redact) Err(err error) string {
	if err == nil {
		return ""
	}
	return r.Text(RedactError, label.OfError(err, 1<<20))
}

// Worker is the name of a PID: its id, with the address before it if that is not home.
func (r Redact) Worker(pid *actor.PID, home string) string {
	switch {
	case pid == nil:
		return ""
	case pid.Address == home || pid.Address == "" || home == "":
		return r.worker(pid.Id)
	}
	return label.Text(pid.Address, maxName) + "/" + r.worker(pid.Id)
}

// seconds is how JSON has a duration: to a microsecond, and what is short to a nanosecond.
func seconds(d time.Duration) float64 {
	if d > time.Millisecond || d < -time.Millisecond {
		d = d.Round(time.Microsecond)
	}
	return d.Seconds()
}

// pageOf is the page that shows a worker.
func pageOf(worker string) string { return "worker?id=" + url.QueryEscape(worker) }
