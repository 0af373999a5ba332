// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFanOut(t *testing.T) {
	for _, tt := range []struct {
		requests, workers int
		want              string
	}{
		{1, 1, "0 of the numbers from 1 to 1 are prime"},
		{3, 8, "2 of the numbers from 1 to 3 are prime"},
		{10_000, 8, "1229 of the numbers from 1 to 10000 are prime"},
	} {
		c := newTestCrew(t)
		var stdout, stderr output
		if err := fanOut(t.Context(), c, &stdout, &stderr, tt.requests, tt.workers); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(stdout.String(), tt.want) {
			t.Errorf("%d requests to %d workers: no %q in:\n%s", tt.requests, tt.workers, tt.want, stdout.String())
		}
		if !strings.HasSuffix(stderr.String(), "(100%)\n") {
			t.Errorf("%d requests to %d workers: the progress ends with %q", tt.requests, tt.workers, stderr.String())
		}
	}
}

func TestFanOutInterrupted(t *testing.T) {
	for _, moment := range []string{"before", "while sending", "while gathering"} {
		t.Run(moment, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			want := &interrupted{syscall.SIGINT}
			var stdout, stderr output
			switch moment {
			case "before":
				cancel(want)
			case "while sending":
				go func() {
					stdout.await(t.Context(), "Fan-out")
					cancel(want)
				}()
			case "while gathering":
				go func() {
					stderr.await(t.Context(), "(10%)")
					cancel(want)
				}()
			}
			err := fanOut(ctx, newTestCrew(t), &stdout, &stderr, 200_000, 4)
			if !errors.Is(err, want) {
				t.Errorf("error %v, want the interrupt", err)
			}
			if strings.Contains(stdout.String(), "p50") {
				t.Error("there is a table of half a run")
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	var to100 []time.Duration
	for i := range 100 {
		to100 = append(to100, time.Duration(i+1))
	}
	for _, tt := range []struct {
		sorted []time.Duration
		p      int
		want   time.Duration
	}{
		{to100, 50, 50}, {to100, 99, 99}, {to100, 100, 100}, {to100, 1, 1},
		{to100[:3], 50, 2}, {to100[:2], 50, 1}, {to100[:1], 50, 1}, {to100[:1], 100, 1},
	} {
		if got := percentile(tt.sorted, tt.p); got != tt.want {
			t.Errorf("p%d of %d values is %d, want %d", tt.p, len(tt.sorted), got, tt.want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 45_678_901: "45.7ms", 999_900: "1ms", 1_234_567_890: "1.23s",
	} {
		if got := short(d).String(); got != want {
			t.Errorf("short(%d) is %s, want %s", d, got, want)
		}
	}
}

func TestLines(t *testing.T) {
	for _, total := range []int{1, 7, 10, 15, 101} {
		var out strings.Builder
		p := newProgress(&out, total)
		for n := range total {
			p.reached(n + 1)
		}
		p.end()
		if lines := strings.Count(out.String(), "\n"); lines < 1 || lines > 10 {
			t.Errorf("%d lines for a total of %d", lines, total)
		}
		if !strings.HasSuffix(out.String(), "(100%)\n") {
			t.Errorf("a total of %d ends with %q", total, out.String())
		}
	}
}
