// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"log/slog"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// BenchmarkBlockedTurn is how long it takes from the begin of a turn that blocks
// until its record is there, beside many suspended tasks, and for how long the
// world is stopped for that at most.
func BenchmarkBlockedTurn(b *testing.B) {
	for name, suspended := range map[string]int{"100": 100, "100000": 100_000} {
		b.Run(name, func(b *testing.B) { benchmarkBlockedTurn(b, suspended) })
	}
}

func benchmarkBlockedTurn(b *testing.B, suspended int) {
	told := make(chan time.Time, 1)
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer sys.Shutdown()
	spawn := func(name string, o actors.Options) *actor.PID {
		pid, err := actors.Spawn(b.Context(), sys.Root, name, bare, o)
		if err != nil {
			b.Fatal(err)
		}
		return pid
	}
	end := make(chan none)
	sleeper := spawn("sleeper", actors.Options{BlockedTurn: -1})
	for range suspended {
		do(sys.Root, sleeper, func(t *actors.Task) error { _, _, err := loopsync.Receive(t, end); return err })
	}
	stuck := spawn("stuck", actors.Options{BlockedTurn: 200 * time.Millisecond, Logger: slog.New(tellWarnings{told})})
	do(sys.Root, sleeper, func(*actors.Task) error { return nil }).Wait(b.Context())
	before := pauses().Counts
	var sum time.Duration
	for b.Loop() {
		release := make(chan none)
		begun := time.Now()
		f := do(sys.Root, stuck, func(*actors.Task) error { stuckHere(release); return nil })
		sum += (<-told).Sub(begun)
		close(release)
		f.Wait(b.Context())
		time.Sleep(time.Second) // until the next may be looked at
	}
	b.ReportMetric(sum.Seconds()*1000/float64(b.N), "ms-to-record")
	b.ReportMetric(longestPause(before)*1000, "max-pause-ms")
	b.ReportMetric(0, "ns/op")
	close(end)
	for _, pid := range []*actor.PID{sleeper, stuck} {
		if _, err := actors.Stop(context.Background(), sys.Root, pid, time.Minute); err != nil {
			b.Error(err)
		}
	}
}

// longestPause is the upper bound of the longest stop of the world, but for the
// collector's, since the counts were taken; without any it returns 0.
func longestPause(since []uint64) (seconds float64) {
	h := pauses()
	for i, n := range h.Counts {
		if i < len(since) && n > since[i] {
			seconds = h.Buckets[i+1]
		}
	}
	return seconds
}

func pauses() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64Histogram()
}

// tellWarnings tells when a warning was logged.
type tellWarnings struct{ at chan time.Time }

func (h tellWarnings) Enabled(_ context.Context, l slog.Level) bool { return l == slog.LevelWarn }
func (h tellWarnings) Handle(context.Context, slog.Record) error    { h.at <- time.Now(); return nil }
func (h tellWarnings) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h tellWarnings) WithGroup(string) slog.Handler                { return h }
