// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/protoloop/protoloop/examples/tutorial/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestStatus(t *testing.T) {
	p := program.Start(t)
	for _, c := range []struct {
		seat, whom string
		status     int
		body       string
	}{
		{"1A", "Ada", 200, `{"Seat":"1A","For":"Ada","Price":90}`},
		{"1A", "Bob", 409, "1A: the seat is taken"},
		{"3C", "Dan", 504, "no answer in time"},
		{"9Z", "Eve", 500, "internal error"},
		{"", "Eve", 400, "which seat, and for whom?"},
	} {
		if status, body := p.Post("/reserve", "seat", c.seat, "for", c.whom); status != c.status || body != c.body {
			t.Errorf("%s for %s: %d %s", c.seat, c.whom, status, body)
		}
	}
}
