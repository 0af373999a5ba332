// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/examples/tutorial/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestOrders(t *testing.T) {
	p := program.Start(t)
	order := func(seat, whom string) {
		t.Helper()
		if status, body := p.Post("/order", "seat", seat, "for", whom); status != 202 {
			t.Errorf("%s for %s: %d %s", seat, whom, status, body)
		}
	}
	sold := func(want string) {
		t.Helper()
		actortest.Eventually(t, want, func() bool {
			_, body := p.Get("/sold")
			return body == want
		})
	}
	order("1A", "Ada")
	sold(`[{"Seat":"1A","For":"Ada","Price":90}]`)
	order("9Z", "Eve") // prices panics, each time
	order("1A", "Ada") // once more: no harm
	order("1A", "Bob") // taken
	order("2B", "Cleo")
	sold(`[{"Seat":"1A","For":"Ada","Price":90},{"Seat":"2B","For":"Cleo","Price":60}]`)
	actortest.Eventually(t, "two orders are dead letters", func() bool {
		return strings.Count(p.Output(), "consumer: dead letter") == 2
	})
	p.Interrupt()
}
