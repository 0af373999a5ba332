// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"fmt"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Unix(0, 0)
	l := limiter{rate: 2}
	count := func(address string) (n int) {
		for l.allow(address, now) {
			n++
		}
		return n
	}
	if n := count("192.0.2.1"); n != 4 {
		t.Error("at once:", n)
	}
	if n := count("192.0.2.2"); n != 4 {
		t.Error("another address:", n)
	}
	now = now.Add(time.Second)
	if n := count("192.0.2.1"); n != 2 {
		t.Error("a second later:", n)
	}
	now = now.Add(time.Hour)
	if n := count("192.0.2.1"); n != 4 {
		t.Error("an hour later:", n)
	}
	if count("2001:db8::1"); count("2001:db8::ffff") != 0 || count("2001:db8:0:1::1") == 0 {
		t.Error("an IPv6 client is its /64")
	}
	if l := (limiter{}); !l.allow("x", now) {
		t.Error("no rate is no limit")
	}
}

func TestLimiterIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	l := limiter{rate: 1}
	for i := range maxAddresses + 10 {
		if ok := l.allow(fmt.Sprint(i), now); ok != (i < maxAddresses) {
			t.Fatalf("address %d: %v", i, ok)
		}
	}
	now = now.Add(10 * time.Second) // the buckets are full again
	if !l.allow("new", now) || len(l.buckets) > maxAddresses {
		t.Error("idle addresses were not forgotten:", len(l.buckets))
	}
}
