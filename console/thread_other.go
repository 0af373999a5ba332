// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package console

import "time"

// threadTime is the time on the clock: at least as much as the calling thread has had a processor.
func threadTime() time.Duration { return wallTime() }
