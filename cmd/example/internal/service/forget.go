// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
)

// forgetting says which removals are forgotten before their time in the log is
// over, so that what it takes to remember them is bounded. A removal has to be
// known for as long as the item's message may be delivered again.
type forgetting struct {
	keep    int           // so many are not forgotten
	atLeast time.Duration // nor those of that time
	every   time.Duration // looked for
}

// forgettingOf: an item whose message was not acked comes back when its lease is
// over, and one whose client has heard nothing when that client tries again.
func forgettingOf(c Config) forgetting {
	return forgetting{keep: 20_000, atLeast: max(forgetAtLeast, 4*c.Lease), every: time.Second}
}

const forgetAtLeast = 2 * time.Minute

// removals tracks the removals in the log, the oldest first.
type removals struct {
	all []removal
}

type removal struct {
	seq  uint64
	read time.Time // by this process: while it was down nothing came back
}

func (r *removals) add(seq uint64, now time.Time) { r.all = append(r.all, removal{seq, now}) }

// due returns the first most of those that are to be forgotten.
func (r *removals) due(f forgetting, now time.Time, most int) (seqs []uint64) {
	for _, one := range r.all[:min(most, max(len(r.all)-f.keep, 0))] {
		if now.Sub(one.read) < f.atLeast {
			break
		}
		seqs = append(seqs, one.seq)
	}
	return seqs
}

// drop takes the first n.
func (r *removals) drop(n int) {
	r.all = r.all[n:]
	if cap(r.all) > 4*len(r.all)+64 {
		r.all = append(make([]removal, 0, 2*len(r.all)), r.all...)
	}
}

// forgotAtOnce bounds what is forgotten in one go, forgetWithin the time for it.
const (
	forgotAtOnce = 4096
	forgetWithin = 30 * time.Second
)

// forget is the task of the list that has removals forgotten.
func (l *list) forget(t *actors.Task) error {
	for {
		if stopping, err := t.SleepOrStop(l.forgetting.every); stopping || err != nil {
			return err
		}
		seqs := l.removals.due(l.forgetting, time.Now(), forgotAtOnce)
		if len(seqs) == 0 {
			continue
		}
		log := l.log
		n, err := actors.Await(t, actors.Offload(t, func(ctx context.Context) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, forgetWithin)
			defer cancel()
			return log.forget(ctx, seqs)
		}))
		if t.Context().Err() != nil {
			return err
		}
		if err != nil {
			l.storage.logger.Warn("removals could not be forgotten; they will be", "err", err)
		}
		l.removals.drop(n)
	}
}

// forget deletes entries and returns how many it has done with.
func (l *itemLog) forget(ctx context.Context, seqs []uint64) (int, error) {
	s, err := l.js.Stream(ctx, logName)
	if err != nil {
		return 0, fmt.Errorf("the list's log: %w", err)
	}
	for n, seq := range seqs {
		// One that is gone was deleted by another process on this log, or its time
		// was over.
		if err := s.DeleteMsg(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return n, fmt.Errorf("delete from the list's log: %w", err)
		}
	}
	return len(seqs), nil
}
