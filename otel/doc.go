// SPDX-License-Identifier: Apache-2.0

// Package otelloop gives OpenTelemetry what an actor system of protoloop knows of itself.
//
// [NewProducer] has metrics: for each kind of worker how much work came, how it ended and how much is pending, how long it
// waited and how long turns took, and the same of supervisors, consumers and what workers share. They are counters that
// exist anyway, and are read when somebody collects.
//
// Attributes are of bounded number only: the kind of a worker ([actors.Options].Kind), and names of supervisors, their
// static children and consumers. No PID and no name of a task is one.
package otelloop
