// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

// Ticks come each d from the call on, whatever the body does. One that is due while it
// runs comes late, and those before that are lost, as from a time.Ticker.
func TestEveryTicks(t *testing.T) {
	for name, c := range map[string]struct {
		body []time.Duration // how long it takes, in tenths of the interval
		got  []time.Duration // when it is called
		of   []time.Duration // the ticks
	}{
		"a quick body":                   {[]time.Duration{1, 9, 0, 5, 0}, []time.Duration{10, 20, 30, 40, 50}, []time.Duration{10, 20, 30, 40, 50}},
		"a body that takes the interval": {[]time.Duration{10, 10, 0}, []time.Duration{10, 20, 30}, []time.Duration{10, 20, 30}},
		"a slow body":                    {[]time.Duration{12, 0, 0}, []time.Duration{10, 22, 30}, []time.Duration{10, 20, 30}},
		"a very slow body":               {[]time.Duration{25, 3, 27, 0}, []time.Duration{10, 35, 40, 67}, []time.Duration{10, 30, 40, 60}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(w *world, t *actors.Task) error {
				const tenth = time.Millisecond
				start := time.Now()
				var got, of []time.Duration
				for tick, err := range t.Every(10 * tenth) {
					if err != nil {
						return err
					}
					got, of = append(got, time.Since(start)/tenth), append(of, tick.Sub(start)/tenth)
					if len(got) == len(c.body) {
						break
					}
					if err := t.Sleep(c.body[len(got)-1] * tenth); err != nil {
						return err
					}
				}
				if !slices.Equal(got, c.got) || !slices.Equal(of, c.of) {
					w.Errorf("called at %d with %d, want %d with %d", got, of, c.got, c.of)
				}
				return t.Yield() // the task goes on
			})
		})
	}
}

// A body that never awaits, and takes longer than the interval, leaves others a turn.
func TestEveryGivesTheLoopBack(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		turns := 0
		other := t.Go(func(t *actors.Task) error {
			for range 10 {
				if err := t.Sleep(time.Second); err != nil {
					return err
				}
				turns++
			}
			return nil
		})
		n := 0
		for _, err := range t.Every(time.Second) {
			if n++; err != nil || n > 20 {
				w.Errorf("the other task has had %d turns: %v", turns, err)
				break
			}
			time.Sleep(3 * time.Second)
			if other.Done() {
				break
			}
		}
		return t.Await(other)
	})
}

// The stop event ends it at once, and that is no failure of a Background or Main.
func TestEveryEndsAtTheStop(t *testing.T) {
	for name, body := range map[string]func(t *actors.Task) error{
		"while it waits":         nothing,
		"while its body runs":    func(t *actors.Task) error { _, err := t.SleepOrStop(time.Hour); return err },
		"when a tick is due too": func(t *actors.Task) error { return t.Sleep(time.Second) },
	} {
		for _, as := range []string{"Background", "Main", "Submit"} {
			t.Run(as+" "+name, func(t *testing.T) {
				bubble(t, func(w *world) {
					ticks, ends := 0, 0
					run := func(t *actors.Task) error {
						for tick, err := range t.Every(time.Second) {
							if err != nil {
								if ends++; !tick.IsZero() || !errors.Is(err, actors.ErrStopping) || actors.RetrySafe(err) || t.Context().Err() != nil {
									w.Errorf("the last element is %v, %v", tick, err)
								}
								return err
							}
							ticks++
							if err := body(t); err != nil {
								return err
							}
						}
						return nil
					}
					log := &logs{}
					pid := w.worker("worker", actors.Options{Logger: log.logger()}, func(w *actors.Worker) error {
						switch as {
						case "Background":
							w.Background("part", run)
						case "Main":
							w.Main(run)
						}
						return nil
					})
					var f *actors.Future[actors.None]
					if as == "Submit" {
						f = did(w.root, pid, run)
					}
					time.Sleep(time.Second)
					synctest.Wait()
					time.Sleep(time.Second - 1)
					if name == "when a tick is due too" {
						time.Sleep(time.Nanosecond)
					}
					start := time.Now()
					w.stopped(pid, time.Hour)
					if took := time.Since(start); took > time.Second || ticks == 0 || ends != 1 {
						w.Errorf("the stop took %v, after %d ticks and %d ends", took, ticks, ends)
					}
					if f != nil {
						_, err := result(f)
						if !errors.Is(err, actors.ErrStopping) || actors.RetrySafe(err) {
							w.Errorf("who waits for it gets %v", err)
						}
					}
					if text := log.text(); text != "" {
						w.Error(text)
					}
				})
			})
		}
	}
}

// Of a worker that stops already there is no tick, and an error beside that of the stop
// event is a failure.
func TestEveryAfterTheStopEvent(t *testing.T) {
	bubble(t, func(w *world) {
		log := &logs{}
		pid := w.worker("worker", actors.Options{Logger: log.logger()}, func(wk *actors.Worker) error {
			wk.Background("part", func(t *actors.Task) error {
				if _, err := t.SleepOrStop(time.Hour); err != nil {
					return err
				}
				for range 2 {
					n := 0
					for _, err := range t.Every(1) {
						if n++; !errors.Is(err, actors.ErrStopping) {
							w.Error(err)
						}
					}
					if n != 1 {
						w.Errorf("%d elements", n)
					}
				}
				for _, err := range t.Every(time.Hour) {
					return errors.Join(err, errLeft)
				}
				return nil
			})
			return nil
		})
		w.stopped(pid, time.Hour)
		testtools.WantText(w, errors.New(log.text()), "left")
	})
}

func TestEveryEndsWithItsTask(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		var last error
		n := 0
		f := did(w.root, pid, func(t *actors.Task) error {
			for _, last = range t.Every(time.Second) {
				n++
			}
			return last
		}, actors.Timeout(3500*time.Millisecond))
		wantErr(w, f, actors.ErrTimeout)
		w.stopped(pid, 0)
		if n != 4 || !errors.Is(last, actors.ErrTimeout) {
			w.Errorf("%d elements, the last one %v", n, last)
		}
	})
}

func TestEveryLeavesNothing(t *testing.T) {
	nothingWaitsAfter(t, func(t *actors.Task) error {
		for range 10 {
			for _, err := range t.Every(1) {
				if err != nil {
					return err
				}
				break
			}
		}
		return nil
	})
}

func TestEveryMisuse(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		for _, d := range []time.Duration{0, -1} {
			testtools.WantPanic(w, func() { t.Every(d) }, "actors: ", "Every", d.String(), "positive")
		}
		ticks := t.Every(time.Second)
		f := t.Go(func(*actors.Task) error {
			testtools.WantText(w, testtools.PanicOf(func() {
				for range ticks {
					w.Error("a tick")
				}
			}), "actors: ", "Every called with the Task of", "use the function's own Task")
			return nil
		})
		return t.Await(f)
	})
}

// daily is due each day at some hours after midnight, of the years up to an end.
type daily struct {
	hours []int
	until time.Time
}

func (d daily) Next(after time.Time) time.Time {
	y, m, day := after.Date()
	for i := 0; ; i++ {
		for _, h := range d.hours {
			if at := time.Date(y, m, day+i, h, 0, 0, 0, after.Location()); at.After(after) {
				if !d.until.IsZero() && at.After(d.until) {
					return time.Time{}
				}
				return at
			}
		}
	}
}

// forDays is in for what takes long.
func forDays(t *testing.T, f func(w *world, t *actors.Task) error) {
	t.Helper()
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		if _, err := did(w.root, pid, func(t *actors.Task) error { return f(w, t) }).Wait(w.Context()); err != nil {
			w.Errorf("the task failed: %v", err)
		}
	})
}

// A tick comes at each time of the schedule. Of those that come while the body runs the first comes late.
func TestOnSchedule(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		body    []time.Duration
		got, of []int // hours from the beginning, midnight: when it is called, and the ticks
	}{
		"a quick body":              {[]time.Duration{0, hour, 0, 0}, []int{6, 18, 30, 42}, []int{6, 18, 30, 42}},
		"a body past the next":      {[]time.Duration{13 * hour, 0, 0}, []int{6, 19, 30}, []int{6, 18, 30}},
		"a body past many":          {[]time.Duration{50 * hour, 0, 0}, []int{6, 56, 66}, []int{6, 18, 66}},
		"a body past many, and one": {[]time.Duration{50 * hour, 15 * hour, 0, 0}, []int{6, 56, 71, 78}, []int{6, 18, 66, 78}},
	} {
		t.Run(name, func(t *testing.T) {
			forDays(t, func(w *world, t *actors.Task) error {
				start := time.Now() // midnight in UTC
				var got, of []int
				for tick, err := range t.OnSchedule(daily{hours: []int{6, 18}}) {
					if err != nil {
						return err
					}
					got, of = append(got, int(time.Since(start)/hour)), append(of, int(tick.Sub(start)/hour))
					if len(got) == len(c.body) {
						break
					}
					if err := t.Sleep(c.body[len(got)-1]); err != nil {
						return err
					}
				}
				if !slices.Equal(got, c.got) || !slices.Equal(of, c.of) {
					w.Errorf("called at %d with %d, want %d with %d", got, of, c.got, c.of)
				}
				return t.Yield() // the task goes on
			})
		})
	}
}

// A schedule that ends, ends it. One that does not go on, or is nil, panics, and says what is wrong.
func TestOnScheduleEnds(t *testing.T) {
	forDays(t, func(w *world, t *actors.Task) error {
		n := 0
		for _, err := range t.OnSchedule(daily{hours: []int{0, 12}, until: time.Now().Add(48 * time.Hour)}) {
			if err != nil {
				return err
			}
			n++
		}
		if n != 4 {
			w.Errorf("%d ticks in two days, want 4", n)
		}
		return nil
	})
	for what, s := range map[string]actors.Schedule{"a nil Schedule": nil, "which is not after": stuck{}} {
		bubble(t, func(w *world) {
			err := w.inTask(func(t *actors.Task) error {
				for range t.OnSchedule(s) {
				}
				return nil
			})
			if p := (*actors.PanicError)(nil); !errors.As(err, &p) || !strings.Contains(p.Error(), what) {
				w.Errorf("got %v, want a panic with %q", err, what)
			}
		})
	}
}

type stuck struct{}

func (stuck) Next(after time.Time) time.Time { return after }

// The stop event ends it, as it ends Every.
func TestOnScheduleEndsAtTheStop(t *testing.T) {
	bubble(t, func(w *world) {
		ended := make(chan error, 1)
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			w.Background("nightly", func(t *actors.Task) error {
				for _, err := range t.OnSchedule(daily{hours: []int{3}}) {
					if err != nil {
						ended <- err
						return err
					}
				}
				return nil
			})
			return nil
		})
		time.Sleep(10 * time.Hour)
		w.stopped(pid, time.Hour)
		if err := <-ended; !errors.Is(err, actors.ErrStopping) || actors.RetrySafe(err) {
			w.Errorf("it has ended with %v", err)
		}
	})
}
