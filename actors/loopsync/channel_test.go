// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/testtools"
)

// What need not wait keeps its turn.
func TestChannelsThatAreReady(t *testing.T) {
	run(t, func(b *bench) {
		b.do(func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) { _ = t.Yield(); b.say("other"); return 0, nil })
			ch := make(chan string, 1)
			if err := loopsync.Send(t, ch, "v"); err != nil {
				return err
			}
			v, ok, err := loopsync.Receive(t, ch)
			b.say("%s %v", v, ok)
			if err != nil {
				return err
			}
			close(ch)
			v, ok, err = loopsync.Receive(t, ch)
			b.say("%s %v", v, ok)
			return err
		})
		b.heard("v true", " false", "other")
	})
}

// The worker goes on while a task waits for a channel.
func TestChannelsAreWaitedFor(t *testing.T) {
	run(t, func(b *bench) {
		ch := make(chan int)
		send := b.task(func(t *actors.Task) error { return loopsync.Send(t, ch, 1) })
		b.pending(send)
		b.do(func(*actors.Task) error { b.say("the worker goes on"); return nil })
		b.say("received %d", <-ch)
		b.ended(send, nil)
		receive := b.task(func(t *actors.Task) error {
			v, ok, err := loopsync.Receive(t, ch)
			b.say("received %d %v", v, ok)
			return err
		})
		b.pending(receive)
		ch <- 2
		b.ended(receive, nil)
		receive = b.task(func(t *actors.Task) error {
			v, ok, err := loopsync.Receive(t, ch)
			b.say("received %d %v", v, ok)
			return err
		})
		close(ch)
		b.ended(receive, nil)
		b.heard("the worker goes on", "received 1", "received 2 true", "received 0 false")
	})
}

// One task sends to another of the same worker.
func TestSendToATaskOfTheSameLoop(t *testing.T) {
	run(t, func(b *bench) {
		ch := make(chan int)
		sender := b.task(func(t *actors.Task) error {
			defer close(ch)
			for i := range 100 {
				if err := loopsync.Send(t, ch, i); err != nil {
					return err
				}
			}
			return nil
		})
		sum := 0
		receiver := b.task(func(t *actors.Task) error {
			for {
				v, ok, err := loopsync.Receive(t, ch)
				if err != nil || !ok {
					return err
				}
				sum += v
			}
		})
		b.ended(sender, nil)
		b.ended(receiver, nil)
		if sum != 4950 {
			b.Errorf("the sum is %d", sum)
		}
	})
}

// Send has not sent when it returns an error, and does not later.
func TestSendThatIsCancelled(t *testing.T) {
	run(t, func(b *bench) {
		ch := make(chan int)
		send := b.task(func(t *actors.Task) error { return loopsync.Send(t, ch, 1) })
		send.Cancel()
		b.ended(send, actors.ErrCanceled)
		select {
		case v := <-ch:
			b.Errorf("received %d", v)
		default:
		}
	})
}

// A value that was sent in the moment of the cancel was sent: there is no error.
func TestSendThatIsCancelledTooLate(t *testing.T) {
	run(t, func(b *bench) {
		for range 20 {
			ch := make(chan int)
			var err, after error
			send := b.task(func(t *actors.Task) error {
				err = loopsync.Send(t, ch, 7)
				after = t.Yield()
				return nil
			})
			b.do(func(*actors.Task) error { // the sender cannot go on meanwhile
				if v := <-ch; v != 7 {
					b.Errorf("received %d", v)
				}
				send.Cancel()
				return nil
			})
			synctest.Wait()
			if err != nil || !errors.Is(after, actors.ErrCanceled) {
				b.Fatalf("Send: %v; the next await: %v", err, after)
			}
		}
	})
}

func TestChannelsOfAnEndedTask(t *testing.T) {
	run(t, func(b *bench) {
		ch := make(chan int, 2)
		ch <- 1
		f := b.task(func(t *actors.Task) error {
			_ = t.Sleep(time.Hour)
			if _, _, err := loopsync.Receive(t, ch); !errors.Is(err, actors.ErrCanceled) {
				b.Errorf("Receive: %v", err)
			}
			if err := loopsync.Send(t, ch, 2); !errors.Is(err, actors.ErrCanceled) {
				b.Errorf("Send: %v", err)
			}
			i, err := loopsync.Select(t, loopsync.OnReceive(ch, nil, nil), loopsync.OnSend(ch, 2), loopsync.OnTimer(0))
			if i != -1 {
				b.Errorf("Select: %d", i)
			}
			return err
		})
		f.Cancel()
		b.ended(f, actors.ErrCanceled)
		if len(ch) != 1 {
			b.Errorf("%d values in the channel", len(ch))
		}
	})
}

// Who sends to a channel that is closed meanwhile panics as in Go, in the task.
func TestSendToAClosedChannel(t *testing.T) {
	for name, send := range map[string]func(t *actors.Task, ch chan int) error{
		"Send": func(t *actors.Task, ch chan int) error { return loopsync.Send(t, ch, 1) },
		"Select": func(t *actors.Task, ch chan int) error {
			_, err := loopsync.Select(t, loopsync.OnSend(ch, 1))
			return err
		},
		"Select, of three": func(t *actors.Task, ch chan int) error { _, err := loopsync.Select(t, threeCases(ch)...); return err },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				ch := make(chan int)
				f := b.task(func(t *actors.Task) error { return send(t, ch) })
				b.pending(f)
				close(ch)
				synctest.Wait()
				var p *actors.PanicError
				if _, err := f.TryResult(); !errors.As(err, &p) || fmt.Sprint(p.Value) != "send on closed channel" {
					b.Errorf("got %v", err)
				}
				b.do(func(t *actors.Task) error {
					testtools.WantPanic(b, func() { _ = send(t, ch) }, "send on closed channel")
					return nil
				})
			})
		})
	}
}

func threeCases(ch chan int) []loopsync.Case {
	return []loopsync.Case{loopsync.OnSend(ch, 1), loopsync.OnReceive(make(chan int), nil, nil), loopsync.OnTimer(time.Hour)}
}

// A nil channel is never ready.
func TestNilChannels(t *testing.T) {
	run(t, func(b *bench) {
		var none chan int
		for _, wait := range []func(t *actors.Task) error{
			func(t *actors.Task) error { return loopsync.Send(t, none, 1) },
			func(t *actors.Task) error { _, _, err := loopsync.Receive(t, none); return err },
			func(t *actors.Task) error { _, err := loopsync.Select(t); return err },
			func(t *actors.Task) error {
				_, err := loopsync.Select(t, loopsync.OnSend(none, 1), loopsync.OnReceive(none, nil, nil))
				return err
			},
		} {
			f := b.task(wait)
			time.Sleep(time.Hour)
			b.pending(f)
			f.Cancel()
			b.ended(f, actors.ErrCanceled)
		}
	})
}

// Waits for channels end with the worker: at the stop event in UntilStop.
func TestChannelsUntilStop(t *testing.T) {
	run(t, func(b *bench) {
		ch := make(chan int)
		for _, wait := range []func(t *actors.Task) error{
			func(t *actors.Task) error { return loopsync.Send(t, ch, 1) },
			func(t *actors.Task) error { _, _, err := loopsync.Receive(t, make(chan int)); return err },
			func(t *actors.Task) error {
				_, err := loopsync.Select(t, threeCases(ch)...)
				return err
			},
		} {
			f := b.task(func(t *actors.Task) error { return t.UntilStop(wait) })
			f.OnDone(func(_ struct{}, err error) {
				if !errors.Is(err, actors.ErrCanceled) {
					b.Errorf("ended with %v", err)
				}
			})
		}
	}) // the stop would take an hour
}
