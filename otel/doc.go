// SPDX-License-Identifier: Apache-2.0

// Package otelloop gives OpenTelemetry what an actor system of protoloop knows of itself.
//
// [NewProducer] has metrics: for each kind of worker how much work came, how it ended and how much is pending, how long it
// waited and how long turns took, and the same of supervisors, consumers and what workers share. They are counters that
// exist anyway, and are read when somebody collects. Attributes are of bounded number only: the kind of a
// worker ([actors.Options].Kind), and names of supervisors, their static children, consumers and events of Socket.IO. No PID is one, but
// with [ProducerOptions].PerWorker, and no name of a task.
//
// [New] has traces. [Tracing.Observe] makes a span of each ask, send, Submit, Start and Offload that belongs to a trace: one
// that a caller has given by [actors.WithContext] or a task by [actors.Task.SetContext], that came with a message from
// another machine, or that [Options].Roots has begun. What a task does belongs to its span without anybody's passing a context.
// [Tracing.StartSend] and [Tracing.Handler] lead a trace through a queue, whichever it is: it is in the message's attributes. [Tracing.Open]
// adds the calls of the queue.
//
// [LogHandler] adds the trace to log records.
package otelloop
