// SPDX-License-Identifier: Apache-2.0

package service

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/console"
)

// consoleOff, as Config.Console, is no console.
const consoleOff = "off"

// consoleChild is the worker that serves the console. It is started first and stopped last, so
// that somebody can look at how the others start and stop.
type consoleChild struct {
	*console.Console
	wanted bool // somebody has said where
	logger *slog.Logger
}

// newConsole returns nil if there is to be none.
func newConsole(cfg Config, system *actor.ActorSystem, logger *slog.Logger) (*consoleChild, error) {
	if cfg.Console == consoleOff {
		return nil, nil
	}
	c, err := console.New(system, console.Options{Addr: cfg.Console, Actions: cfg.ConsoleActions, Record: cfg.Record, Logger: logger})
	if err != nil {
		return nil, err
	}
	return &consoleChild{c, cfg.Console != "", logger}, nil
}

// setup does without a console that nobody has asked for: to look inside is not what the service is
// for.
func (c *consoleChild) setup(w *actors.Worker) error {
	err := c.Setup(w)
	if err != nil && !c.wanted {
		c.logger.Warn("there is no console", "error", err)
		return nil
	}
	return err
}

// serveLink tells the page where the console is, if whoever looks at it can reach it: both are on this
// machine.
func (c *consoleChild) serveLink(w http.ResponseWriter, r *http.Request) {
	var link struct {
		URL string `json:"url,omitempty"`
	}
	if c != nil && isLoopback(hostOf(r.Host)) {
		if u, err := url.Parse(c.URL()); err == nil && isLoopback(u.Hostname()) {
			link.URL = c.URL()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(link) // the error is the client's: it has gone
}
