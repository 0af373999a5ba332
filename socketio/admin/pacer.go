// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// The bounds of what is sent to a page at a time: with more than socketio.Options.MaxBuffered it would be cut off, and an admin could not look
// at the very server that has too many clients. The names of rooms and events may be what clients have sent.
const (
	maxAtOnce  = 64 << 10 // bytes, about
	socketSize = 1 << 10  // of a socket without its rooms, about
	eventSize  = 200      // of an event without what clients have named, about
)

// pacer sends to a page as fast as that reads. One goroutine or task has it.
type pacer struct {
	page *socketio.Socket
	wait func(drained *actors.Future[actors.None]) error
	size int // of what was sent since the page had read all
}

// emit sends an event of about so many bytes, and then waits if many are on their way.
func (p *pacer) emit(size int, event string, args ...any) error {
	if err := p.page.Emit(event, args...); err != nil {
		return err
	}
	if p.size += size; p.size < maxAtOnce {
		return nil
	}
	p.size = 0
	return p.wait(p.page.Drain())
}
