// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/internal/engine"
)

// The engine's remote logs what it cannot serialize, and drops it. What is longer
// than the other side receives costs the connection, with all that is on its way:
// the asker hears of neither before its timeout. So what goes to another machine
// for an asker is looked at first.

const (
	// remoteLimit is how many bytes gRPC receives at a time; messages.SetLimit may have
	// set another limit.
	remoteLimit = 4 << 20
	// remoteOverhead is room for what goes with a message.
	remoteOverhead = 1 << 10
)

// unsendable returns why a message cannot be sent to pid; nil if it can, or if
// pid is not reached by the engine's remote: others have rules of their own.
//
// It serializes the message, or what a remote.RootSerializable gives in its place. The
// remote will do that again; but nothing else finds all that can be wrong with a
// message, such as text that is not UTF-8.
//
// Methods of the user's run then, as those of a struct that embeds a nil
// proto.Message. One that panics would fail the worker that answers with it; the
// remote's own goroutine, which comes later, would end the process.
//
// beside is how many bytes go with it that remoteOverhead has no room for.
func (s *system) unsendable(pid *actor.PID, message any, beside int64) error {
	if s.local(pid) {
		return nil
	}
	return s.unsendableTo(pid, message, beside)
}

// unsendableTo is unsendable for the PID of another machine.
func (s *system) unsendableTo(pid *actor.PID, message any, beside int64) (why error) {
	p, _ := s.as.ProcessRegistry.Get(pid)
	if !engine.IsRemote(p) {
		return nil
	}
	message = actor.UnwrapEnvelopeMessage(message)
	if message == nil { // an answer; a request of nil does not get this far
		return fmt.Errorf("%w: a nil to %s is no proto.Message", ErrUnsendable, addressOf(pid))
	}
	defer func() {
		if p := recover(); p != nil {
			why = fmt.Errorf("%w: a %T to %s: a panic as it was serialized: %v", ErrUnsendable, message, addressOf(pid), p)
		}
	}()
	inPlace, serializes, err := engine.SerializedOf(message)
	switch {
	case err != nil:
		return fmt.Errorf("%w: a %T to %s: %w", ErrUnsendable, message, addressOf(pid), err)
	case serializes:
		message = inPlace
	}
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%w: a %T to %s is no proto.Message", ErrUnsendable, message, addressOf(pid))
	}
	limit := s.remoteLimit.Load()
	if limit == 0 {
		limit = remoteLimit
	}
	if size := proto.Size(m); limit > 0 && int64(size) > limit-remoteOverhead-beside {
		return fmt.Errorf("%w: a %T of %d bytes to %s, which with what goes with it is more than the limit of %d: see messages.SetLimit",
			ErrUnsendable, message, size, addressOf(pid), limit)
	}
	buf, _ := s.remoteBuffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer s.remoteBuffers.Put(buf)
	out, err := proto.MarshalOptions{}.MarshalAppend((*buf)[:0], m)
	if err != nil {
		return fmt.Errorf("%w: a %T to %s: %w", ErrUnsendable, message, addressOf(pid), err)
	}
	*buf = out
	return nil
}

func addressOf(pid *actor.PID) string { return pid.Address + "/" + pid.Id }
