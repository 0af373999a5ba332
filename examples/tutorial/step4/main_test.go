// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/examples/tutorial/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestRestartAndStop(t *testing.T) {
	p := program.Start(t)
	if status, body := p.Post("/reserve", "seat", "9Z", "for", "Eve"); status != 500 {
		t.Errorf("a seat that does not exist: %d %s", status, body)
	}
	actortest.Eventually(t, "prices is up again", func() bool {
		return strings.Contains(p.Output(), "restarted")
	})
	if status, body := p.Post("/reserve", "seat", "1A", "for", "Ada"); status != 200 {
		t.Errorf("after the restart: %d %s", status, body)
	}
	report := p.Interrupt()
	for _, row := range []string{ // accepted, finished, failed, canceled, abandoned, dead letters, pending, refused, restarts
		"prices 2 1 1 0 0 0 0 0 1",
		"seats 2 1 1 0 0 0 0 0 0",
	} {
		if !strings.Contains(strings.Join(strings.Fields(report), " "), row) {
			t.Errorf("not in the report: %s", row)
		}
	}
}
