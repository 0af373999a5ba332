// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"
)

// bareDeadlines are the least that ends what takes too long: all have the same timeout, so that those that come
// later end later.
type bareDeadlines[T bareEnded] struct {
	mu      sync.Mutex
	inOrder []bareDeadline[T]
	timer   *time.Timer
}

// bareEnded is what has a deadline.
type bareEnded interface {
	hasEnded() bool
	end(err error)
}

type bareDeadline[T bareEnded] struct {
	when time.Duration // since bareBegan: to read that takes half as long as the time
	of   T
}

var bareBegan = time.Now()

// add has what it is given end after the timeout.
func (d *bareDeadlines[T]) add(of T, timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.inOrder) > 0 && d.inOrder[0].of.hasEnded() {
		d.inOrder = d.inOrder[1:]
	}
	d.inOrder = append(d.inOrder, bareDeadline[T]{time.Since(bareBegan) + timeout, of})
	if d.timer == nil {
		d.timer = time.AfterFunc(timeout, d.endDue)
	}
}

// endDue is the timer's.
func (d *bareDeadlines[T]) endDue() {
	d.mu.Lock()
	var due []T
	now := time.Since(bareBegan)
	for len(d.inOrder) > 0 && (now >= d.inOrder[0].when || d.inOrder[0].of.hasEnded()) {
		due = append(due, d.inOrder[0].of)
		d.inOrder = d.inOrder[1:]
	}
	if len(d.inOrder) > 0 {
		d.timer.Reset(d.inOrder[0].when - now)
	} else {
		d.timer = nil
	}
	d.mu.Unlock()
	for _, of := range due {
		of.end(context.DeadlineExceeded)
	}
}

func (d *bareDeadlines[T]) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}
