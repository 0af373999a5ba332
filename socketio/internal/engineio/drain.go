// SPDX-License-Identifier: Apache-2.0

package engineio

// drain tracks who waits until what is queued has been written. It is guarded by
// the session's mu; who waits is called without.
type drain struct {
	queued, written uint64 // frames, since the session began
	waiting         []drainWaiter
	over            bool
}

type drainWaiter struct {
	upTo uint64
	call func(written bool)
}

// OnWritten calls f when all that has been queued before has been written to the
// connection, or to polls; or with false when the session has ended before that.
func (s *Session) OnWritten(f func(written bool)) {
	s.mu.Lock()
	d := &s.drain
	if !d.over && d.written < d.queued {
		d.waiting = append(d.waiting, drainWaiter{d.queued, f})
		s.mu.Unlock()
		return
	}
	written := d.written == d.queued
	s.mu.Unlock()
	f(written)
}

// wrote counts frames that have been written.
func (d *drain) wrote(frames int) (tell func()) {
	d.written += uint64(frames)
	n := 0
	for n < len(d.waiting) && d.waiting[n].upTo <= d.written {
		n++
	}
	return d.take(n, true)
}

// end is called when nothing more is written.
func (d *drain) end() (tell func()) {
	d.over = true
	return d.take(len(d.waiting), false)
}

// take returns what calls the first n who wait.
func (d *drain) take(n int, written bool) (tell func()) {
	if n == 0 {
		return func() {}
	}
	list := d.waiting[:n:n]
	if d.waiting = d.waiting[n:]; len(d.waiting) == 0 {
		d.waiting = nil
	}
	return func() {
		for _, w := range list {
			w.call(written)
		}
	}
}
